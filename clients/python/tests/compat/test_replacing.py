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
        conversation_states _get_lock _set_lock _get_session_service run_manager
        _session_store validate_device_id X-Device-ID ensureDeviceId
    """,
    "multi-user-agent": """
        AgentSessionManager create_user_session get_or_create_user_session
        get_current_user_session update_session deactivate_session list_active_sessions
        clear_memory_cache has_session get_session_count title thread_id created_at updated_at
        is_active user_id user_sessions setup_environment_variables BaseAgent
    """,
    "workspace": """
        UserSessionService create_user_session get_active_session update_session_activity
        link_mission_to_session abandon_inactive_sessions UserSession UserSessionStatus id user_id
        name status chat_id mission_id session_metadata created_at updated_at last_activity_at
        user_sessions ACTIVE COMPLETED ABANDONED ARCHIVED Chat ChatMessage Mission Hop ToolStep
        Asset validate_token SessionApiClient SessionAPI createSession
        initializeSession getActiveSession
        updateSession completeSession updateSessionActivity autoSaveSession
        CreateUserSessionRequest CreateUserSessionResponse UpdateUserSessionRequest SessionContext
        SessionContextType useSession currentSession isSessionLoading sessionError loadSession
        linkMissionToSession saveSessionState recoverSession updateActivity getSessionMetadata
        listSessions switchToSession currentSessionId AuthContext JamBotContext
        ChatAPI MissionService
    """,
    "proposal-editor": """
        SessionManager createSession recordActivity updateSession pauseSession resumeSession
        closeSession recoverSession start stop cleanupOldSessions SessionMetadata sessionId
        proposalId userId
        threadId lastActivity createdAt state currentPhase currentStep errorDetails
        PostgresCheckpointer proposal_sessions
    """,
    "chat-sdk": """
        SessionManagerImpl SessionManagerConfig Logger createSession getSession getUserSessions
        getAllActiveSessions
        deserializeSession shutdown maxActiveSessions maxSessionsPerUser autoCleanup
        cleanupInterval sessionTimeout maxChatsPerSession persistenceAdapter logger
        MultiUserSessionManager createUserSession cleanupUserSessions getActiveUserCount
        getTotalActiveChats PersistentSessionManager saveSession loadSession recoverUserSessions
        SessionPersistenceAdapter save load delete getUserSessionIds SessionAnalytics
        getSystemStats getUserActivityReport totalActiveSessions totalActiveUsers totalActiveChats
        averageChatsPerSession oldestSession newestSession totalSessions activeSessions totalChats
        SessionCreateOptions sessionName metadata preferences
        tags expiresAt autoSave createNewChat switchToChat sendMessage pause resume close serialize
        getStats ChatCreateOptions chatName robotaConfig systemPrompt maxMessages getLastResponse
        RobotaConfig OpenAIProvider Robota aiProviders currentProvider currentModel toolProviders
        debug sessionId userId
        chatId chatCount totalMessages createdAt lastActivity isActive isPaused messageCount
        lastMessage averageResponseTime
    """,
}

ROUTES = [
    "POST /api/sessions/", "GET /api/sessions/", "GET /api/sessions/active",
    "GET /api/sessions/{session_id}", "PUT /api/sessions/{session_id}",
    "POST /api/sessions/{session_id}/link-mission/{mission_id}",
    "POST /api/sessions/{session_id}/activity", "POST /api/sessions/{session_id}/complete",
]  # fmt: skip

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
    "workspace": [
        "Authentication", "Scoped to the user", "No cross-user access", "Encrypted metadata",
        "Sensitive data", "Auto-cleanup", "Lazy loading", "Pagination", "Selective updates",
        "Debouncing", "Batch operations", "Background processing", "Session recovery",
        "Auto-save failures", "Offline support", "Session sharing", "Session analytics",
        "Advanced recovery", "Real-time sync", "New metadata fields", "Cleanup policies",
        "Migration of rows", "Activity tracking", "Periodic saves", "State snapshots",
        "Messages of a chat", "Cleanup at logout", "Session history", "Several tabs",
    ],
    "proposal-editor": [
        "Session timeout (30 minutes)", "Check interval (1 minute)",
        "Maximum lifetime (24 hours)", "Access to the proposal", "A thread if needed", "Errors",
        "Persistence", "Cleanup of old sessions", "Ownership of a session", "Tokens of an API",
        "Isolation of users", "Row-level security", "Status in the UI", "Timeout warnings",
        "Manual pausing and resuming", "Recovery options", "Session not found", "Cannot resume",
        "Frequent timeouts", "Persistence failures", "Activity tracking", "Workflow state",
    ],
    "chat-sdk": [
        "Multiple chats in a session", "Session lifecycle", "Several users",
        "Persistence and recovery", "Session limits", "Statistics", "Error handling", "Batches",
        "Context switching under load", "Two messages at once", "Memory of the process", "Setup",
        "Session creation fails", "Wrong chat context", "Performance", "Cleanup in production",
    ],
}  # fmt: skip


def rows(page: str) -> list[tuple[str, str]]:
    """The rows with two cells, of all tables of a page."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    return re.findall(r"^\| (.+?) \| (.+) \|$", text, re.M)


def names(page: str) -> list[str]:
    """The names of a page, as they are written there."""
    routes = ROUTES if page == "workspace" else []
    return [f"`{name}`" for name in (*NAMES[page].split(), *routes)]


@pytest.mark.parametrize("page", NAMES)
def test_each_name_has_one_row_that_says_what_does_it(page: str) -> None:
    found = [name for name, _ in rows(page)]
    wanted = names(page)
    assert [name for name in wanted if found.count(name) != 1] == []
    assert [name for name, by in rows(page) if name in wanted and len(by) < 4] == []


@pytest.mark.parametrize("page", TOPICS)
def test_each_topic_has_one_row(page: str) -> None:
    found = [name for name, _ in rows(page)]
    assert [topic for topic in TOPICS[page] if found.count(topic) != 1] == []


@pytest.mark.parametrize("page", NAMES)
def test_no_row_is_of_a_name_that_the_lists_do_not_have(page: str) -> None:
    known = {*names(page), *TOPICS[page], "name", "topic", "---"}
    assert [name for name, _ in rows(page) if name not in known] == []
