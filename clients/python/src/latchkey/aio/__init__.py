"""The client for coroutines: the same names, parameters, results and errors."""

from .client import AsyncClient
from .lock import AsyncLock
from .session import AsyncSession
from .turn import AsyncTurn

__all__ = ["AsyncClient", "AsyncLock", "AsyncSession", "AsyncTurn"]
