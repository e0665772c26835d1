"""Waiting on a condition with a deadline: the only way tests in this folder let time pass."""

import time


def wait_until(condition, deadline_s=5.0, step_s=0.005, what="the condition"):
    """Returns condition()'s first truthy value; raises AssertionError when the deadline passes first."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"{what} did not happen within {deadline_s} s")
        time.sleep(step_s)
