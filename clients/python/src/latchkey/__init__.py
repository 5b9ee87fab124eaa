"""Latchkey's client: agent locks and session records for functions, over one line of TCP.

    client = latchkey.Client()
    with client.lock("dev-1", "scheduling", ttl="15m") as lock:
        session = client.session("dev-1", token=lock.token)
        session.say({"role": "user", "text": "hello"})

`AsyncClient` has the same methods as coroutines. It is loaded when it is first used, since asyncio
takes longer to import than all else here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .client import Client
from .errors import (
    BadRequest,
    Busy,
    Conflict,
    Forbidden,
    Held,
    IllegalState,
    InvalidSignature,
    LatchkeyError,
    LockLost,
    NotFound,
    ProtocolError,
    Quota,
    Refused,
    Stale,
    TurnLost,
    Unavailable,
    UnknownOutcome,
)
from .lock import Lock
from .names import ALL, Address, Duration, RawId
from .session import Session
from .tls import TLS
from .turn import Turn

if TYPE_CHECKING:
    from .aio import AsyncClient, AsyncLock, AsyncSession, AsyncTurn
    from .aio.near import AsyncNearClient
    from .behind import AutoSave, WriteBehind
    from .near import NearClient
    from .outbox import QueueFull

__version__ = "0.1.0"

__all__ = [
    "ALL",
    "TLS",
    "Address",
    "AsyncClient",
    "AsyncLock",
    "AsyncNearClient",
    "AsyncSession",
    "AsyncTurn",
    "AutoSave",
    "BadRequest",
    "Busy",
    "Client",
    "Conflict",
    "Duration",
    "Forbidden",
    "Held",
    "IllegalState",
    "InvalidSignature",
    "LatchkeyError",
    "Lock",
    "LockLost",
    "NearClient",
    "NotFound",
    "ProtocolError",
    "QueueFull",
    "Quota",
    "RawId",
    "Refused",
    "Session",
    "Stale",
    "Turn",
    "TurnLost",
    "Unavailable",
    "UnknownOutcome",
    "WriteBehind",
]

_LAZY = {
    "AsyncClient": "aio",
    "AsyncLock": "aio",
    "AsyncNearClient": "aio.near",
    "AsyncSession": "aio",
    "AsyncTurn": "aio",
    "AutoSave": "behind",
    "NearClient": "near",
    "QueueFull": "outbox",
    "WriteBehind": "behind",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'latchkey' has no attribute {name!r}")
