"""What the adapters of agent frameworks share.

An operation of an adapter is a generator: it yields requests and is sent their results, so that one
description of it serves a framework's blocking methods and its coroutines.
"""

from __future__ import annotations

import asyncio
import base64
import threading
import zlib
from collections.abc import AsyncGenerator, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote

from . import verbs
from .client import Client
from .collecting import Collected, collecting, concerned
from .errors import Conflict, IllegalState, LatchkeyError, NotFound
from .names import Address, dump, encode_id
from .request import Request
from .running import RunningTurn
from .turn import Turn

if TYPE_CHECKING:
    from .aio import AsyncClient, AsyncTurn

T = TypeVar("T")

Asked = Request[Any] | list[Request[Any]]
"""One request; or several that are sent together, in one round trip, whose results are a list."""

Steps = Generator[Asked, Any, T]
"""An operation, and the type of its result."""

_COLLECTED = 20
"""The newest messages that a turn which collects begins with, unless `last` is given."""

_NONE: Mapping[str, int] = MappingProxyType({})

_running: ContextVar[Mapping[str, int]] = ContextVar("latchkey_turns", default=_NONE)
"""The turns of the running task or thread, by device, and those of the ones that started it."""


class Adapter:
    """The clients of an adapter, and the sessions that it makes.

    Of the two clients one may be missing: it is then made, with the other's options, when it is
    first needed. Without both they are configured by LATCHKEY_TO and LATCHKEY_SECRET.
    """

    def __init__(
        self,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        **opening: Any,
    ) -> None:
        """Given clients are shared and stay open. `opening`: parameters of `Client.open` for new
        sessions, such as `user` and `policy`; the clocks `idle`, `abandon` and `life` are off
        unless they are given."""
        self._given = client, async_client
        self._client = client
        self._async_client = async_client
        self._making = threading.Lock()
        self._opening: dict[str, Any] = {"idle": 0, "abandon": 0, "life": 0, **opening}
        verbs.turn("-", **self._turn_options({}))  # raises for what is no parameter
        self._linked = Recent()

    # --- turns

    def device(self, of: Any) -> str:
        """The device of a conversation, as the adapter's methods name it."""
        if of is None:
            raise TypeError(f"{type(self).__name__}: name the conversation whose turn it is")
        return str(of)

    @contextmanager
    def turn(self, of: Any = None, /, *, collect: bool = False, **options: Any) -> Iterator[Turn]:
        """A turn of a conversation: inside the block adapters change it only while it runs.

        `of` names the conversation, unless the adapter has only one. With `collect`, messages
        that are said to its current chat are applied together at the end of the block, or not at
        all, and reading the chat needs no request: a whole run takes two round trips. `options`
        are those of `Client.turn`, such as `wait` and `last`. A change raises Stale once the turn
        is lost. Raises Busy if another one is running, after `wait`."""
        device = self.device(of)
        with (
            self.blocking().turn(device, **self._turn_options(options, collect)) as turn,
            _under(turn, collect) as collected,
        ):
            yield turn
            if collected is not None and (unknown := collected.unknown) is not None:
                self.blocking().ask(unknown)
                collected.said()

    @asynccontextmanager
    async def aturn(
        self, of: Any = None, /, *, collect: bool = False, **options: Any
    ) -> AsyncGenerator[AsyncTurn, None]:
        """As `turn`, for `async with`."""
        device = self.device(of)
        async with self.awaiting().turn(device, **self._turn_options(options, collect)) as turn:
            with _under(turn, collect) as collected:
                yield turn
                if collected is not None and (unknown := collected.unknown) is not None:
                    await self.awaiting().ask(unknown)
                    collected.said()

    def _turn_options(self, options: dict[str, Any], collect: bool = False) -> dict[str, Any]:
        opening = {"session_policy" if k == "policy" else k: v for k, v in self._opening.items()}
        return {"last": _COLLECTED if collect else 1, **opening, **options}

    # --- the clients

    def blocking(self) -> Client:
        """The client that blocks."""
        if self._client is None:
            with self._making:
                if self._client is None:
                    options = self._async_client.options if self._async_client else None
                    self._client = Client() if options is None else Client.configured(options)
        return self._client

    def awaiting(self) -> AsyncClient:
        """The client for coroutines."""
        if self._async_client is None:
            from .aio import AsyncClient

            with self._making:
                if self._async_client is None:
                    options = self._client.options if self._client else None
                    self._async_client = (
                        AsyncClient() if options is None else AsyncClient.configured(options)
                    )
        return self._async_client

    def close(self) -> None:
        """Closes the blocking client, unless it was given."""
        if self._client is not None and self._given[0] is None:
            self._client.close()

    async def aclose(self) -> None:
        """Closes both clients, except given ones."""
        self.close()
        if self._async_client is not None and self._given[1] is None:
            await self._async_client.close()

    # --- operations

    def run(self, steps: Steps[T]) -> T:
        """The result of an operation. Raises LatchkeyError, and what the operation raises."""
        client = self.blocking()
        try:
            asked = next(steps)
            while True:
                try:
                    for collected in concerned(asked):
                        if (saying := collected.saying()) is not None:
                            client.ask(saying)
                        collected.said()
                    answer: Any = (
                        client.ask_all(asked) if isinstance(asked, list) else client.ask(asked)
                    )
                except LatchkeyError as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def arun(self, steps: Steps[T]) -> T:
        """As `run`. It is carried out even if the task is cancelled meanwhile."""
        return await settled(self.aread(steps))

    async def aread(self, steps: Steps[T]) -> T:
        """As `run`, for an operation that changes nothing: a cancelled task leaves it at once."""
        client = self.awaiting()
        try:
            asked = next(steps)
            while True:
                try:
                    for collected in concerned(asked):
                        if (saying := collected.saying()) is not None:
                            await client.ask(saying)
                        collected.said()
                    answer: Any = (
                        await client.ask_all(asked)
                        if isinstance(asked, list)
                        else await client.ask(asked)
                    )
                except LatchkeyError as error:
                    asked = steps.throw(error)
                else:
                    asked = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def changed(
        self,
        device: str,
        request: Request[T],
        *,
        turn: int | None = None,
        token: int | None = None,
        **opening: Any,
    ) -> Steps[T]:
        """Asks for a change of the device's session, which is made, or recovered, if need be.

        `opening` adds parameters for a new session. Of several callers that find no session one
        makes it, and the others recover it."""
        collected = collecting.get().get(encode_id(device))
        if collected is not None and (taken := collected.takes(request)) is not None:
            return cast("T", taken)
        try:
            result: T = yield bound(request, device, turn=turn, token=token)
            return result
        except (NotFound, IllegalState):
            opening = {**self._opening, **opening}
            yield bound(verbs.recover(device, **opening), device, turn=turn, token=token)
            # Of a request that changed nothing the worker keeps no reply: its key tries anew.
            result = yield request
            return result

    def first_change(self, device: str, request: Request[T], link: Mapping[str, Any]) -> Steps[T]:
        """As `changed`, and links the session, also one that a turn has made: once in a process."""
        if device in self._linked:
            return (yield from self.changed(device, request, link=link))
        linking = [
            verbs.link(device, kind, ref)
            for kind, refs in link.items()
            for ref in ([refs] if isinstance(refs, str) else refs)
        ]
        try:
            results = yield [bound(one, device) for one in (request, *linking)]
            result: T = results[0]
        except (NotFound, IllegalState):
            result = yield from self.changed(device, request, link=link)
            yield [bound(one, device) for one in linking]
        self._linked.add(device)
        return result

    def chat(self, device: str, name: str, link: Mapping[str, Any]) -> Steps[None]:
        """Makes a chat that refuses messages when it is full, so that none is dropped; and the
        session, if need be, with links. The current chat stays what it was."""
        made = verbs.chat(device, name=name, full="refuse")
        with suppress(Conflict):  # another caller has made it
            yield from self.changed(device, made, link=link)
            yield bound(verbs.switch(Address(device, "current", 1)), device)
        if link:
            yield bound(verbs.set(Address(device, "current"), link=link), device)


