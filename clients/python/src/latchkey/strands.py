"""Strands' session repository and storage in Latchkey.

pip install latchkey[strands]

manager = RepositorySessionManager("ada", LatchkeySessionRepository())
agent = Agent(session_manager=manager)
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from strands.session.session_repository import SessionRepository
from strands.storage.search.keyword import KeywordSearchStrategy
from strands.types.exceptions import SessionException, StorageError
from strands.types.session import Session, SessionAgent, SessionMessage

from . import verbs
from .adapting import Adapter, Steps, bound, documents, optional, pack, part, removed, unpack
from .client import Client
from .errors import LatchkeyError, NotFound, Stale

if TYPE_CHECKING:
    from .aio import AsyncClient

_SESSION = "strands/session"
_ROOT = "strands/agent/"
_MANY = "strands/multi/"
_STORAGE = "strands/storage/"


class LatchkeySessionRepository(Adapter, SessionRepository):
    """Implements `SessionRepository`, with the states of multi-agents. It is for threads, as the
    interface is.

    A session's id is the device, and messages are documents in the order of their numbers. A run
    that was overtaken by another of the same session gets a SessionException, and overwrites
    nothing.
    """

    def __init__(self, client: Client | None = None, **opening: Any) -> None:
        """`opening`: parameters of `Client.open` for new sessions, such as `user` and `policy`."""
        super().__init__(client, None, **opening)

    # --- sessions

    def create_session(self, session: Session, **kwargs: Any) -> Session:
        """Creates a session. Raises SessionException if it exists, LatchkeyError."""
        id = session.session_id
        self.run(self._create(id, _SESSION, session.to_dict(), f"Session {id} already exists"))
        return session

    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:
        """A session, or None."""
        found = self.run(_one(session_id, _SESSION))
        return None if found is None else Session.from_dict(found["value"])

    def delete_session(self, session_id: str, **kwargs: Any) -> None:
        """Removes a session with all that is in it."""
        self.run(removed(session_id))

    # --- agents

    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Stores a new agent."""
        key = _agent(session_agent.agent_id)
        self.run(self.changed(session_id, verbs.put(session_id, key, session_agent.to_dict())))

    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:
        """An agent, or None."""
        found = self.run(_one(session_id, _agent(agent_id)))
        return None if found is None else SessionAgent.from_dict(found["value"])

    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:
        """Replaces an agent. Raises SessionException if it is not there."""
        id = session_agent.agent_id
        absent = f"Agent {id} in session {session_id} does not exist"
        self.run(_replace(session_id, _agent(id), session_agent, absent))

    # --- messages

    def create_message(
        self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any
    ) -> None:
        """Stores a message under its number. Raises SessionException if there is one already."""
        id = session_message.message_id
        exists = f"Message {id} of agent {agent_id} exists: another run writes this session"
        self.run(
            self._create(session_id, _message(agent_id, id), session_message.to_dict(), exists)
        )

    def read_message(
        self, session_id: str, agent_id: str, message_id: int, **kwargs: Any
    ) -> SessionMessage | None:
        """A message, or None."""
        found = self.run(_one(session_id, _message(agent_id, message_id)))
        return None if found is None else SessionMessage.from_dict(found["value"])

    def update_message(
        self, session_id: str, agent_id: str, session_message: SessionMessage, **kwargs: Any
    ) -> None:
        """Replaces a message. Raises SessionException if it is not there."""
        id = session_message.message_id
        self.run(
            _replace(
                session_id, _message(agent_id, id), session_message, f"Message {id} does not exist"
            )
        )

    def list_messages(
        self,
        session_id: str,
        agent_id: str,
        limit: int | None = None,
        offset: int = 0,
        **kwargs: Any,
    ) -> list[SessionMessage]:
        """Messages of an agent in order; reads those alone that are returned.

        Raises SessionException if there is no such agent."""
        found = self.run(self._messages(session_id, agent_id, limit, offset))
        return [SessionMessage.from_dict(one["value"]) for one in found]

    # --- multi-agents

    def create_multi_agent(self, session_id: str, multi_agent: Any, **kwargs: Any) -> None:
        """Stores the state of a new multi-agent."""
        key, state = f"{_MANY}{part(multi_agent.id)}", multi_agent.serialize_state()
        self.run(self.changed(session_id, verbs.put(session_id, key, state)))

    def read_multi_agent(
        self, session_id: str, multi_agent_id: str, **kwargs: Any
    ) -> dict[str, Any] | None:
        """The state of a multi-agent, or None."""
        found = self.run(_one(session_id, f"{_MANY}{part(multi_agent_id)}"))
        return None if found is None else found["value"]

    def update_multi_agent(self, session_id: str, multi_agent: Any, **kwargs: Any) -> None:
        """Replaces the state of a multi-agent. Raises SessionException if it is not there."""
        id = multi_agent.id
        key, state = f"{_MANY}{part(id)}", multi_agent.serialize_state()
        try:
            self.run(self._put(session_id, key, state, "present"))
        except NotFound:
            absent = f"MultiAgent state {id} in session {session_id} does not exist"
            raise SessionException(absent) from None

    # --- their steps

    def _put(self, device: str, key: str, value: Any, condition: str) -> Steps[Any]:
        return (yield bound(verbs.put(device, key, value, if_=condition), device))

    def _create(self, device: str, key: str, value: Any, exists: str) -> Steps[None]:
        try:
            yield from self.changed(device, verbs.put(device, key, value, if_="absent"))
        except Stale as error:
            if error.rev is None:
                raise  # of the turn
            raise SessionException(exists) from error

    def _messages(
        self, session_id: str, agent_id: str, limit: int | None, offset: int
    ) -> Steps[list[Any]]:
        prefix, from_ = _messages_of(agent_id), _message(agent_id, offset)
        if limit is not None and limit <= 0:
            return []
        if limit is None or limit > 1000:
            found = yield from documents(session_id, prefix=prefix, from_=from_, values=True)
            found = found[:limit]
        else:
            page = yield optional(
                verbs.keys(session_id, prefix=prefix, from_=from_, values=True, limit=limit)
            )
            found = page["documents"] if page else []
            if page and page["cursor"] and len(found) < limit:
                # The page was cut by its bytes.
                found = yield from documents(session_id, prefix=prefix, from_=from_, values=True)
                found = found[:limit]
        if not found and (yield from _one(session_id, _agent(agent_id))) is None:
            raise SessionException(f"Agent {agent_id} in session {session_id} does not exist")
        return [one for one in found if isinstance(one.get("value"), dict)]


