"""Installs the wheels as the tutorial says, and runs the tutorial, in a bare Debian as root.

Usage: check_wheels.py DIST TUTORIAL

The commands of the tutorial's first block are run as they stand, in a folder with the files of
DIST. The worker starts a Redis of its own, which apt installs beforehand.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path


def run(*command: str) -> None:
    """Runs a command. Raises CalledProcessError if it fails."""
    subprocess.run(command, check=True)


def commands(page: Path) -> list[str]:
    """The commands of the first block for a shell."""
    block = re.search(r"^```console\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)
    assert block is not None
    return [line.removeprefix("$ ") for line in block[1].splitlines() if line.startswith("$ ")]


def main() -> None:
    """Runs the check."""
    dist, page = sys.argv[1:]
    assert not shutil.which("swift") and not shutil.which("pip3")
    run("apt-get", "install", "-y", "-q", "--no-install-recommends", "redis-server")
    run("python3", "-m", "venv", "/opt/venv")
    os.environ |= {
        "PATH": f"/opt/venv/bin:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    os.chdir(shutil.copytree(dist, "/tmp/downloads"))
    *installing, serving = commands(Path(page))
    assert installing and serving == "latchkey serve", (installing, serving)
    for command in installing:
        run("bash", "-ec", command)
    version = subprocess.run(
        [sys.executable.replace("/usr/bin", "/opt/venv/bin"), "-m", "latchkey_server", "version"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert version.startswith("latchkey "), version
    worker = subprocess.Popen(["bash", "-c", f"exec {serving}"], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    try:
        ready = worker.stdout.readline()
        assert ready == "ready listen=127.0.0.1:5282 admin=127.0.0.1:5283 redis=embedded\n", ready
        run("python", "/check/pages.py", page)
    finally:
        worker.terminate()
        status = worker.wait(30)
    assert status == 0, status
    run("pip", "uninstall", "-y", "-q", "latchkey", "latchkey-server")
    assert not shutil.which("latchkey")
    print("check_wheels.py: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
