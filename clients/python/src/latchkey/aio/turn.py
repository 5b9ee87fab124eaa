"""A turn of this process, renewed by a task inside an `async with` block."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import Busy, NotFound, Refused, Stale
from ..lease import Moment, note
from ..names import Address
from ..request import REPEAT_S, Request
from ..results import Begun
from ..running import RunningTurn
from ..verbs import Json, done
from .keeper import Keeper
from .session import AsyncSession

if TYPE_CHECKING:
    from .client import AsyncClient


class AsyncTurn(RunningTurn):
    """A turn that has begun; as `latchkey.Turn`. `say` and `set` are ordinary methods."""

    def __init__(self, client: AsyncClient, device: str, begun: Begun, asked: Moment) -> None:
        super().__init__(device, begun, asked)
        self._client = client
        self._keeper = Keeper(client, self._lease)

    @property
    def session(self) -> AsyncSession:
        """The turn's session: its changes are applied at once, and only while the turn runs."""
        where = Address(self.device, self.begun.get("session"))
        return AsyncSession(self._client, where, turn=None if self.is_joined else self.number)

    async def done(self, *, seen: int | None = None, last: bool = False) -> bool:
        """As `Turn.done`."""
        self.check()
        asked = Moment.now()
        try:
            ended = await self._client.ask(self._done(seen=seen, last=last))
        except (Stale, NotFound) as error:
            if error.body.get("seq") is not None:
                raise  # of `seen`: the turn goes on
            raise self._failed(error) from error
        if self._ended(ended, asked):
            await self._keeper.stop()
        return self.is_over

    async def part(self, payload: Json) -> None:
        """As `Turn.part`."""
        self.check()
        try:
            await self._client.ask(self._part(payload))
        except (Stale, NotFound) as error:
            raise self._failed(error) from error

    def start(self) -> None:
        """Begins to renew it in a task of the running loop."""
        if not self.is_over:
            self._keeper.start(self._renew)

    async def finish(self, body: BaseException | None) -> None:
        """The end of the block."""
        await self._keeper.stop()
        if self.is_over or self._lease.is_forked:
            return
        try:
            if body is None:
                await self._finish()
            elif self.on_error == "end":
                await self._client.ask(done(self.device, turn=self.number, last=True))
        except Exception as error:  # also of a function for the secret
            if body is None:
                raise
            note(body, error)

    async def _finish(self) -> None:
        try:
            await self.done(last=True)
        except Refused as refused:
            # Nothing was applied, and the turn would last until its TTL ends.
            if self.on_error == "end":
                try:
                    await self._client.ask(done(self.device, turn=self.number, last=True))
                except Exception as error:
                    note(refused, error)
            raise

    async def _renew(self, client: AsyncClient) -> None:
        asked = Moment.now()
        try:
            self._touched(await client.ask(self._touch()), asked)
        except (Stale, NotFound) as error:
            self._lease.failed(error)


class TurnCall:
    """`await` it for the turn, or use it in `async with`."""

    def __init__(self, client: AsyncClient, device: str, request: Request[Begun]) -> None:
        self._client = client
        self._device = device
        self._request = request
        self._turn: AsyncTurn | None = None

    async def _begin(self) -> AsyncTurn:
        while True:
            asked = Moment.now()
            try:
                begun = await self._client.ask(self._request)
                return AsyncTurn(self._client, self._device, begun, asked)
            except Busy:
                # A worker that drains answers so before the time is over.
                if not self._request.waits_again(Moment.now().since(asked)):
                    raise
                await self._client.rest(REPEAT_S)

    def __await__(self) -> Generator[Any, None, AsyncTurn]:
        return self._begin().__await__()

    async def __aenter__(self) -> AsyncTurn:
        self._turn = await self._begin()
        self._turn.start()
        return self._turn

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        body: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._turn is not None:
            await self._turn.finish(body)
