"""The errors that the clients raise, and the table from a wire word or code to its type."""

from __future__ import annotations

from typing import Any


class LatchkeyError(Exception):
    """The base of all errors of this package.

    `code` is the word or the code of the reply (`HELD`, `quota`), or empty if there was none.
    `body` is the JSON of the reply, or empty.
    """

    def __init__(self, text: str, code: str = "", body: dict[str, Any] | None = None) -> None:
        super().__init__(text, code, body)
        self.text = text
        self.code = code
        self.body: dict[str, Any] = body or {}

    def __str__(self) -> str:
        return self.text


class Held(LatchkeyError):
    """Another agent holds the device's lock; nothing changed."""

    @property
    def agent(self) -> str | None:
        """The holder, or None if its record is corrupt."""
        return self.body.get("agent")

    @property
    def ttl_ms(self) -> int:
        """The milliseconds until the holder's lock expires unless it is renewed."""
        return self.body.get("ttl_ms") or 0


class Busy(LatchkeyError):
    """Another turn of the device is running; nothing changed."""

    @property
    def agent(self) -> str | None:
        """The agent of the running turn, or None if it has none."""
        return self.body.get("agent")

    @property
    def ttl_ms(self) -> int:
        """The milliseconds until the running turn expires unless it is renewed."""
        return self.body.get("ttl_ms") or 0

    @property
    def ahead(self) -> int:
        """How many requests for a turn wait before this one."""
        return self.body.get("ahead") or 0


class Stale(LatchkeyError):
    """The token, turn, revision or message number that was sent is not current; nothing changed."""

    @property
    def rev(self) -> int | None:
        """The session's current revision, where it was a session that was to be changed."""
        return self.body.get("rev")

    @property
    def seq(self) -> int | None:
        """The chat's newest message number, where it was a chat that was read."""
        return self.body.get("seq")

    @property
    def interrupted(self) -> bool:
        """True if the turn that was sent was ended by another one, or by SEIZE or CLEAR."""
        return bool(self.body.get("interrupted"))


class NotFound(LatchkeyError):
    """There is no such lock, session, chat or message."""


class Refused(LatchkeyError):
    """The worker refused the request for a reason that a retry does not change; see `code`."""


class BadRequest(Refused):
    """A word, an option or a payload is malformed, unknown, out of range or too large."""


class Forbidden(Refused):
    """The secret is missing or invalid, or its principal has no right to this."""


class WatchEnded(Forbidden):
    """The worker has ended the subscription: its principal or its role is gone. The package's own:
    an iteration ends with an entry of the type `watch.ended` instead."""


class IllegalState(Refused):
    """The state of the session does not allow this, or its record is corrupt in Redis."""


class Conflict(Refused):
    """The idempotency key was used for another request, or a name is taken."""


class Quota(Refused):
    """A limit is reached: of sessions, chats, fields, links or subscriptions."""


class Unavailable(LatchkeyError):
    """No worker could serve the request within the deadline. Nothing was done; retry later."""


class UnknownOutcome(LatchkeyError):
    """The request may have been applied: no definite reply came within the deadline.

    Repeat the call with `req=error.req`: it is then applied once.
    """

    @property
    def req(self) -> str | None:
        """The idempotency key of the request."""
        return self.body.get("req")


class LockLost(LatchkeyError):
    """The lock ended while it was needed: it expired, or another agent or process has it."""


class TurnLost(LatchkeyError):
    """The turn ended while it was needed: it expired, or another one interrupted it."""


class InvalidSignature(LatchkeyError):
    """A request to a receiver of webhooks is not signed by the hook's secret, or long ago."""


class ProtocolError(LatchkeyError):
    """The peer sent a line that is no reply of a Latchkey worker."""


ERRORS: dict[str, type[LatchkeyError]] = {
    "HELD": Held,
    "BUSY": Busy,
    "STALE": Stale,
    "NONE": NotFound,
    "bad_request": BadRequest,
    "unknown_verb": BadRequest,
    "too_large": BadRequest,
    "auth_required": Forbidden,
    "forbidden": Forbidden,
    "illegal_state": IllegalState,
    "conflict": Conflict,
    "quota": Quota,
    "unavailable": Unavailable,
    "overloaded": Unavailable,
    "draining": Unavailable,
    "unknown_outcome": UnknownOutcome,
    "internal": Refused,
}
"""Words of replies in capitals, codes of `ERR` in small letters."""
