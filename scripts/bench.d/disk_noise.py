"""What dd does to a machine when it writes as many bytes as a snapshot of two million sessions: the noise of the disk.

The host of a virtual machine may stop all of it for the disk's sake, whoever writes.
"""

import subprocess
import tempfile

SNAPSHOT_MB = 800  # about


def write_as_much():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dd", "if=/dev/urandom", f"of={folder}/bytes", "bs=1M", f"count={SNAPSHOT_MB}", "oflag=dsync"],
                       check=True, stderr=subprocess.DEVNULL)
