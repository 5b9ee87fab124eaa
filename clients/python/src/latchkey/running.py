"""A turn that has begun, as both clients show it: what is to be said is collected until its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .errors import LatchkeyError, NotFound, Stale, TurnLost
from .lease import Lease, Moment
from .names import dump
from .request import Request
from .results import Begun, Ended, Message, Touched
from .verbs import Json, done, part, touch


class RunningTurn:
    """What is known of a turn, and the changes that its end will apply in one step."""

    def __init__(self, device: str, begun: Begun, asked: Moment) -> None:
        """`asked`: the moment before the request was sent."""
        self.is_joined = "joined" in begun
        """True if the message was joined to a turn that was running already, `policy='join'`. That
        turn answers it; this one has nothing to do, and cannot say anything."""
        self.device = device
        self.number = begun.get("joined", begun.get("turn", 0))
        """The turn's number, a fencing token: send it with writes to other systems."""
        self.token: int | None = begun.get("token")
        """The token of the device's lock, if there was an `agent`."""
        self.messages: list[Message] = begun.get("messages", [])
        """The newest messages of the chat, the one of this turn included; after `done`, those that
        were joined meanwhile."""
        self.fields: Mapping[str, Any] = begun.get("fields", {})
        self.phase: str | None = begun.get("phase")
        self.step: str | None = begun.get("step")
        self.begun = begun
        """The reply to TURN, with `session`, `chat`, `seq`, `how` and `waited_ms`."""
        self.joined = 0
        """How many messages were joined and not shown yet, by the latest renewal or end."""
        self.on_error: Literal["end", "abandon"] = "end"
        """What an exception of the block does: end the turn, so that the next may begin; or leave
        it to expire, so that the same event, delivered again with the same `req`, goes on with it
        meanwhile. In either case nothing is said."""
        ttl_ms = 0 if self.is_joined else begun["ttl_ms"]
        # It was granted when the request had waited, not when it was sent.
        self._lease = Lease(ttl_ms + begun.get("waited_ms", 0), asked)
        self._lease.is_released = self.is_joined or not begun["ttl_ms"]
        self._say: list[dict[str, Any]] = []
        self._changes: dict[str, Any] = {}

    @property
    def lost(self) -> bool:
        """True if the turn has ended, or may have, other than by `done`."""
        return self._lease.is_lost(Moment.now())

    @property
    def is_over(self) -> bool:
        """True once `done` has ended the turn; and from the beginning if the message was joined to
        another turn, or if the same request, by its `req`, had begun a turn that is over."""
        return self._lease.is_released

    def check(self) -> None:
        """Raises TurnLost if the turn is lost."""
        if self.lost:
            raise self._lost() from self._lease.cause

    def say(self, message: Json | Sequence[Json]) -> None:
        """Has the end of the turn say a message, or several.

        Raises TypeError or ValueError for what JSON cannot express."""
        self._open()
        messages = [message] if isinstance(message, Mapping) else message
        added = [dict(one) for one in messages]
        dump(added)
        self._say += added

    @property
    def unsaid(self) -> list[dict[str, Any]]:
        """The messages that the end of the turn is to say."""
        return [*self._say]

    def forget_unsaid(self, count: int) -> None:
        """The oldest of these have been said otherwise."""
        del self._say[:count]

    def set(
        self, fields: Json | None = None, *, phase: str | None = None, step: str | None = None
    ) -> None:
        """Has the end of the turn merge members into the session's fields; None removes one.

        Raises TypeError or ValueError for what JSON cannot express."""
        self._open()
        dump(dict(fields or {}))  # raises for what JSON cannot express
        if fields:
            self._changes.setdefault("set", {}).update(fields)
        self._changes.update({"phase": phase} if phase is not None else {})
        self._changes.update({"step": step} if step is not None else {})

    def _open(self) -> None:
        if self.is_over:
            raise LatchkeyError("the turn is over: look at is_over before there is more to say")

    def _lost(self) -> TurnLost:
        cause = str(self._lease.cause) if self._lease.cause else "its TTL ended before a renewal"
        return TurnLost(f"the turn of {self.device!r} was lost: {cause}", "", {})

    def _done(self, *, seen: int | None, last: bool) -> Request[Ended]:
        """The request that applies the changes."""
        self._open()
        changes = {**self._changes, **({"say": self._say} if self._say else {})}
        return done(self.device, changes or None, turn=self.number, seen=seen, last=last or None)

    def _ended(self, ended: Ended, asked: Moment) -> bool:
        """The reply to it. Returns True if the turn is over."""
        self._say, self._changes = [], {}
        self.joined = ended.get("joined", 0)
        if "turn" in ended:
            self.messages = ended.get("messages", [])
            self._lease.renewed(self.begun["ttl_ms"], asked)
            return False
        self._lease.is_released = True
        return True

    def _part(self, payload: Json) -> Request[None]:
        self._open()
        return part(self.device, payload, turn=self.number)

    def _touch(self) -> Request[Touched]:
        return touch(self.device, turn=self.number).without_req()

    def _touched(self, touched: Touched, asked: Moment) -> None:
        self.joined = touched.get("joined", 0)
        self._lease.renewed(touched.get("ttl_ms", self.begun["ttl_ms"]), asked)

    def _failed(self, error: Stale | NotFound) -> TurnLost:
        """A change was refused because the turn does not run any more."""
        self._lease.failed(error)
        return self._lost()
