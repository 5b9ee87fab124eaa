"""A reply line, taken apart; and the bytes of a connection, taken apart into lines."""

from __future__ import annotations

from typing import Any, NamedTuple

from .errors import ERRORS, ProtocolError, Refused
from .names import decode_id, load

RETRYABLE = frozenset({"unavailable", "overloaded", "draining", "unknown_outcome"})
"""The codes after which the same line may succeed; nothing was done, but for the last."""

ENDING = RETRYABLE | {"auth_required"}
"""The codes after which the next attempt uses a new connection."""

UNADMITTED = frozenset({"auth_required", "forbidden"})
"""The codes of a request that was refused before its idempotency key was looked up."""


class Reply(NamedTuple):
    """One line from the worker."""

    word: str
    """`OK`, `HELD`, `BUSY`, `NONE`, `STALE`, `ERR` or `EVENT`."""
    rest: str
    """What follows the word, as it came: JSON, or for `ERR` a code and a text."""

    @property
    def code(self) -> str:
        """The code of an `ERR`, else the word."""
        return self.rest.partition(" ")[0] if self.word == "ERR" else self.word

    @property
    def body(self) -> Any:
        """The JSON behind the word; `{}` where there is none."""
        return load(self.rest) if self.rest else {}

    def error(self, verb: str) -> Exception:
        """The error for a reply that is not `OK`."""
        if self.word == "ERR":
            text = self.rest.partition(" ")[2]
            return ERRORS.get(self.code, Refused)(text, self.code)
        body = self.body
        if isinstance(body.get("agent"), str):
            body["agent"] = decode_id(body["agent"])
        return ERRORS.get(self.word, Refused)(_sentence(self.word, verb, body), self.word, body)


def _sentence(word: str, verb: str, body: dict[str, Any]) -> str:
    if word == "HELD":
        ttl_s = (body.get("ttl_ms") or 0) / 1000
        return f"{verb}: the device is held by {body.get('agent')!r} for {ttl_s:g} s more"
    if word == "BUSY":
        ttl_s = (body.get("ttl_ms") or 0) / 1000
        return f"{verb}: another turn of the device is running, for {ttl_s:g} s more at most"
    if word == "NONE":
        return f"{verb}: there is no such lock, session, chat or message"
    members = ", ".join(f"{name}={value!r}" for name, value in body.items())
    return (
        f"{verb}: the given token, turn, revision or number is not current: {members or 'unknown'}"
    )


class RejectedError(Exception):
    """AUTH was not answered with `OK`; what was sent behind it did nothing."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


WORDS = frozenset({"OK", "HELD", "BUSY", "NONE", "STALE", "ERR", "EVENT"})


def parse_reply(line: bytes) -> Reply:
    """Takes a line apart. Raises ProtocolError if no worker of Latchkey can have sent it."""
    try:
        word, _, rest = line.decode().partition(" ")
    except UnicodeDecodeError:
        raise ProtocolError("the reply is not UTF-8") from None
    if word not in WORDS:
        raise ProtocolError(f"the reply begins with {line[:40]!r}: is this a Latchkey worker?")
    return Reply(word, rest)


class LineBuffer:
    """Bytes as they arrive, and the lines in them, without their ends."""

    __slots__ = ("_bytes", "_searched")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Adds bytes."""
        self._bytes += data

    def next_line(self) -> bytes | None:
        """The next complete line, or None if more bytes are needed."""
        end = self._bytes.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._bytes)
            return None
        line = bytes(self._bytes[:end])
        del self._bytes[: end + 1]
        self._searched = 0
        return line[:-1] if line.endswith(b"\r") else line

    @property
    def is_empty(self) -> bool:
        """True if no byte is left."""
        return not self._bytes
