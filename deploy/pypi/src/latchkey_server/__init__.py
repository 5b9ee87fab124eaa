"""The worker of Latchkey: the program itself, and where it is."""

from __future__ import annotations

import sysconfig
from pathlib import Path

__all__ = ["program"]


def program() -> Path:
    """The file of the program. Raises FileNotFoundError if it is not where pip puts programs."""
    schemes = [sysconfig.get_default_scheme(), sysconfig.get_preferred_scheme("user")]
    folders = [Path(sysconfig.get_path("scripts", scheme)) for scheme in schemes]
    # pip install --target puts it into a folder beside the package.
    folders.append(Path(__file__).parents[1] / "bin")
    for folder in folders:
        if (folder / "latchkey").is_file():
            return folder / "latchkey"
    raise FileNotFoundError(f"latchkey is in none of {', '.join(map(str, folders))}")
