"""Runs the program in place of this process."""

from __future__ import annotations

import os
import sys

from . import program

if __name__ == "__main__":
    path = str(program())
    os.execv(path, [path, *sys.argv[1:]])
