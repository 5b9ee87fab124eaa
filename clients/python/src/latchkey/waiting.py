"""The small parts of the iterators that hold neither a socket nor a clock."""

from __future__ import annotations

import math

from .errors import Forbidden, LatchkeyError, NotFound, Unavailable
from .names import Duration, seconds

_PAUSE_FIRST_S = 0.05
_PAUSE_MAX_S = 2.0
_UNACKNOWLEDGED_MAX = 1000


class Backoff:
    """The pauses between attempts to reconnect: at once, then longer and longer up to 2 s."""

    def __init__(self, *, can_refresh: bool) -> None:
        """`can_refresh`: a secret that is rejected once may be replaced by the next one."""
        self._can_refresh = can_refresh
        self._failures = 0
        self._rejected = 0

    def reset(self) -> None:
        """A connection did its work."""
        self._failures = 0
        self._rejected = 0

    def failed(self, error: Exception, left_s: float, jitter: float) -> float:
        """Seconds to pause. Raises the error, as Unavailable if it is the system's, if no time is
        left or a pause does not help."""
        if isinstance(error, Forbidden):
            self._rejected += 1
            if not self._can_refresh or self._rejected > 1:
                raise error
        if isinstance(error, NotFound):
            raise error
        self._failures += 1
        pause_s = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2.0 ** min(self._failures - 1, 10))
        if left_s <= 0:
            if isinstance(error, LatchkeyError):
                raise error
            raise Unavailable(f"no worker can be reached: {error}", "unavailable") from error
        return pause_s * (0.5 + 0.5 * jitter)


class Idle:
    """How long an iteration goes on without an event."""

    def __init__(self, limit: Duration | None, now: float) -> None:
        """Without a limit it goes on for ever."""
        self._limit_s = math.inf if limit is None else seconds(limit)
        self._since = now

    def received(self, now: float) -> None:
        """An event came, and was handled."""
        self._since = now

    def left_s(self, now: float) -> float:
        """Seconds until the iteration ends, infinite without a limit; 0 or less if it is over."""
        return self._since + self._limit_s - now


class Unacknowledged:
    """Events that were handled and could not be acknowledged yet; the newest 1,000."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def with_id(self, event_id: str) -> list[str]:
        """Adds one; returns all."""
        self._ids = [*self._ids, event_id][-_UNACKNOWLEDGED_MAX:]
        return self._ids

    def clear(self) -> None:
        """They are acknowledged."""
        self._ids = []
