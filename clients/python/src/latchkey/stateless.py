"""A session without a worker: for functions that would rather answer without memory than fail.

It is never chosen by the client itself. Its verbs work on this process's memory alone, nothing of
it is stored anywhere, and each of its results has the member `"stateless": true`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .errors import Unavailable
from .names import Address, dump, load
from .reply import Reply
from .request import Request
from .results import Record
from .session import Session

if TYPE_CHECKING:
    from .behind import AutoSave
    from .client import Client

R = TypeVar("R")

STATELESS = "stateless"
"""The session's id, and `how` in its record."""

TAKEN = {
    "GET": {"fields"},
    "SET": {"name", "phase", "step"},
    "HISTORY": {"after", "last", "limit"},
}
"""Options that a session without a worker takes, for each verb that has some."""

EVERYWHERE = {"req", "token", "turn"}
"""Options that mean nothing where there is one caller, and no lock or turn."""


class LocalSession:
    """Answers the requests of one session: GET, SET, TOUCH, SAY, HISTORY, POP and FORGET."""

    def __init__(self, device: str, fields: Mapping[str, Any] | None) -> None:
        now = _now()
        self._device = device
        self._created_at = now
        self._active_at = now
        self._rev = 1
        self._fields: dict[str, Any] = load(dump(dict(fields or {})))
        self._named: dict[str, Any] = {"name": None, "phase": None, "step": None}
        self._messages: list[dict[str, Any]] = []
        self._seq = 0

    def answer(self, request: Request[Any]) -> Reply:
        """The reply to a request. Raises Unavailable for another verb."""
        answers: dict[str, Callable[[Request[Any]], dict[str, Any] | None]] = {
            "GET": self._get,
            "SET": self._set,
            "TOUCH": self._touch,
            "SAY": self._say,
            "HISTORY": self._history,
            "POP": self._pop,
            "FORGET": self._forget,
        }
        if request.verb not in answers:
            raise refused(request.verb)
        for name in request.options:
            if name not in EVERYWHERE and name not in TAKEN.get(request.verb, ()):
                raise refused(f"{request.verb} {name}=")
        body = answers[request.verb](request)
        return Reply("NONE", "") if body is None else Reply("OK", dump({**body, STATELESS: True}))

    def record(self) -> dict[str, Any]:
        """The session, with the members that one in Redis has."""
        clocks = ("idle_ms", "abandon_ms", "archive_ms", "life_ms", "keep_ms", "warn_ms")
        deadlines = ("idle_at", "abandon_at", "life_at", "keep_until")
        return {
            "session": STATELESS,
            "device": self._device,
            "state": "active",
            "reason": None,
            "rev": self._rev,
            **self._named,
            "thread": STATELESS,
            "policy": None,
            "fenced": False,
            "created_at": self._created_at,
            "updated_at": self._active_at,
            "active_at": self._active_at,
            **dict.fromkeys(deadlines),
            "clocks": dict.fromkeys(clocks, 0),
            "chat": 1,
            "chats": 1,
            "messages": len(self._messages),
            "links": {},
            "fields": self._fields,
            "how": STATELESS,
            STATELESS: True,
        }

    def _get(self, request: Request[Any]) -> dict[str, Any]:
        shown = request.options.get("fields")
        if shown is None:
            return self.record()
        text = load(shown) if shown.startswith('"') else shown
        named = [] if text == "none" else text.split(",")
        return {**self.record(), "fields": {k: v for k, v in self._fields.items() if k in named}}

    def _set(self, request: Request[Any]) -> dict[str, Any]:
        for name in self._named:
            text = request.options.get(name)
            if text is not None:
                self._named[name] = load(text) if text.startswith('"') else text
        for name, value in load(request.payload or "{}").items():
            if value is None:
                self._fields.pop(name, None)
            else:
                self._fields[name] = value
        self._rev += 1
        self._active_at = _now()
        return {"rev": self._rev}

    def _touch(self, request: Request[Any]) -> dict[str, Any]:
        self._active_at = _now()
        return {"idle_at": None, "life_at": None}

    def _say(self, request: Request[Any]) -> dict[str, Any]:
        said = load(request.payload or "[]")
        self._active_at = _now()
        for message in said if isinstance(said, list) else [said]:
            self._seq += 1
            self._messages.append({"seq": self._seq, "at": self._active_at, "message": message})
        return {"seq": self._seq, "chat": 1}

    def _history(self, request: Request[Any]) -> dict[str, Any]:
        after, limit = request.options.get("after"), int(request.options.get("limit", "100"))
        if after is None:
            given = request.options.get("limit", "20")
            last = min(int(request.options.get("last", given)), limit)
            shown = self._messages[len(self._messages) - last :] if last else []
            more = len(shown) < len(self._messages)
        else:
            found = [message for message in self._messages if message["seq"] > int(after)]
            shown, more = found[:limit], len(found) > limit
        return {
            "messages": shown,
            "more": more,
            "first_seq": self._messages[0]["seq"] if self._messages else None,
            "last_seq": self._messages[-1]["seq"] if self._messages else None,
        }

    def _pop(self, request: Request[Any]) -> dict[str, Any] | None:
        return self._messages.pop() if self._messages else None

    def _forget(self, request: Request[Any]) -> dict[str, Any]:
        removed = len(self._messages)
        self._messages = []
        return {"removed": removed}


def _now() -> int:
    return int(time.time() * 1000)


def refused(what: str) -> Unavailable:
    """The error for what a stateless session cannot do."""
    return Unavailable(f"{what}: a stateless session has no worker to ask", "unavailable")


class StatelessSession(Session):
    """A session in this process's memory; see `Client.stateless`."""

    is_stateless = True

    def __init__(self, client: Client, device: str, fields: Mapping[str, Any] | None) -> None:
        """`fields`: those of the new session."""
        self._local = LocalSession(device, fields)
        record = cast("Record", self._local.record())
        super().__init__(client, Address(device), record=record)

    def at(self, chat: int | str) -> Session:
        """The session, which has one chat. Raises Unavailable for another one."""
        if chat not in (1, "current"):
            raise refused(f"chat {chat}")
        return self

    def autosave(self, **options: Any) -> AutoSave:
        """Raises Unavailable: there is nothing to save to."""
        raise refused("autosave")

    def ask(self, request: Request[R]) -> R:
        """The result of a request, from memory. Raises Unavailable for most verbs."""
        return request.result(self._local.answer(request))
