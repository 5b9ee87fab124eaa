"""How Python values become parts of a request line, and parts of a reply become Python values.

Ids are percent-encoded, so that any text may name a device, an agent, a user or a link.
"""

from __future__ import annotations

import json
import os
import re
from datetime import timedelta
from typing import Any, Final, NamedTuple

Duration = int | float | timedelta | str
"""Seconds, a timedelta, or a text such as `'30s'`, `'500ms'`, `'24h'`."""

_NOT_BARE = re.compile(r"[^A-Za-z0-9._:@+~!*'()-]")
_WORD = re.compile(r"[A-Za-z0-9._:@+%~!*'()/,-]+")
_ENCODED = re.compile(r"(?:%[0-9A-F]{2})+")
_DURATION = re.compile(r"[0-9]+(?:ms|s|m|h|d)?")


class RawId(str):
    """An id that is sent as it is, without percent-encoding.

    Replies contain one where another client has chosen an id that no text encodes to, such as
    `caf%c3%a9` with lower-case digits.
    """


class All:
    """The type of `ALL`."""

    def __repr__(self) -> str:
        return "latchkey.ALL"


ALL: Final = All()
"""Stands for all devices (`*` on the wire), where a device is meant otherwise."""


class Address(NamedTuple):
    """A session or a chat of a device.

    `session` and `chat` may be `'current'`; None means the current one, too.
    """

    device: str
    session: str | None = None
    chat: int | str | None = None


def encode_id(text: str) -> str:
    """An id for the wire: all bytes but `A-Z a-z 0-9 . _ : @ + - ~ ! * ' ( )` percent-encoded.

    Raises TypeError for what is no text, and ValueError for an empty text.
    """
    if not isinstance(text, str):
        raise TypeError(f"an id is a str, not {type(text).__name__}")
    if not text:
        raise ValueError("an id has at least one character")
    if isinstance(text, RawId):
        if _NOT_BARE.search(text.replace("%", "")):
            raise ValueError(f"{str(text)!r} cannot be sent without percent-encoding")
        return text
    if text == "*":
        return "%2A"
    return _NOT_BARE.sub(_encode_match, text)


def _encode_match(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def decode_id(encoded: str) -> str:
    """The text of an id from the wire; `encode_id` returns the same id again."""
    if "%" not in encoded and encoded != "*":
        return encoded
    try:
        text = _ENCODED.sub(_decode_match, encoded)
        return text if encode_id(text) == encoded else RawId(encoded)
    except (UnicodeDecodeError, ValueError):
        return RawId(encoded)


def _decode_match(match: re.Match[str]) -> str:
    return bytes.fromhex(match[0].replace("%", "")).decode("utf-8", "surrogatepass")


def address(where: str | Address) -> str:
    """An address for the wire; a plain text is a device, whatever characters it has."""
    if isinstance(where, str):
        return encode_id(where)
    device, session, chat = where
    if session is None and chat is None:
        return encode_id(device)
    parts = [encode_id(device), "current" if session is None else encode_id(session)]
    if chat is not None:
        parts.append(number(chat) if isinstance(chat, int) else encode_id(chat))
    return "/".join(parts)


def number(value: int) -> str:
    """An integer for the wire. Raises TypeError for anything else, bool included."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an int is needed, not {type(value).__name__}")
    return str(int(value))


def word(text: str) -> str:
    """A text for the wire: as it is if it is bare, else as a JSON string."""
    if not isinstance(text, str):
        raise TypeError(f"a str is needed, not {type(text).__name__}")
    return text if _WORD.fullmatch(text) else dump(text)


def flag(value: bool) -> str:
    """`yes` or `no`."""
    return "yes" if value else "no"


def words(values: str | list[str] | tuple[str, ...]) -> str:
    """One or several words, separated by commas."""
    return word(values if isinstance(values, str) else ",".join(values))


def duration(value: Duration) -> str:
    """A duration for the wire: seconds as a number or a timedelta, or a text such as `'30s'`.

    Raises ValueError for a negative or an infinite one, and for a text of another form.
    """
    if isinstance(value, str):
        if not _DURATION.fullmatch(value):
            raise ValueError(f"{value!r} is no duration: digits and ms, s, m, h or d")
        return value
    milliseconds = round(seconds(value) * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"


_UNIT_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: Duration) -> float:
    """A duration in seconds. Raises ValueError as `duration` does; TypeError for another type."""
    if isinstance(value, str):
        digits = duration(value).rstrip("dhms")
        return int(digits) * _UNIT_S[value[len(digits) :]]
    if isinstance(value, timedelta):
        value = value.total_seconds()
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"a duration is a number of seconds, not {type(value).__name__}")
    if not 0 <= value < 1e12:
        raise ValueError(f"{value!r} is no duration in seconds")
    return float(value)


def dump(value: Any) -> str:
    """Compact JSON. Raises TypeError or ValueError for what JSON cannot express, NaN included."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def utf8(line: str) -> bytes:
    """A line as bytes. A lone surrogate, which UTF-8 cannot express, is escaped as JSON does."""
    try:
        return line.encode()
    except UnicodeEncodeError:
        escaped = [c if c < "\ud800" or c > "\udfff" else f"\\u{ord(c):04x}" for c in line]
        return "".join(escaped).encode()


def load(text: str) -> Any:
    """The value of JSON from the worker; integers too long for `int` become `decimal.Decimal`."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # int() limits the number of digits
        return json.loads(text, parse_int=_long_integer)


def _long_integer(digits: str) -> Any:
    if len(digits) < 4000:
        return int(digits)
    from decimal import Decimal

    return Decimal(digits)


def new_req() -> str:
    """A new idempotency key."""
    return os.urandom(16).hex()
