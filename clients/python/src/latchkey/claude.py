"""The transcripts of the Claude Agent SDK in Latchkey.

    pip install latchkey[claude]

    store = LatchkeySessionStore()
    options = ClaudeAgentOptions(session_store=store)

Each transcript, of a session or of one of its sub-agents, is a device of its own, and its entries
are the messages of a chat. That chat refuses entries when it is full, so that none is dropped; the
transcript then goes on in another chat.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from . import verbs
from .adapting import PAGE, Adapter, Steps, bound, linked, optional, part, removed, running
from .client import Client
from .errors import IllegalState, NotFound, Quota, Stale, UnknownOutcome
from .names import Address, dump

if TYPE_CHECKING:
    from .aio import AsyncClient

_PROJECT = "claude-project"
_SESSION = "claude-session"
_CHAT = "entries"
_SUMMARY = "summary"
_UNSETTLED_MAX = 100
_PARTS_MAX = 10_000


class LatchkeySessionStore(Adapter):
    """Implements the protocol `claude_agent_sdk.SessionStore` with all optional methods."""

    def __init__(
        self,
        async_client: AsyncClient | None = None,
        *,
        name: str = "claude",
        client: Client | None = None,
        **opening: Any,
    ) -> None:
        """`name`: stores with another name have nothing in common. `client` is for `turn`, which
        blocks. `opening`: parameters of `Client.open` for new transcripts, such as `policy`."""
        super().__init__(client, async_client, **opening)
        self.name = name
        self._parts: dict[str, int] = {}
        self._unsettled: dict[bytes, tuple[str, int]] = {}

    def device(self, of: Any) -> str:
        """The device of a key's transcript."""
        parts = [of["project_key"], of["session_id"]]
        parts += [of["subpath"]] if of.get("subpath") else []
        return f"{part(self.name)}:" + "/".join(part(one) for one in parts)

    # --- transcripts

    async def append(self, key: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> None:
        """Appends entries in one step, without those whose `uuid` is there already.

        Raises LatchkeyError; Quota if the transcript is full; Stale if the turn was lost."""
        if entries:
            await self.arun(self._append(key, entries))

    async def load(self, key: Mapping[str, Any]) -> list[Any] | None:
        """All entries of a transcript; None if there are none."""
        return await self.aread(self._load(key))

    async def list_sessions(self, project_key: str) -> list[Any]:
        """The sessions of a project, without the transcripts of sub-agents."""
        return await self.aread(self._sessions(project_key))

    async def list_session_summaries(self, project_key: str) -> list[Any]:
        """The summaries of a project's sessions; those of new entries are made and kept."""
        return await self.arun(self._summaries(project_key))

    async def delete(self, key: Mapping[str, Any]) -> None:
        """Removes a transcript; that of a session with those of its sub-agents."""
        await self.arun(self._delete(key))

    async def list_subkeys(self, key: Mapping[str, Any]) -> list[str]:
        """The subpaths of a session that have transcripts."""
        return await self.aread(self._subkeys(key))

    def _append(self, key: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Steps[None]:
        device = self.device(key)
        if key.get("subpath"):
            # The transcript of a sub-agent is not the device whose turn is running.
            main = self.device(_main(key))
            if (turn := running(main)) is not None:
                yield verbs.touch(main, turn=turn)
        part = self._parts.get(device) or (yield from self._make(key))
        # The framework repeats a call that failed: entries without `uuid` need the same key then.
        digest = hashlib.sha256(
            f"{device} {dump([dict(one) for one in entries])}".encode()
        ).digest()
        req, part = self._unsettled.pop(digest, (None, part))
        try:
            yield from self._say(key, [*entries], part, req)
        except UnknownOutcome as error:
            if error.req is not None and len(self._unsettled) < _UNSETTLED_MAX:
                self._unsettled[digest] = error.req, part
            raise

    def _say(
        self, key: Mapping[str, Any], entries: list[Any], part: int, req: str | None
    ) -> Steps[None]:
        """Says entries in a part of the transcript, and what has no room there in the next one."""
        device = self.device(key)
        try:
            yield bound(verbs.say(_chat(device, part), entries, id="uuid", req=req), device)
            return
        except (NotFound, IllegalState):
            # It was deleted, or paused for too long.
            part = yield from self._make(key)
            yield bound(verbs.say(_chat(device, part), entries, id="uuid"), device)
            return
        except Quota:
            pass
        # The part is filled before there is a next one, so that nothing fits it later.
        with suppress(Quota):
            while entries:
                yield bound(verbs.say(_chat(device, part), entries[:1], id="uuid"), device)
                entries = entries[1:]
        if entries:
            yield from self.chat(device, _name(part + 1), {})
            self._remember(device, part + 1)
            yield from self._say(key, entries, part + 1, None)

    def _make(self, key: Mapping[str, Any]) -> Steps[int]:
        """Makes the chat of a transcript, and the session if need be; returns its last part."""
        device = self.device(key)
        if key.get("subpath"):
            link = {_SESSION: self.device(_main(key))}
        else:
            link = {_PROJECT: self._project(key["project_key"])}
        link = {**(self._opening.get("link") or {}), **link}
        yield from self.chat(device, _CHAT, link)
        names = {one["name"] for one in (yield verbs.chats(device))["chats"]}
        part = 1
        while _name(part + 1) in names:
            part += 1
        self._remember(device, part)
        return part

    def _remember(self, device: str, part: int) -> None:
        if len(self._parts) >= _PARTS_MAX:
            self._parts.clear()
        self._parts[device] = part

    def _load(self, key: Mapping[str, Any]) -> Steps[list[Any] | None]:
        found, _ = yield from self._entries(self.device(key), None, 1, 0)
        return [one["message"] for one in found] or None

    def _entries(
        self, device: str, session: str | None, part: int, seq: int
    ) -> Steps[tuple[list[Any], int]]:
        """The entries after number `seq` of a part, and those of the parts behind it; and the last
        of these."""
        found: list[Any] = []
        while True:
            where = _chat(device, part, session)
            # Whether there is a next part is asked in the same round trip.
            page, after = yield [
                optional(verbs.history(where, after=seq, limit=PAGE)),
                optional(verbs.history(_chat(device, part + 1, session), last=0)),
            ]
            if page is None:
                return found, part
            found += [one for one in page["messages"] if one["message"] is not None]
            if page["more"] and page["messages"]:
                seq = page["messages"][-1]["seq"]
            elif after is not None:
                part, seq = part + 1, 0
            else:
                return found, part

    def _delete(self, key: Mapping[str, Any]) -> Steps[None]:
        if not key.get("subpath"):
            # The session is the last, so that a deletion that was cut short can be repeated.
            for record in (yield from linked(_SESSION, self.device(key), fields="none")):
                yield from removed(record["device"])
        yield from removed(self.device(key))
        self._parts.pop(self.device(key), None)

    # --- lists

    def _subkeys(self, key: Mapping[str, Any]) -> Steps[list[str]]:
        records = yield from linked(_SESSION, self.device(_main(key)), fields="none")
        found = {unquote(record["device"].rsplit("/", 1)[1]) for record in records}
        return sorted(found)

    def _project(self, project: str) -> str:
        return f"{part(self.name)}:{part(project)}"

    def _records(self, project: str) -> Steps[list[Any]]:
        records = yield from linked(_PROJECT, self._project(project), fields=_SUMMARY)
        return [record for record in records if record["messages"]]

    def _sessions(self, project: str) -> Steps[list[Any]]:
        records = yield from self._records(project)
        return [{"session_id": _id(record), "mtime": _time(record)} for record in records]

    def _summaries(self, project: str) -> Steps[list[Any]]:
        found = []
        for record in (yield from self._records(project)):
            summary = yield from self._summary(project, record)
            if summary is not None:
                found.append(
                    {
                        "session_id": _id(record),
                        "mtime": summary["mtime"],
                        "data": summary["data"],
                    }
                )
        return found

    def _summary(self, project: str, record: Mapping[str, Any]) -> Steps[Any]:
        """The summary of a session, brought up to date with the entries since it was made."""
        kept = _kept(record)
        if kept is not None and kept["count"] == record["messages"]:
            return kept
        device, part, seq = record["device"], 1, 0
        if kept is not None:
            part, seq = kept["part"], kept["seq"]
        added, last = yield from self._entries(device, record["session"], part, seq)
        if not added and kept is None:
            return None
        folded: Any = (
            None
            if kept is None
            else {"session_id": _id(record), "mtime": kept["mtime"], "data": kept["data"]}
        )
        fold = import_module("claude_agent_sdk").fold_session_summary
        key = {"project_key": project, "session_id": _id(record)}
        folded = fold(folded, key, [one["message"] for one in added])
        summary = {
            "part": last,
            "seq": added[-1]["seq"] if added else seq if last == part else 0,
            "count": record["messages"],
            "mtime": added[-1]["at"] if added else folded["mtime"],
            "data": folded["data"],
        }
        # Another process may have kept one, or the session is gone: this one is right.
        with suppress(Stale, NotFound, IllegalState):
            yield verbs.set(
                Address(device, record["session"]), {_SUMMARY: summary}, rev=record["rev"]
            )
        return summary


def _name(part: int) -> str:
    """The name of the chat with a part of a transcript."""
    return _CHAT if part == 1 else f"{_CHAT}.{part}"


def _chat(device: str, part: int, session: str | None = None) -> Address:
    return Address(device, session or "current", f"@{_name(part)}")


def _main(key: Mapping[str, Any]) -> dict[str, Any]:
    return {"project_key": key["project_key"], "session_id": key["session_id"]}


def _id(record: Mapping[str, Any]) -> str:
    return unquote(record["device"].rsplit("/", 1)[1])


def _kept(record: Mapping[str, Any]) -> Any:
    kept = record["fields"].get(_SUMMARY) if record.get("fields") else None
    return kept if isinstance(kept, dict) else None


def _time(record: Mapping[str, Any]) -> int:
    """When the transcript was changed last, as summaries have it."""
    kept = _kept(record)
    if kept is not None and kept["count"] == record["messages"]:
        return int(kept["mtime"])
    return int(record["active_at"])
