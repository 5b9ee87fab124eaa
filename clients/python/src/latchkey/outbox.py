"""Changes that wait to be sent in the background. Without a thread, a socket or a clock.

Each waits as the request that it is, with its idempotency key: it can be sent again and is applied
once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from .errors import LatchkeyError, UnknownOutcome
from .lease import Moment
from .names import Duration, decode_id, seconds
from .request import RETRIED_S, Request


class QueueFull(LatchkeyError):
    """Too many changes wait to be sent; this one was not taken."""


class Outbox(ABC):
    """Requests in the order in which they are sent."""

    def __init__(self) -> None:
        self._attempted: Moment | None = None

    @abstractmethod
    def next(self, now: float, *, is_closing: bool) -> Request[Any] | None:
        """The request to send now, the same until it is settled; None if there is none now."""

    @abstractmethod
    def wait_s(self, now: float) -> float:
        """Seconds until `next` may have one though nothing is added; infinite if it has not."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many changes are not settled."""

    def attempt(self, now: Moment) -> None:
        """The request is sent."""
        self._attempted = self._attempted or now

    def is_too_late(self, now: Moment) -> bool:
        """True if another attempt at the request could apply it twice."""
        return self._attempted is not None and now.since(self._attempted) > RETRIED_S

    def settle(self) -> None:
        """The request was applied, or its error is reported: it is not sent again."""
        self._attempted = None

    def close(self) -> None:
        """Nothing more is added or sent."""
        return


def unknown(request: Request[Any]) -> UnknownOutcome:
    """The error for a change that cannot be sent again: its key may have expired."""
    text = f"{request.verb}: it is not known whether this was applied: no worker replied in time"
    return UnknownOutcome(text, "unknown_outcome", {"req": decode_id(request.req or "")})


def broken(error: OSError) -> LatchkeyError:
    """The error for a file that cannot be written any more: it has what it had."""
    made = LatchkeyError(f"nothing more is sent, the file cannot be written: {error}")
    made.__cause__ = error
    return made


class Queue(Outbox):
    """All requests one after the other, bounded by number and by bytes."""

    def __init__(self, count_max: int, bytes_max: int) -> None:
        """Both bounds include the request that is being sent."""
        super().__init__()
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._waiting: deque[tuple[Request[Any], int]] = deque()

    def put(self, request: Request[Any]) -> None:
        """Adds a request. Raises QueueFull."""
        size = len(request.line())
        if len(self._waiting) >= self._count_max:
            raise QueueFull(f"{len(self._waiting)} of {self._count_max} changes wait to be sent")
        if self._bytes + size > self._bytes_max:
            raise QueueFull(f"{self._bytes} of {self._bytes_max} bytes wait to be sent")
        self.restore(request)

    def restore(self, request: Request[Any]) -> None:
        """Adds a request that was in a queue before, whatever the bounds are now."""
        size = len(request.line())
        self._bytes += size
        self._waiting.append((request, size))

    def take_back(self) -> None:
        """Removes the request that was added last."""
        self._bytes -= self._waiting.pop()[1]

    def next(self, now: float, *, is_closing: bool) -> Request[Any] | None:
        """The oldest one."""
        return self._waiting[0][0] if self._waiting else None

    def wait_s(self, now: float) -> float:
        """Only what is added later can be sent."""
        return math.inf

    @property
    def count(self) -> int:
        """How many requests are not settled."""
        return len(self._waiting)

    def settle(self) -> None:
        """Goes on to the next."""
        super().settle()
        self._bytes -= self._waiting.popleft()[1]


class Draft(Outbox):
    """Changes of members, merged into one request once they have paused.

    They are sent when nothing changed for `quiet`, and `longest` after the first of them at the
    latest. What changes while a request is under way goes into the next one."""

    def __init__(
        self,
        build: Callable[[Mapping[str, Any]], Request[Any]],
        quiet: Duration,
        longest: Duration,
    ) -> None:
        """`build` makes the request that writes members."""
        super().__init__()
        self._build = build
        self._quiet_s = seconds(quiet)
        self._longest_s = seconds(longest)
        self._changes: dict[str, Any] = {}
        self._first_at = 0.0
        self._last_at = 0.0
        self._request: Request[Any] | None = None

    def change(self, members: Mapping[str, Any], now: float) -> None:
        """Adds changes; of one member the last one counts."""
        if not members:
            return
        if not self._changes:
            self._first_at = now
        self._changes.update(members)
        self._last_at = now

    def next(self, now: float, *, is_closing: bool) -> Request[Any] | None:
        """The request under way, or a new one if the changes are due."""
        if self._request is None and self._changes and (is_closing or self.wait_s(now) <= 0):
            self._request = self._build(self._changes)
            self._changes = {}
        return self._request

    def wait_s(self, now: float) -> float:
        """Seconds until the changes are due."""
        if not self._changes or self._request is not None:
            return math.inf
        return min(self._last_at + self._quiet_s, self._first_at + self._longest_s) - now

    @property
    def count(self) -> int:
        """One for the request under way, one for the changes behind it."""
        return (self._request is not None) + bool(self._changes)

    def settle(self) -> None:
        """The request is done with."""
        super().settle()
        self._request = None
