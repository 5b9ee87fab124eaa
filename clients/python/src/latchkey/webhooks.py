"""The receiver's side of webhooks: is a request from the workers, and what does it say?

    event = webhooks.verify(body, headers["Latchkey-Signature"], secret)

It sends nothing, and needs no client.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Sequence
from typing import Any, TypedDict, cast

from . import results
from .errors import InvalidSignature
from .names import decode_id, load
from .results import Event

HEADER = "Latchkey-Signature"
"""The header that has the signature."""

ID_HEADER = "Latchkey-Event-Id"
"""The header that has the event's id, as the body has it."""

_SIGNATURES_MAX = 16
"""More of them in one header are refused."""


class _CloudEvent(TypedDict):
    specversion: str
    id: str
    source: str
    type: str
    data: Event


class CloudEvent(_CloudEvent, total=False):
    """An event as it is delivered, by CloudEvents 1.0. `id` is the same at each attempt: handle
    each once. `subject` is the device, `time` the `at` of `data` by RFC 3339, and `data` the event
    as `Client.events` gives it."""

    subject: str
    time: str
    datacontenttype: str
    traceparent: str


def verify(
    body: bytes,
    header: str | None,
    secret: str | bytes | Sequence[str | bytes],
    *,
    tolerance_s: float = 300,
    now: float | None = None,
) -> CloudEvent:
    """The event that a request brings.

    `body`: the bytes as they came, since JSON that was read and written again may have others.
    `header`: the value of `Latchkey-Signature`, None if there is none. `secret`: that of the hook;
    while it is being replaced, the old and the new one. `tolerance_s`: how far the time of the
    signature may be from this host's clock, `now` in Unix seconds, either way.

    Raises InvalidSignature: answer 401 or 403, and the worker tries again. Raises TypeError if the
    body is no bytes, ValueError if a secret is empty."""
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError("body: give the bytes as they came, not text or what was read from them")
    raw = bytes(body)
    secrets = [secret] if isinstance(secret, (str, bytes)) else secret
    keys = [one.encode() if isinstance(one, str) else one for one in secrets]
    if not keys or not all(keys):
        raise ValueError("secret: it is empty")
    moment, signatures = _parts(header)
    wanted = [
        hmac.new(key, moment.encode() + b"." + raw, hashlib.sha256).hexdigest().encode()
        for key in keys
    ]
    # All are compared: how long it takes says nothing about which.
    matches = [hmac.compare_digest(one, given) for one in wanted for given in signatures]
    if not any(matches):
        raise InvalidSignature("no signature is by this secret")
    age_s = (time.time() if now is None else now) - int(moment)
    if abs(age_s) > tolerance_s:
        side = f"{age_s:.0f} s old" if age_s > 0 else f"{-age_s:.0f} s ahead of this host's clock"
        raise InvalidSignature(f"the signature is {side}, and {tolerance_s:g} s are allowed")
    return _event(raw)


def _parts(header: str | None) -> tuple[str, list[bytes]]:
    """The time's digits, and the signatures of the version that is known."""
    if not header:
        raise InvalidSignature(f"there is no header {HEADER}: has the hook a secret?")
    moments: list[str] = []
    signatures: list[bytes] = []
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            moments.append(value)
        elif name == "v1":
            signatures.append(value.encode(errors="replace"))
    is_whole = len(moments) == 1 and 0 < len(signatures) <= _SIGNATURES_MAX
    if not is_whole or not re.fullmatch("[0-9]{1,15}", moments[0]):
        raise InvalidSignature(f"the header {HEADER} is malformed: t=SECONDS,v1=HEX is expected")
    return moments[0], signatures


def _event(raw: bytes) -> CloudEvent:
    try:
        found: Any = load(raw.decode())
        found["data"] = results.event_of(found["data"])
        if "subject" in found:
            found["subject"] = decode_id(found["subject"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidSignature(f"the signature is valid, but the body no event: {error}") from error
    return cast("CloudEvent", found)
