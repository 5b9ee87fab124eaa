"""The multi-user agent's AgentSessionManager: a conversation for each user, with its thread id.

A user's id is the device as well, so the user's current session is the device's, and what others
have opened there for the user is the same conversation.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..adapting import linked
from ..client import Client
from ..errors import IllegalState, NotFound, Unavailable
from ..names import Address
from .common import STORE, moment

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("agent_sessions")

LIVE = "active,paused"

CACHED_MAX = 10_000
"""The most users whose session the memory cache knows; as many have one in memory alone."""


class AgentSessionManager:
    """One live session for each user. For any number of threads, and of processes.

    A session is a dict with `title`, `thread_id`, `created_at`, `updated_at` (ISO 8601, UTC) and
    `is_active`, and the members that `update_session` has added.
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        name: str = "agent_sessions",
        memory_fallback: bool = True,
        **opening: Any,
    ) -> None:
        """`client`: stays open; without it one is made, configured by LATCHKEY_TO.

        `name`: of the set of sessions that `list_active_sessions` shows. `memory_fallback`: while
        no worker can be reached, sessions are made in the memory of this process, with a warning in
        the log and `"stateless": True`; they are stored nowhere. `opening`: parameters of
        `Client.open` for new sessions; their clocks are off unless they are given."""
        self._client = Client() if client is None else client
        self._owns = client is None
        self._near = self._client.near()  # its own changes are seen by its next read
        self._name = name
        self._falls_back = memory_fallback
        links = {STORE: name, **opening.pop("link", {})}
        self._opening: dict[str, Any] = {
            "idle": 0, "abandon": 0, "life": 0, "link": links, **opening,
        }  # fmt: skip
        self._known: dict[str, Address] = {}
        self._memory: dict[str, dict[str, Any]] = {}
        self._mutex = threading.Lock()

    # --- making and finding

    def create_user_session(self, user_id: str, title: str = "New Chat") -> dict[str, Any]:
        """A new session with a thread of its own, now the user's current one.

        Earlier ones stay, and are live until they are deactivated. Raises Quota if the user has too
        many."""
        try:
            record = self._client.open(user_id, name=title, user=user_id, **self._opening)
        except Unavailable as error:
            return self._in_memory(user_id, title, error, is_new=True)
        return self._shown(user_id, record)

    def get_or_create_user_session(self, user_id: str, title: str = "New Chat") -> dict[str, Any]:
        """The user's live session, or a new one. Processes that ask at once get the same one."""
        try:
            known = self._cached(user_id)
            if known is not None:
                return known
            record = self._client.recover(user_id, name=title, user=user_id, **self._opening)
        except Unavailable as error:
            return self._in_memory(user_id, title, error)
        return self._shown(user_id, record)

    def get_current_user_session(self, user_id: str) -> dict[str, Any]:
        """The user's live session. Raises ValueError if there is none."""
        try:
            found = self._cached(user_id) or self._current(user_id)
        except Unavailable:
            found = self._memory.get(user_id) if self._falls_back else None
            if found is None:
                raise
        if found is None:
            raise ValueError(f"user {user_id} has no session: create one")
        return found

    def has_session(self, user_id: str) -> bool:
        """True if the user has a live session."""
        try:
            self.get_current_user_session(user_id)
        except ValueError:
            return False
        return True

    def list_active_sessions(self) -> list[dict[str, Any]]:
        """All live sessions of this manager's name, newest first, each with its `user_id`."""
        steps = linked(STORE, self._name, state=LIVE)
        request = next(steps)
        try:
            while True:
                assert not isinstance(request, list)
                request = steps.send(self._client.ask(request))
        except StopIteration as stop:
            return [{"user_id": one["device"], **_session(one)} for one in stop.value]
        except Unavailable:
            if not self._falls_back:
                raise
            log.warning("no worker can be reached: only sessions in memory are listed")
            return [{"user_id": user, **session} for user, session in self._memory.items()]

    # --- changing

    def update_session(self, user_id: str, updates: Mapping[str, Any]) -> dict[str, Any]:
        """Changes the user's session: `title`, `is_active` (False ends it), and other members of
        the caller's, of which None removes one.

        Raises ValueError if there is no session, or for a member that the manager sets itself."""
        fixed = {"thread_id", "created_at", "updated_at"} & set(updates)
        if fixed:
            raise ValueError(f"{', '.join(sorted(fixed))}: the manager sets this itself")
        session = self.get_current_user_session(user_id)
        if session.get("stateless"):
            session.update(updates)
            return session
        members = {k: v for k, v in updates.items() if k not in ("title", "is_active")}
        where = self._known[user_id]
        try:
            self._near.set(where, members or None, name=updates.get("title"))
        except (NotFound, IllegalState) as error:
            self._forget(user_id)
            raise ValueError(f"the session of user {user_id} has ended") from error
        if updates.get("is_active") is False:
            self.deactivate_session(user_id)
            return {**session, **updates}
        return self.get_current_user_session(user_id)

    def deactivate_session(self, user_id: str) -> None:
        """Ends the user's session; its record stays for `keep`. Raises ValueError if there is
        none."""
        session = self.get_current_user_session(user_id)
        self._memory.pop(user_id, None)
        where = self._forget(user_id)
        if session.get("stateless") or where is None:
            return
        try:
            self._near.close_session(where, reason="deactivated")
        except (NotFound, IllegalState):
            return  # it has ended meanwhile

    # --- the memory cache

    def clear_memory_cache(self) -> None:
        """Forgets what this process has in memory; sessions in Redis stay."""
        near, self._near = self._near, self._client.near()
        near.close()
        with self._mutex:
            self._known.clear()
            self._memory.clear()

    def get_session_count(self) -> int:
        """How many users' sessions this process has in memory."""
        with self._mutex:
            return len(self._known.keys() | self._memory.keys())

    def close(self) -> None:
        """Ends the cache, and the client if the manager has made it."""
        self._near.close()
        if self._owns:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        body: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- their steps

    def _cached(self, user_id: str) -> dict[str, Any] | None:
        """The session that this process knows, as it is now; from memory if nothing changed."""
        where = self._known.get(user_id)
        if where is None:
            return None
        record = self._near.get(where)
        if record is None or record["state"] not in LIVE.split(","):
            self._forget(user_id)
            return None
        return _session(record)

    def _current(self, user_id: str) -> dict[str, Any] | None:
        page = self._client.list(user_id, state=LIVE, order="active", limit=1, as_=user_id)
        found = page["sessions"]
        return self._shown(user_id, found[0]) if found else None

    def _shown(self, user_id: str, record: Any) -> dict[str, Any]:
        with self._mutex:
            self._memory.pop(user_id, None)
            if user_id not in self._known and len(self._known) >= CACHED_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[user_id] = Address(record["device"], record["session"])
        return _session(record)

    def _forget(self, user_id: str) -> Address | None:
        with self._mutex:
            return self._known.pop(user_id, None)

    def _in_memory(
        self, user_id: str, title: str, error: Unavailable, *, is_new: bool = False
    ) -> dict[str, Any]:
        if not self._falls_back:
            raise error
        log.warning("no worker can be reached: a session of user %s is in memory only", user_id)
        with self._mutex:
            kept = self._memory.get(user_id)
            if kept is None and len(self._memory) >= CACHED_MAX:
                raise error
            if kept is None or is_new:
                now = _now()
                kept = self._memory[user_id] = {
                    "title": title,
                    "thread_id": f"{user_id}_{uuid.uuid4()}",
                    "created_at": now,
                    "updated_at": now,
                    "is_active": True,
                    "stateless": True,
                }
            return kept


def _session(record: Any) -> dict[str, Any]:
    return {
        **record["fields"],
        "title": record["name"],
        "thread_id": f"{record['device']}_{record['thread']}",
        "created_at": moment(record["created_at"]).isoformat(),
        "updated_at": moment(record["updated_at"]).isoformat(),
        "is_active": record["state"] in LIVE.split(","),
    }


def _now() -> str:
    return moment(time.time_ns() // 1_000_000).isoformat()
