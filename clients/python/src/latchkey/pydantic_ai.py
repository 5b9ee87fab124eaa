"""Message histories of Pydantic AI, and the step store of its harness, in Latchkey.

pip install latchkey[pydantic-ai]

history = LatchkeyHistory("ada")
result = await agent.run("Tuesday?", message_history=await history.aload())
await history.aappend(result.new_messages())
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter

from . import verbs
from .adapting import (
    Adapter,
    Recent,
    Steps,
    bound,
    documents,
    linked,
    messages,
    optional,
    pack,
    unpack,
)
from .client import Client
from .errors import IllegalState, NotFound
from .names import Address
from .request import Request

if TYPE_CHECKING:
    from .aio import AsyncClient

_RUNS = "pydantic-ai"
_CONVERSATION = "pydantic-ai-conversation"
_PARENT = "pydantic-ai-parent"
_EVENTS = "events"
_SNAPSHOTS = "snapshots"
_RUN = "run"
_TOOL = "tool/"
_ABREAST = 100


class LatchkeyHistory(Adapter):
    """The messages of a conversation, for coroutines and for threads; its id is the device."""

    def __init__(
        self,
        conversation_id: str,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        *,
        chat: int | str | None = None,
        token: int | None = None,
        turn: int | None = None,
        **opening: Any,
    ) -> None:
        """`chat`: a chat of the session, else the current one. `token` or `turn`: the device's lock
        or its running turn, under which each change happens. `opening`: parameters of
        `Client.open` for a new session, such as `user` and `policy`."""
        super().__init__(client, async_client, **opening)
        self.conversation_id = conversation_id
        self._where = Address(conversation_id, None, chat)
        self._under: dict[str, Any] = {"token": token, "turn": turn}

    def device(self, of: Any = None) -> str:
        """The conversation's device."""
        return self.conversation_id if of is None else str(of)

    def load(self, last: int | None = None) -> list[ModelMessage]:
        """All messages, or the newest `last`, oldest first, for `message_history=`."""
        return self.run(self._load(last))

    async def aload(self, last: int | None = None) -> list[ModelMessage]:
        """As `load`."""
        return await self.aread(self._load(last))

    def append(self, messages: Sequence[ModelMessage]) -> None:
        """Appends the new messages of a run in one step. Raises LatchkeyError; Stale if the turn
        was lost."""
        if messages:
            self.run(self._say(messages))

    async def aappend(self, messages: Sequence[ModelMessage]) -> None:
        """As `append`."""
        if messages:
            await self.arun(self._say(messages))

    def replace(self, messages: Sequence[ModelMessage]) -> None:
        """Replaces all messages in one step, as after a compaction."""
        self.run(self._say(messages, after=0))

    async def areplace(self, messages: Sequence[ModelMessage]) -> None:
        """As `replace`."""
        await self.arun(self._say(messages, after=0))

    def clear(self) -> None:
        """Removes all messages."""
        self.replace([])

    async def aclear(self) -> None:
        """As `clear`."""
        await self.areplace([])

    def _load(self, last: int | None) -> Steps[list[ModelMessage]]:
        try:
            found = yield from messages(self._where, last=last)
        except NotFound:
            return []
        return ModelMessagesTypeAdapter.validate_python([one["message"] for one in found])

    def _say(self, given: Sequence[ModelMessage], after: int | None = None) -> Steps[None]:
        said = ModelMessagesTypeAdapter.dump_python([*given], mode="json")
        request = verbs.say(self._where, said, after=after)
        yield from self.changed(self.conversation_id, request, **self._under)