class LatchkeyStorage(Adapter):
    """Implements the protocol `strands.storage.Storage`: bytes under keys, in one session.

    Give it to `SnapshotSessionManager`, which keeps an agent's snapshots in it.
    """

    def __init__(
        self,
        device: str,
        async_client: AsyncClient | None = None,
        *,
        client: Client | None = None,
        search_strategy: Any = None,
        **opening: Any,
    ) -> None:
        """`device`: that of the session. `client` is for `turn`, which blocks.
        `search_strategy`: of the framework's. `opening`: parameters of `Client.open`."""
        super().__init__(client, async_client, **opening)
        self.id = device
        self._strategy = search_strategy

    def device(self, of: Any = None) -> str:
        """The device of the session."""
        return self.id if of is None else str(of)

    async def write(self, key: str, data: bytes) -> None:
        """Stores data under a key. Raises StorageError."""
        request = verbs.put(self.id, f"{_STORAGE}{_key(key)}", pack(bytes(data)))
        await self._asked(self.changed(self.id, request))
        if self._strategy is not None:
            await self._strategy.index(self, _key(key), data)

    async def read(self, key: str) -> bytes | None:
        """The data under a key, or None. Raises StorageError."""
        found = await self._asked(_one(self.id, f"{_STORAGE}{_key(key)}"))
        return None if found is None else unpack(found["value"])

    async def delete(self, key: str) -> None:
        """Removes a key; one that is not there is no error. Raises StorageError."""
        await self._asked(self._delete(f"{_STORAGE}{_key(key)}"))

    async def list(self, query: str = "") -> Sequence[str]:
        """The keys with a prefix, in order. Raises StorageError."""
        prefix = f"{_STORAGE}{query.lstrip('/')}"
        found = await self._asked(documents(self.id, prefix=prefix))
        return [one["key"][len(_STORAGE) :] for one in found]

    async def search(self, query: str) -> Sequence[Any]:
        """The keys whose data match a query, the best first: all data are read, unless there is a
        strategy of its own."""
        strategy = self._strategy or KeywordSearchStrategy()
        found: Sequence[Any] = await strategy.search(self, query)
        return found

    async def _asked(self, steps: Steps[Any]) -> Any:
        try:
            return await self.arun(steps)
        except LatchkeyError as error:
            raise StorageError(f"{self.id}: {error}") from error

    def _delete(self, key: str) -> Steps[None]:
        try:
            yield bound(verbs.drop(self.id, key), self.id)
        except NotFound:
            return


def _one(device: str, key: str) -> Steps[Any]:
    page = yield optional(verbs.take(device, key))
    return page["documents"][0] if page else None


def _replace(device: str, key: str, given: Any, absent: str) -> Steps[None]:
    """Replaces a document by a newer state of the same thing, which keeps its `created_at`."""
    while True:
        found = yield from _one(device, key)
        if found is None:
            raise SessionException(absent)
        if isinstance(found["value"], dict):
            given.created_at = found["value"].get("created_at", given.created_at)
        try:
            yield bound(verbs.put(device, key, given.to_dict(), rev=found["rev"]), device)
            return
        except NotFound:
            raise SessionException(absent) from None
        except Stale as error:
            if error.rev is None:
                raise  # of the turn


def _agent(id: str) -> str:
    return f"{_ROOT}{part(id)}/state"


def _messages_of(agent: str) -> str:
    return f"{_ROOT}{part(agent)}/message/"


def _message(agent: str, id: int) -> str:
    return f"{_messages_of(agent)}{id:012}"


def _key(key: str) -> str:
    """A key without runs of `/`, and without those around it. Raises StorageError."""
    parts = [one for one in key.split("/") if one]
    if not parts or ".." in parts or "\\" in key:
        raise StorageError(f"Invalid storage key {key!r}: an empty one, `..` or a backslash")
    return "/".join(parts)
