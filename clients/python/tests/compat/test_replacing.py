"""docs/replacing has a row for each name and each topic of the earlier systems.

The lists are the names under which their callers know them: classes, functions, options, members,
states, routes, and what their documents have a heading or an item for.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[4] / "docs" / "replacing"

NAMES = {
    "serverless-bot": """
        SessionService get_session_lock set_session_lock clear_session_lock
        cleanup_expired_sessions _is_session_expired SessionLocal DATABASE_URL DEFAULT_SESSION_TTL
        ConversationState patient_profile_id active_agent locked_at session_ttl
        conversation_states _get_lock _set_lock _session_store validate_device_id X-Device-ID
        ensureDeviceId
    """,
    "multi-user-agent": """
        AgentSessionManager create_user_session get_or_create_user_session
        get_current_user_session update_session deactivate_session list_active_sessions
        clear_memory_cache has_session get_session_count title thread_id created_at updated_at
        is_active user_id user_sessions setup_environment_variables BaseAgent
    """,
}

TOPICS = {
    "serverless-bot": [
        "Fallback to stateless mode", "Session TTL options", "Active sessions",
        "Session duration", "Cleanup rate", "Error rate", "Logging", "Debug mode",
        "Database queries", "Database migration", "Rollback plan", "Indexes",
        "Connection pooling", "Query optimization", "Memory usage", "Horizontal scaling",
        "Database scaling", "Session isolation", "No cross-device", "TTL enforcement",
        "Minimal storage", "Automatic cleanup", "No sensitive data", "Session not persisting",
        "Database errors", "Performance issues", "Redis caching", "Session analytics",
        "Custom TTL", "Session sharing between devices", "Session backup", "Query caching",
        "Batch operations", "Async cleanup", "Load testing",
    ],
    "multi-user-agent": [
        "Database persistence", "Memory caching", "Thread management", "Session lifecycle",
        "Isolation", "Persistence across restarts", "Context continuity", "Scalability",
        "State management", "Updating titles", "Deactivating at logout",
        "Monitoring active sessions", "Falling back to memory", "Missing sessions", "Warnings",
    ],
}  # fmt: skip


def rows(page: str) -> list[tuple[str, str]]:
    """The rows with two cells, of all tables of a page."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    return re.findall(r"^\| (.+?) \| (.+) \|$", text, re.M)


@pytest.mark.parametrize("page", NAMES)
def test_each_name_has_one_row_that_says_what_does_it(page: str) -> None:
    found = [name for name, _ in rows(page)]
    wanted = [f"`{name}`" for name in NAMES[page].split()]
    assert [name for name in wanted if found.count(name) != 1] == []
    assert all(len(by) > 5 for name, by in rows(page) if name in wanted)


@pytest.mark.parametrize("page", TOPICS)
def test_each_topic_has_one_row(page: str) -> None:
    found = [name for name, _ in rows(page)]
    assert [topic for topic in TOPICS[page] if found.count(topic) != 1] == []


@pytest.mark.parametrize("page", NAMES)
def test_no_row_is_of_a_name_that_the_lists_do_not_have(page: str) -> None:
    known = (
        {f"`{name}`" for name in NAMES[page].split()} | {*TOPICS[page]} | {"name", "topic", "---"}
    )
    assert [name for name, _ in rows(page) if name not in known] == []
