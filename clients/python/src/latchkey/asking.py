"""How a method of a client becomes a request: descriptors that keep each verb's signature.

`touch = Verb(verbs.touch)` gives the blocking client `touch(...) -> Touched` and the asynchronous
one the same as a coroutine, with the parameters and the docstring of `verbs.touch`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from .request import Request

if TYPE_CHECKING:
    from .names import Address
    from .results import Record

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")


class Blocking(ABC):
    """Sends requests, and returns when the reply is there."""

    @abstractmethod
    def ask(self, request: Request[R]) -> R:
        """The result of a request; see `latchkey.errors` for what it raises."""


class Awaiting(ABC):
    """Sends requests from coroutines."""

    @abstractmethod
    async def ask(self, request: Request[R]) -> R:
        """The result of a request; see `latchkey.errors` for what it raises."""


class Bound:
    """An address, and the lock's token or the turn's number under which its changes happen."""

    is_stateless = False
    """True if this is not a session in Redis, but one in the memory of this process."""

    def __init__(
        self,
        address: Address,
        token: int | None,
        turn: int | None,
        record: Record | None,
    ) -> None:
        self.address = address
        self.token = token
        self.turn = turn
        self.record = record
        """The record as it was when the session was recovered; `get` returns the present one."""

    @property
    def device(self) -> str:
        """The device's id."""
        return self.address.device

    @property
    def id(self) -> str | None:
        """The session's id; None if it is the device's current one."""
        return self.address.session

    def bind(self, request: Request[R]) -> Request[R]:
        """Adds the token, or the turn's number, to a change that has none."""
        request.bind(token=self.token, turn=self.turn)
        return request

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"


class BlockingBound(Bound, Blocking):
    """A blocking session."""


class AwaitingBound(Bound, Awaiting):
    """A session for coroutines."""


class Queued(ABC):
    """Takes requests, and sends them later."""

    @abstractmethod
    def put(self, request: Request[Any]) -> None:
        """Adds a request."""


class QueuedVerb(Generic[P]):
    """A verb that is sent later: it takes the same parameters and returns nothing."""

    def __init__(self, build: Callable[P, Request[Any]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    def __get__(self, owner: Queued, kind: type) -> Callable[P, None]:
        build = self._build

        def call(*args: P.args, **kwargs: P.kwargs) -> None:
            owner.put(build(*args, **kwargs))

        call.__doc__ = build.__doc__
        return call


class Verb(Generic[P, R]):
    """A verb as a method of a client."""

    def __init__(self, build: Callable[P, Request[R]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[P, Request[R]]: ...
    @overload
    def __get__(self, owner: Blocking, kind: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, owner: Awaiting, kind: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(self, owner: Blocking | Awaiting | None, kind: type) -> Callable[P, Any]:
        build = self._build
        if owner is None:
            return build
        ask = owner.ask

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return ask(build(*args, **kwargs))

        call.__doc__ = build.__doc__
        return call


class SessionVerb(Generic[P, R]):
    """A verb as a method of a session: its address is given, and so is the lock's token."""

    def __init__(self, build: Callable[Concatenate[Address, P], Request[R]]) -> None:
        self._build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[Concatenate[Address, P], Request[R]]: ...
    @overload
    def __get__(self, owner: BlockingBound, kind: type) -> Callable[P, R]: ...
    @overload
    def __get__(self, owner: AwaitingBound, kind: type) -> Callable[P, Coroutine[Any, Any, R]]: ...
    def __get__(
        self, owner: BlockingBound | AwaitingBound | None, kind: type
    ) -> Callable[..., Any]:
        build = self._build
        if owner is None:
            return build
        bound = owner

        def call(*args: P.args, **kwargs: P.kwargs) -> Any:
            return bound.ask(bound.bind(build(bound.address, *args, **kwargs)))

        call.__doc__ = build.__doc__
        return call
