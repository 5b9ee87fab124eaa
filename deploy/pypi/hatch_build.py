"""Gives the wheel the tag of the platform that its program was built for."""

from __future__ import annotations

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PlatformTag(BuildHookInterface):
    """Sets the tag from the environment: scripts/release reads it off the program."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds."""
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ['LATCHKEY_PLATFORM']}"
