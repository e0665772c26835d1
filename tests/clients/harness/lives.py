"""A process that is started again and again, and writes a log file of its own in each life."""

from .wait import wait_until


class Lives:
    """Who inherits has `place`, a folder, and counts its `lives`."""

    def log_path(self):
        return self.place / f"life-{self.lives}.log"

    def log(self):
        return self.log_path().read_text(errors="replace") if self.log_path().exists() else ""

    def wait_log(self, text, deadline_s=30):
        wait_until(lambda: text in self.log(), deadline_s, what=f"'{text}' in the log of {self}")