class LatchkeyStepStore(Adapter):
    """Implements the protocol `StepStore` of pydantic-ai-harness.

    A run is a device of its own: its events and its snapshots are the messages of two chats, in
    which an idempotency key stands once.
    """

    def __init__(
        self,
        async_client: AsyncClient | None = None,
        *,
        name: str = "default",
        client: Client | None = None,
        **opening: Any,
    ) -> None:
        """`name`: stores with another name have nothing in common. `client` is for `turn`, which
        blocks. `opening`: parameters of `Client.open` for new runs, such as `idle` and `policy`."""
        super().__init__(client, async_client, **opening)
        self.name = name
        self._known = Recent()

    def device(self, of: Any) -> str:
        """The device of a run."""
        return f"pydantic-ai:{self.name}/{of}"

    # --- the protocol's methods

    async def register_run(self, record: Any) -> None:
        """Stores a run's record."""
        device, kept = self.device(record.run_id), _dumped(record)
        await self.arun(self._register(device, record, kept))

    async def get_run(self, *, run_id: str) -> Any:
        """A run's record, or None."""
        return await self.aread(self._document(run_id, _RUN, "RunRecord"))

    async def list_runs(
        self, *, parent_run_id: str | None = None, conversation_id: str | None = None
    ) -> list[Any]:
        """The records of a conversation's runs, of a run's, or of all, the earliest first."""
        return await self.aread(self._runs(parent_run_id, conversation_id))

    async def append_event(self, event: Any) -> None:
        """Appends an event, unless its idempotency key is there."""
        await self.arun(self._say(event.run_id, _EVENTS, _dumped(event)))

    async def list_events(self, *, run_id: str) -> list[Any]:
        """The events of a run, in order."""
        found = await self.aread(self._said(run_id, _EVENTS))
        return [_loaded("StepEvent", one["message"]) for one in found]

    async def save_snapshot(self, snapshot: Any) -> None:
        """Appends a snapshot, unless its idempotency key is there."""
        kept = _dumped(snapshot, leaving="messages")
        kept["packed"] = pack(ModelMessagesTypeAdapter.dump_json(snapshot.messages))
        await self.arun(self._say(snapshot.run_id, _SNAPSHOTS, {"role": snapshot.state, **kept}))

    async def latest_snapshot(self, *, run_id: str, include_interrupted: bool = False) -> Any:
        """The newest snapshot; unless asked otherwise, the newest complete one; or None."""
        return await self.aread(self._latest(run_id, None if include_interrupted else "complete"))

    async def list_snapshots(self, *, run_id: str, include_interrupted: bool = False) -> list[Any]:
        """The snapshots of a run, in order; without interrupted ones unless asked otherwise."""
        found = await self.aread(self._said(run_id, _SNAPSHOTS))
        return [
            _snapshot(one["message"])
            for one in found
            if include_interrupted or one["message"]["state"] == "complete"
        ]

    async def record_tool_effect(self, record: Any) -> None:
        """Stores the latest state of a tool call."""
        device = self.device(record.run_id)
        request = verbs.put(device, f"{_TOOL}{record.tool_call_id}", _dumped(record))
        await self.arun(self.changed(device, request))

    async def get_tool_effect(self, *, run_id: str, tool_call_id: str) -> Any:
        """The latest state of a tool call, or None."""
        return await self.aread(
            self._document(run_id, f"{_TOOL}{tool_call_id}", "ToolEffectRecord")
        )

    async def list_unresolved_tool_effects(self, *, run_id: str) -> list[Any]:
        """The tool calls of a run that began and have not ended."""
        found = await self.aread(documents(self.device(run_id), prefix=_TOOL, values=True))
        records = [_loaded("ToolEffectRecord", one["value"]) for one in found if one.get("value")]
        return [one for one in records if one.status == "started"]

    # --- their steps

    def _register(self, device: str, record: Any, kept: Mapping[str, Any]) -> Steps[None]:
        link = {_RUNS: self.name}
        if record.conversation_id is not None:
            link[_CONVERSATION] = f"{self.name}/{record.conversation_id}"
        if record.parent_run_id is not None:
            link[_PARENT] = f"{self.name}/{record.parent_run_id}"
        request = verbs.put(device, _RUN, kept)
        link = {**(self._opening.get("link") or {}), **link}
        yield from self.changed(device, request, link=link)
        # The session may have been there: the links are made either way.
        yield bound(verbs.set(Address(device, "current"), link=link), device)

    def _document(self, run: str, key: str, kind: str) -> Steps[Any]:
        page = yield optional(verbs.take(self.device(run), key))
        document = page["documents"][0] if page else None
        return None if document is None else _loaded(kind, document["value"])

    def _runs(self, parent: str | None, conversation: str | None) -> Steps[list[Any]]:
        links = {
            _PARENT: None if parent is None else f"{self.name}/{parent}",
            _CONVERSATION: None if conversation is None else f"{self.name}/{conversation}",
        }
        chosen = [(kind, ref) for kind, ref in links.items() if ref is not None]
        (kind, ref), *rest = chosen or [(_RUNS, self.name)]
        records = yield from linked(kind, ref, fields="none", and_=dict(rest) or None)
        found: list[Any] = []
        for at in range(0, len(records), _ABREAST):
            asked: list[Request[Any]] = [
                optional(verbs.take(one["device"], _RUN)) for one in records[at : at + _ABREAST]
            ]
            pages = yield asked
            found += [page["documents"][0] for page in pages if page]
        runs = [_loaded("RunRecord", one["value"]) for one in found if one is not None]
        return sorted(runs, key=lambda run: run.started_at)

    def _say(self, run: str, chat: str, said: Mapping[str, Any]) -> Steps[None]:
        device = self.device(run)
        if (device, chat) not in self._known:
            yield from self.chat(device, chat, {})
            self._known.add((device, chat))
        request = verbs.say(Address(device, "current", f"@{chat}"), said, id="idempotency_key")
        try:
            yield bound(request, device)
        except (NotFound, IllegalState):
            yield from self.chat(device, chat, {})
            yield request

    def _said(self, run: str, chat: str) -> Steps[list[Any]]:
        try:
            found = yield from messages(Address(self.device(run), "current", f"@{chat}"))
        except NotFound:
            return []
        return found

    def _latest(self, run: str, state: str | None) -> Steps[Any]:
        where = Address(self.device(run), "current", f"@{_SNAPSHOTS}")
        before: int | None = None
        while True:
            try:
                page = yield verbs.history(
                    where,
                    last=1 if before is None else None,
                    before=before,
                    limit=1,
                    role=state,
                )
            except NotFound:
                return None
            if page["messages"]:
                return _snapshot(page["messages"][-1]["message"])
            before = page.get("read_to")
            if before is None:
                return None


def _dumped(record: Any, leaving: str | None = None) -> dict[str, Any]:
    """A dataclass of the harness as JSON."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in vars(record).items()
        if name != leaving
    }


def _loaded(kind: str, kept: Mapping[str, Any]) -> Any:
    """The reverse of `_dumped`; members that the class does not have are left out."""
    made = getattr(import_module("pydantic_ai_harness.step_persistence"), kind)
    times = ("timestamp", "started_at", "ended_at")
    return made(
        **{
            name: datetime.fromisoformat(value) if name in times and value is not None else value
            for name, value in kept.items()
            if name in made.__dataclass_fields__
        }
    )


def _snapshot(kept: Mapping[str, Any]) -> Any:
    history = ModelMessagesTypeAdapter.validate_python(json.loads(unpack(kept["packed"])))
    return _loaded("ContinuableSnapshot", {**kept, "messages": history})
