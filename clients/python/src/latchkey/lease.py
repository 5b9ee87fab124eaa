"""A lock as time: until when it is valid here, and when it is to be renewed. Without a socket."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from .errors import Held, LatchkeyError, LockLost, NotFound, Stale, UnknownOutcome
from .names import decode_id
from .results import Grant


class Moment(NamedTuple):
    """The time by two clocks.

    The monotonic one may stop while a machine is suspended or a function is frozen, the wall clock
    may be set. The longer of the two differences counts: a lease may seem to end early, never late.
    """

    monotonic: float
    wall: float

    @staticmethod
    def now() -> Moment:
        """This moment."""
        return Moment(time.monotonic(), time.time())

    def since(self, earlier: Moment) -> float:
        """Seconds from an earlier moment to this one."""
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)


class Lease:
    """What is known of a lock that was granted.

    It runs from the moment before the request was sent, so it never ends later than in Redis."""

    def __init__(self, ttl_ms: int, asked: Moment) -> None:
        self._ttl_s = ttl_ms / 1000
        self._asked = asked
        self._pid = os.getpid()
        self._failures = 0
        self.cause: LatchkeyError | None = None
        """The reply that shows that the lock has ended, if there was one."""
        self.is_released = False
        """True once it was given up on purpose."""

    @property
    def is_forked(self) -> bool:
        """True in a child of the process that was granted the lock: the parent renews it."""
        return os.getpid() != self._pid

    def left_s(self, now: Moment) -> float:
        """Seconds until it ends unless it is renewed; 0 if it has ended."""
        if self.cause is not None:
            return 0.0
        return max(0.0, self._ttl_s - now.since(self._asked))

    def is_lost(self, now: Moment) -> bool:
        """True if it has ended other than by a release."""
        return not self.is_released and self.left_s(now) <= 0

    def next_s(self, now: Moment) -> float:
        """Seconds until the next renewal: a third of the TTL, or soon after a failed one."""
        if self._failures:
            return min(0.05 * 2.0 ** min(self._failures, 5), self.left_s(now) / 4)
        return max(0.0, self._ttl_s / 3 - now.since(self._asked))

    def renewed(self, ttl_ms: int, asked: Moment) -> None:
        """A renewal that was asked for at `asked` succeeded."""
        self._ttl_s = ttl_ms / 1000
        self._asked = asked
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """A renewal failed. The lock has ended if it is not held, or held otherwise; an error
        that says nothing about the lock leaves it as it is until its TTL ends."""
        if isinstance(error, (Held, NotFound, Stale)):
            self.cause = error
        else:
            self._failures += 1

    def lost_error(self, device: str) -> LockLost:
        """The error for a lease that was lost."""
        cause = str(self.cause) if self.cause else "its TTL ended before it could be renewed"
        return LockLost(f"the lock of {device!r} was lost: {cause}", "", {"device": device})


class HeldLock:
    """What both clients show of a lock that was granted."""

    def __init__(self, device: str, grant: Grant, asked: Moment) -> None:
        """`asked`: the moment before the request was sent."""
        self._lease = Lease(grant["ttl_ms"], asked)
        self.device = device
        self.agent = grant["agent"]
        self.token = grant["token"]
        """The fencing token: send it with every write, here and to other systems."""
        self.acquired_at = grant["acquired_at"]
        """Unix milliseconds by Redis' clock."""
        self.is_renewed = grant["renewed"]
        """True if the agent held the lock already, and it was renewed."""

    @property
    def lost(self) -> bool:
        """True if the lock has ended, or may have: its TTL has passed without a renewal."""
        return self._lease.is_lost(Moment.now())

    @property
    def ttl_s(self) -> float:
        """The seconds for which the lock is valid without another renewal."""
        return self._lease.left_s(Moment.now())

    def check(self) -> None:
        """Raises LockLost if the lock is lost."""
        if self.lost:
            raise self._lease.lost_error(self.device) from self._lease.cause


def is_long(grant: Grant, waited_s: float) -> bool:
    """True if a wait took a part of the TTL that matters. When in it the lock was granted is not
    known, so that its time has to begin again."""
    return waited_s * 1000 > grant["ttl_ms"] / 10


def unowned_error(device: str, req: str | None, error: Exception) -> UnknownOutcome:
    """The error for a lock that was granted, and could neither be renewed nor released."""
    text = (
        f"LOCK: the lock of {device!r} may be held until its TTL ends: it could neither be renewed"
    )
    body = {"req": decode_id(req or "")}
    return UnknownOutcome(f"{text} nor released after a wait: {error}", "unknown_outcome", body)


def note(body: BaseException, error: Exception) -> None:
    """Adds to the exception of a `with` block that its end failed as well.

    The block's own exception is the one that is raised."""
    add = getattr(body, "add_note", None)  # Python 3.11 and newer
    if add is not None:
        add(f"latchkey: {type(error).__name__}: {error}")
