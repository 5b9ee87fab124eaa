"""The client for coroutines: the same names, parameters, results and errors."""

from .client import AsyncClient
from .lock import AsyncLock
from .session import AsyncSession

__all__ = ["AsyncClient", "AsyncLock", "AsyncSession"]
