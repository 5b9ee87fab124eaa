"""What has to begin anew in a child process after a fork."""

from __future__ import annotations

import os
import weakref
from abc import ABC, abstractmethod


class Forked(ABC):
    """Something with a mutex that another thread of the parent may have had at the fork."""

    def __init__(self) -> None:
        _living.add(self)

    @abstractmethod
    def forked(self) -> None:
        """Called in the child, before anything else of it runs."""


_living: weakref.WeakSet[Forked] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_living):
        one.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