class Recent:
    """Names that were seen, up to a number of them: then it begins anew."""

    def __init__(self, count_max: int = 10_000) -> None:
        self._count_max = count_max
        self._names: set[Any] = set()

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def add(self, name: Any) -> None:
        """Remembers a name."""
        if len(self._names) >= self._count_max:
            self._names.clear()
        self._names.add(name)

    def discard(self, name: Any) -> None:
        """Forgets a name."""
        self._names.discard(name)


def running(device: str) -> int | None:
    """The number of the device's turn in whose block the caller is."""
    return _running.get().get(device)


def bound(
    request: Request[T], device: str, *, turn: int | None = None, token: int | None = None
) -> Request[T]:
    """The request with a turn, or a token, under which it happens: the given one, else that of the
    block around the caller."""
    turn = running(device) if turn is None and token is None else turn
    request.bind(token=token, turn=turn)
    return request


@contextmanager
def _under(turn: RunningTurn, collect: bool) -> Iterator[Collected | None]:
    before, collected_before = _running.get(), collecting.get()
    _running.set({**before, turn.device: turn.number})
    # An inner turn of the device that does not collect is not to be answered by an outer one.
    found = {k: v for k, v in collected_before.items() if k != encode_id(turn.device)}
    collected = Collected(turn) if collect else None
    if collected is not None:
        found[collected.device] = collected
    collecting.set(found)
    try:
        yield collected
    finally:
        _running.set(before)
        collecting.set(collected_before)


