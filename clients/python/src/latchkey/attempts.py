"""The retry policy: which step is next for one request. A value without a clock or a socket.

A client asks for a step, takes it, and reports what came of it. All attempts send the same line,
with the same idempotency key, so a change is applied once however often it is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .errors import LatchkeyError, Unavailable, UnknownOutcome
from .names import decode_id
from .reply import RETRYABLE, UNADMITTED, Reply
from .request import Request

_PAUSE_FIRST_S = 0.05
_PAUSE_MAX_S = 1.0


class Try(NamedTuple):
    """Send the line over a live connection, or a new one, and wait for the reply."""

    until: float
    """The moment at which the attempt is given up, by the monotonic clock."""


class Pause(NamedTuple):
    """Wait, then call `resumed`."""

    seconds: float


class Done(NamedTuple):
    """The reply is definite."""

    reply: Reply


class Failed(NamedTuple):
    """The deadline leaves no time for another attempt."""

    error: LatchkeyError


Step = Try | Pause | Done | Failed


class Attempts:
    """The attempts at one request, within one deadline over all workers.

    Several requests that are sent together are one case of it: an attempt is at those that have no
    definite reply yet, in their order. One that is sent again after a later one was carried out
    is followed by that one once more, so that each finds what those before it have left."""

    __slots__ = (
        "_can_refresh",
        "_deadline",
        "_failures",
        "_is_unknown",
        "_jitter",
        "_last",
        "_requests",
        "_try_s",
        "_workers",
        "replies",
    )

    def __init__(
        self,
        *requests: Request[Any],
        now: float,
        timeout_s: float,
        reply_s: float,
        workers: int,
        jitter: float,
        can_refresh: bool = False,
    ) -> None:
        """`timeout_s` is for all attempts, `reply_s` for each; the requests' own `held_s` is
        added to both. `jitter`, from 0 to 1, spreads the pauses of many callers. `can_refresh`
        allows one more attempt after the secret was rejected."""
        held_s = sum(request.held_s for request in requests)
        self._requests = requests
        self.replies: list[Reply] = []
        """The definite replies so far, to the first of the requests."""
        self._deadline = now + timeout_s + held_s
        self._try_s = reply_s + held_s
        self._workers = workers
        self._jitter = jitter
        self._can_refresh = can_refresh
        self._failures = 0
        self._is_unknown = False
        self._last = "no worker answered"

    def begin(self, now: float) -> Step:
        """The first step."""
        return self.resumed(now)

    def resumed(self, now: float) -> Step:
        """After a pause."""
        if now >= self._deadline:
            return self._give_up()
        return Try(min(self._deadline, now + self._try_s))

    def expired(self) -> Step:
        """So much time has passed, in which the process was frozen, that the idempotency keys of
        what was sent may be kept no more."""
        return self._give_up()

    def unreached(self, now: float, why: str) -> Step:
        """No connection could be made: nothing was sent."""
        self._note(now, why)
        return self._again(now)

    def lost(self, now: float, why: str) -> Step:
        """The line was sent, in part at least, and no reply came."""
        self._is_unknown = True
        self._note(now, why)
        return self._again(now)

    def received(self, now: float, replies: Sequence[Reply], why: str | None = None) -> Step:
        """Replies came to the requests of an attempt; if to some only, `why` no more came."""
        for reply in replies:
            step = self.replied(now, reply)
            if not isinstance(step, Done):
                return step
            self.replies.append(reply)
        return Done(self.replies[-1]) if why is None else self.lost(now, why)

    def replied(self, now: float, reply: Reply) -> Step:
        """A reply came."""
        code = reply.code
        if code == "auth_required" and self._can_refresh:  # the principal is gone
            self._can_refresh = False
            return self.resumed(now)
        if reply.word != "ERR" or code not in RETRYABLE:
            return self._refused(reply) if code in UNADMITTED else Done(reply)
        self._is_unknown = self._is_unknown or code == "unknown_outcome"
        self._last = reply.rest
        return self._again(now)

    def rejected(self, now: float, reply: Reply) -> Step:
        """A reply other than `OK` came to AUTH: the request was not looked at."""
        if reply.code == "forbidden" and self._can_refresh:
            self._can_refresh = False
            return self.resumed(now)
        step = self.replied(now, reply)
        if isinstance(step, Done):
            step = self._refused(reply)
        if isinstance(step, Done):
            self.replies += [reply] * (len(self._requests) - len(self.replies))
        return step

    def _refused(self, reply: Reply) -> Step:
        """An attempt was refused without a look at what an earlier one did: it settles nothing of
        a change that was sent before."""
        if self._unsettled is None:
            return Done(reply)
        self._last = reply.rest
        return self._give_up()

    @property
    def _unsettled(self) -> Request[Any] | None:
        """The first change that was sent, in part at least, and has no definite reply."""
        if not self._is_unknown:
            return None
        left = self._requests[len(self.replies) :]
        return next((request for request in left if request.is_change), None)

    def _note(self, now: float, why: str) -> None:
        """Keeps the reason of a failure; one that the deadline cut short has less to say than the
        one before it."""
        if now < self._deadline or not self._failures:
            self._last = why

    def _again(self, now: float) -> Step:
        """Other workers are tried at once; before each further round there is a pause."""
        self._failures += 1
        rounds = self._failures // self._workers
        if self._failures % self._workers:
            return self.resumed(now)
        pause_s = min(_PAUSE_MAX_S, _PAUSE_FIRST_S * 2.0 ** min(rounds - 1, 10))
        pause_s *= 0.5 + 0.5 * self._jitter
        return Pause(pause_s) if now + pause_s < self._deadline else self._give_up()

    def _give_up(self) -> Step:
        unsettled = self._unsettled
        if unsettled is not None:
            text = f"{unsettled.verb}: it is not known whether this was applied: {self._last}"
            body = {"req": decode_id(unsettled.req or "")}
            return Failed(UnknownOutcome(text, "unknown_outcome", body))
        verb = self._requests[len(self.replies)].verb
        return Failed(Unavailable(f"{verb}: nothing was done: {self._last}", "unavailable"))
