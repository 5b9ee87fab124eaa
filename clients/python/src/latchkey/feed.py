"""A subscription that survives its connections. Without a socket or a clock.

For a device, what was missed between two connections is read from the event log, from the last
event on; events that come both ways are given once. For all devices there is no such log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import cast

from . import results, verbs
from .errors import LatchkeyError, WatchEnded
from .names import All
from .reply import Reply, parse_reply
from .request import Request
from .results import Event

_PAGE = 1000
_SEEN_MAX = 4096

LOST = "watch.lost"
"""The type of the entry that a feed or a consumer gets where events may be missing. It is no event:
its id and its time are empty."""

CHANGES_LOST = "changes.lost"
"""The same for changes, which are in no log."""

ENDED = "watch.ended"
"""The type of the last entry of a subscription whose rights have ended; `reason` says why."""


def lost(device: str = "", kind: str = LOST) -> Event:
    """The entry that says that events, or changes, may be missing here."""
    return {"id": "", "type": kind, "device": device, "at": 0}


class Draining(ConnectionError):
    """The worker stops, and closes the connection."""


class Feed:
    """The lines to send and the events to give, over any number of connections in turn."""

    def __init__(
        self,
        device: str | All,
        types: str | Sequence[str] | None,
        after: str | None,
        changes: bool = False,
        as_: str | None = None,
    ) -> None:
        """`after`: the id of the event to begin after, else with the next one that happens;
        `changes`: whether to give those too, which have no id; `as_`: the user whose sessions'
        events alone are given."""
        self._device = device
        self._types = types.split(",") if isinstance(types, str) else types
        self._changes = changes or None
        self._as = as_
        self._last = after
        self._begins_after = after
        self._is_first = True
        self._is_resumed = False
        self._is_caught_up = False
        self._has_begun = False
        self._seen: dict[str, None] = {}
        self._pushed: list[Event] = []
        self._awaited: deque[Request[object]] = deque()

    def opened(self) -> bytes:
        """A connection is there; the line to send."""
        self._pushed.clear()
        self._awaited.clear()
        self._is_caught_up = False
        # Of a device the log is read, which is less than the worker would send again.
        after = self._last if isinstance(self._device, All) else None
        self._is_resumed = after is not None
        watch = verbs.watch(
            self._device, types=self._types, changes=self._changes, after=after, as_=self._as
        )
        return self._send(watch)

    def closed(self) -> None:
        """The connection has ended."""
        self._is_caught_up = False

    def quiet(self) -> bytes:
        """Nothing came for a while; the line that shows whether the worker still answers."""
        return self._send(verbs.ping())

    @property
    def is_awaiting(self) -> bool:
        """True if the worker has to reply to something."""
        return bool(self._awaited)

    @property
    def is_live(self) -> bool:
        """True once the subscription of this connection has begun and nothing is missed."""
        return self._is_caught_up

    def ended(self, error: LatchkeyError) -> Event:
        """The last entry, after a refusal that a pause does not change. Raises the error if the
        subscription has never begun."""
        if not self._has_begun:
            raise error
        return {**self._lost(ENDED), "reason": error.code.lower()}

    def received(self, line: bytes) -> tuple[bytes, list[Event]]:
        """A line came. Returns a line to send, or none, and the events to give.

        Raises Draining, WatchEnded, ProtocolError, and the error of a rejected request."""
        reply = parse_reply(line)
        if reply.word == "EVENT":
            event = self._whole(results.event(reply.rest))
            if event["type"] == "worker.draining":
                raise Draining("the worker is stopping")
            if event["type"] == ENDED:
                raise WatchEnded(
                    "the subscription has ended", str(event.get("reason") or "forbidden")
                )
            if event["type"] == "events.lost":
                event = self._lost()
            if any(request.verb != "PING" for request in self._awaited):
                self._pushed.append(event)
                return b"", []
            return b"", self._new([event])
        if not self._awaited:
            raise reply.error("WATCH")
        request = self._awaited.popleft()
        if request.verb == "WATCH":
            request.result(reply)
            return self._subscribed(has_lost=bool(reply.body.get("lost")))
        if request.verb == "EVENTS":
            return self._page(request, reply)
        request.result(reply)
        return b"", []

    def _send(self, request: Request[object]) -> bytes:
        self._awaited.append(request)
        return request.line()

    def _subscribed(self, *, has_lost: bool) -> tuple[bytes, list[Event]]:
        given: list[Event] = []
        # A worker that resumes says so itself.
        if self._changes and not self._is_first and not self._is_resumed:
            given = [self._lost(CHANGES_LOST)]
        if not isinstance(self._device, All):
            more = verbs.events(self._device, after=self._last, limit=_PAGE, as_=self._as)
            return self._send(more), given
        if has_lost or (not self._is_first and not self._is_resumed):
            given = [self._lost(), *given]
        self._is_first = False
        return b"", given + self._flush()

    def _page(self, request: Request[object], reply: Reply) -> tuple[bytes, list[Event]]:
        """A page of the device's log came: of what was missed, or at first of what is past."""
        if reply.word == "STALE":  # another Redis, or one that lost its newest writes
            self._last = reply.body.get("id")
            self._is_first = False
            return b"", [self._lost(), *self._flush()]
        page = cast("results.Events", request.result(reply))
        given: list[Event] = []
        if self._is_first and self._begins_after is None:
            if page["events"]:
                self._last = page["events"][-1]["id"]
        else:
            given = [self._lost()] if page.get("lost") else []
            given += self._new(page["events"])
        if page["events"]:
            more = verbs.events(self._device, after=self._last, limit=_PAGE, as_=self._as)
            return self._send(more), given
        self._is_first = False
        return b"", given + self._flush()

    def _lost(self, kind: str = LOST) -> Event:
        return lost("" if isinstance(self._device, All) else self._device, kind)

    def _whole(self, event: Event) -> Event:
        """A change has no id, and the loss of some neither a device nor a time."""
        return cast("Event", {**self._lost(), **event})

    def _flush(self) -> list[Event]:
        self._is_caught_up = self._has_begun = True
        pushed, self._pushed = self._pushed, []
        return self._new(pushed)

    def _new(self, events: list[Event]) -> list[Event]:
        """Those of the events that were not given before; they are now."""
        given: list[Event] = []
        for event in events:
            if not event["id"]:
                given.append(event)
                continue
            if event["id"] in self._seen:
                continue
            self._seen[event["id"]] = None
            if len(self._seen) > _SEEN_MAX:
                del self._seen[next(iter(self._seen))]
            self._last = event["id"]
            if not self._types or event["type"] in self._types:
                given.append(event)
        return given
