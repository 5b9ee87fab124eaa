"""What an adapter says in a turn that collects: it is known here, and applied when the turn ends.

The messages that TURN has returned, and those that are said in the block, answer what the framework
reads of the chat meanwhile. Any other request for the device first has what was collected said.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from . import verbs
from .names import Address, address, dump, encode_id, load
from .request import Request
from .running import RunningTurn

_BYTES_MAX = 1 << 19
"""More is not collected: DONE takes 1 MiB."""

_PLAIN = frozenset({"req", "token", "turn"})

_NONE: Mapping[str, Collected] = MappingProxyType({})

collecting: ContextVar[Mapping[str, Collected]] = ContextVar("latchkey_collecting", default=_NONE)
"""The turns that collect, by their devices as they are on the wire."""


class Collected:
    """What is known of a turn's chat, and what its end will say."""

    def __init__(self, turn: RunningTurn) -> None:
        self.device = encode_id(turn.device)
        self._turn = turn
        self._known: list[Any] | None = list(turn.messages)
        """The newest messages as they are in Redis, or None if that is not known any more."""
        self._is_whole = not turn.begun.get("more")
        self._seq = self._known[-1]["seq"] if self._known else 0
        self._chats = {self.device, f"{self.device}/current", f"{self.device}/current/current"}
        self._saying: Request[Any] | None = None
        self._count = 0

    def _pending(self) -> list[dict[str, Any]]:
        """The messages that wait for the end of the turn."""
        if len(self._turn.unsaid) < self._count:  # the turn was ended, or went on
            self._known = None
        self._count = len(self._turn.unsaid)
        return self._turn.unsaid

    def takes(self, request: Request[Any]) -> dict[str, Any] | None:
        """Collects a request that only says messages, and returns its result; else None."""
        if request.verb != "SAY" or request.words[0] not in self._chats or self._turn.is_over:
            return None
        if not set(request.options) <= _PLAIN or self._saying is not None:
            return None
        said = load(request.payload or "[]")
        said = said if isinstance(said, list) else [said]
        pending = self._pending()
        if len(dump([*pending, *said])) > _BYTES_MAX:
            return None
        self._turn.check()
        self._turn.say(said)
        self._count += len(said)
        return {"seq": self._seq + self._count, "chat": self._turn.begun.get("chat")}

    def messages(self, where: verbs.Where, last: int | None) -> list[Any] | None:
        """The newest `last` messages, or all; None if they have to be read."""
        if address(where) not in self._chats or self._turn.is_over:
            return None
        pending = self._pending()
        if self._known is None or any(one["message"] is None for one in self._known):
            return None
        now = int(time.time() * 1000)
        found = [
            *self._known,
            *(
                {"seq": self._seq + number, "at": now, "message": load(dump(message))}
                for number, message in enumerate(pending, 1)
            ),
        ]
        if not self._is_whole and (last is None or len(found) < last):
            return None
        return found if last is None else found[-last:]

    def saying(self) -> Request[Any] | None:
        """The request that says what was collected, before another one for the device: the same
        until `said`, so that it is applied once."""
        if self._saying is None and self._pending() and not self._turn.is_over:
            where = Address(self._turn.device)
            self._saying = verbs.say(where, self._pending(), turn=self._turn.number)
        return self._saying

    @property
    def unknown(self) -> Request[Any] | None:
        """That request, if it was sent and its outcome is not known."""
        return self._saying

    def said(self) -> None:
        """It was carried out, or there was nothing to say. What follows may change the chat."""
        if self._saying is not None:
            self._turn.forget_unsaid(self._count)
        self._saying, self._known, self._count = None, None, 0


def concerned(asked: Request[Any] | Sequence[Request[Any]]) -> list[Collected]:
    """The turns that collect, of the devices that requests are for."""
    found = collecting.get()
    if not found:
        return []
    requests = [asked] if isinstance(asked, Request) else asked
    devices = {word.partition("/")[0]: None for one in requests for word in one.words[:1]}
    return [found[device] for device in devices if device in found]
