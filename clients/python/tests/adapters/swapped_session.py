"""A pytest plug-in that runs the OpenAI Agents SDK's own tests with `LatchkeySession`.

Where these tests make the SDK's `SQLiteSession`, they make a session of ours, with a worker that is
started for the run. Tests of what only SQLite has are left out: its connections, locks and rows.
"""

from __future__ import annotations

import tempfile
import uuid
from typing import Any

import agents
import pytest
from agents.memory import sqlite_session

from latchkey import AsyncClient
from latchkey.openai import LatchkeySession
from latchkey.testing import Worker

LEFT_OUT = (
    "_closes_worker_thread_connections",
    "_reaps_connections_from_exited_worker_threads",
    "_closes_retired_connections_before_the_next_allocation",
    "_keeps_connections_of_live_worker_threads",
    "_closed_rejects_empty_add_items",  # by the text of its error, which names SQLite
    "_skips_corrupt_most_recent",
    "_after_dropping_only_corrupt_rows",
    "_skips_corrupt_newest_rows",
    "_settings_limit_skips_corrupt_rows",
    "_file_lock_is_shared_across_instances",
    "_releases_write_lock",
    "_failed_clear_session_rolls_back",
    "_rollback_failure_evicts_connection",
    "_close_retries_quarantined_connection",
    "_post_commit_cancellation_propagates_after_known_outcome",
)


class SwappedSession(LatchkeySession):
    """Has the parameters of `SQLiteSession`: a file of a database is a part of the device's id."""

    to = ""
    made = 0

    def __init__(self, session_id: str, db_path: Any = ":memory:", **options: Any) -> None:
        settings = options.pop("session_settings", None)
        where = uuid.uuid4() if str(db_path) == ":memory:" else db_path
        client = AsyncClient(self.to)
        super().__init__(f"{where}/{session_id}", client, session_settings=settings)
        self.session_id = session_id
        type(self).made += 1

    def close(self) -> None:  # type: ignore[override]
        """As that of `SQLiteSession`, it is no coroutine."""
        self._is_closed = True


def pytest_configure(config: pytest.Config) -> None:
    folder = tempfile.TemporaryDirectory(prefix="latchkey-")
    # The last one first: the worker ends before its folder goes.
    config.add_cleanup(folder.cleanup)
    worker = Worker(folder.name)
    config.add_cleanup(worker.stop)
    SwappedSession.to = worker.to
    for module in (agents, agents.memory, sqlite_session):
        vars(module)["SQLiteSession"] = SwappedSession


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left = [item for item in items if item.name.split("[")[0].endswith(LEFT_OUT)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not SwappedSession.made and not session.config.option.collectonly:
        raise pytest.UsageError("no test made a session: the SDK keeps its class elsewhere now")