async def settled(change: Coroutine[Any, Any, T]) -> T:
    """The result of a change, which is carried out even if the caller is cancelled meanwhile.

    The cancellation is raised when the outcome is known, so that a caller who handles it finds the
    conversation as it will stay."""
    task = asyncio.ensure_future(change)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    if cancelled is None:
        return task.result()
    task.exception()  # the cancellation is what is raised
    raise cancelled


# --- what several adapters read --------------------------------------------------------------

PAGE = 1000
"""The most messages, sessions or keys of one request."""


def messages(where: verbs.Where, *, last: int | None = None, after: int = 0) -> Steps[list[Any]]:
    """The messages of a chat after a number, or the newest `last`, oldest first, each with `seq`
    and `at`.

    A message that is corrupt in Redis is left out. Raises NotFound."""
    if last is not None and last <= 0:
        return []
    device = where if isinstance(where, str) else where.device
    collected = collecting.get().get(encode_id(device)) if after == 0 else None
    if collected is not None and (known := collected.messages(where, last)) is not None:
        return known
    if last is not None and last <= PAGE:
        page = yield verbs.history(where, last=last, limit=last)
        found = page["messages"]
        if len(found) == last or not page["more"]:
            return [one for one in found if one["message"] is not None]
    found = []
    while True:
        page = yield verbs.history(where, after=after, limit=PAGE)
        found += [one for one in page["messages"] if one["message"] is not None]
        if not page["more"] or not page["messages"]:
            return found if last is None else found[-last:]
        after = page["messages"][-1]["seq"]


def linked(kind: str, ref: str, **options: Any) -> Steps[list[Any]]:
    """The records of all sessions with a link, newest first."""
    found: list[Any] = []
    cursor: str | None = None
    named: dict[str, Any] = {kind: ref}
    while True:
        page = yield verbs.list(limit=PAGE, cursor=cursor, **named, **options)
        found += page["sessions"]
        cursor = page["cursor"]
        if cursor is None:
            return found


def documents(where: verbs.Where, **options: Any) -> Steps[list[Any]]:
    """All documents of a range of keys; none if there is no session."""
    found: list[Any] = []
    cursor: str | None = None
    while True:
        try:
            page = yield verbs.keys(where, limit=PAGE, cursor=cursor, **options)
        except NotFound:
            return found
        found += page["documents"]
        cursor = page["cursor"]
        if cursor is None:
            return found


_SMALL = 1024
"""Bytes below which a value is not compressed."""


def pack(data: bytes) -> list[str]:
    """Bytes as JSON: base64, with a second member if they are compressed."""
    if len(data) > _SMALL:
        smaller = zlib.compress(data, 1)
        if len(smaller) < len(data) * 0.9:
            return [base64.b64encode(smaller).decode(), "zlib"]
    return [base64.b64encode(data).decode()]


def unpack(packed: Sequence[str]) -> bytes:
    """The reverse of `pack`."""
    data = base64.b64decode(packed[0])
    return zlib.decompress(data) if len(packed) > 1 else data


def part(text: str) -> str:
    """A text as a part of a key, a device or a link, in which `/` is no separator."""
    return quote(text, safe="|-_.~@+!*'() ")


_BATCH_CHARS = 700_000


def batches(put: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Documents in the order of the mapping, as many at a time as fit one request."""
    batch: dict[str, Any] = {}
    size = 0
    for key, value in put.items():
        length = len(key) + len(value if isinstance(value, str) else dump(value))
        if batch and (size + length > _BATCH_CHARS or len(batch) == PAGE):
            yield batch
            batch, size = {}, 0
        batch[key] = value
        size += length
    if batch:
        yield batch


def optional(request: Request[T]) -> Request[T | None]:
    """The request with None as its result where there is no such session or chat."""
    made: Request[Any] = request
    read = made.read
    made.read = lambda text: None if text == "null" else read(text)
    made.is_optional = True
    return made


def profile(kind: str, ref: str, fields: Mapping[str, Any] | None = None) -> Request[Any]:
    """The fields of a link; with `fields` these are merged into them."""
    named: dict[str, Any] = {kind: ref}
    return verbs.profile(fields, **named)


def removed(device: str) -> Steps[None]:
    """Removes a device's current session, if there is one."""
    try:
        yield bound(verbs.delete(Address(device, "current")), device)
    except NotFound:
        return
