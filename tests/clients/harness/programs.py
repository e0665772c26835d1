"""Runs a client program (node, go, java, php) that prints its transcript as JSON lines, one per step.

The program gets host, port, protocol (2 or 3) and password ("" for none) as arguments. Each line is
{"step": name, "value": anything}; what legitimately differs between servers the program must not print.
"""

import json
import subprocess


def transcript(command, cwd=None, timeout_s=120, env=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL, env=env)
    errors = done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout.decode(errors='replace')[-2000:]}\n{errors[-4000:]}"
    lines = [json.loads(line) for line in done.stdout.decode().splitlines() if line.strip()]
    assert lines and lines[-1]["step"] == "end", f"the program stopped half-way: {lines[-1:]}\n{errors[-2000:]}"
    return lines
