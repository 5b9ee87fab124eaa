"""The session managers that Latchkey replaces, under their own names.

Each module has the names, parameters and results of one earlier system, on top of `Client`:

    latchkey.compat.device_lock     SessionService of a serverless bot
    latchkey.compat.agent_sessions  AgentSessionManager of a multi-user agent
    latchkey.compat.workspace       UserSessionService of a workspace, and its routes

docs/replacing has a page for each, with every name. The TypeScript client has the proposal editor's
SessionManager, the chat SDK's SessionManagerImpl, and the workspace's side in the browser.
"""
