"""A turn of this process, renewed by a thread inside a `with` block."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from .errors import NotFound, Refused, Stale
from .keeper import Keeper
from .lease import Moment, note
from .names import Address
from .results import Begun
from .running import RunningTurn
from .session import Session
from .verbs import Json, done

if TYPE_CHECKING:
    from typing_extensions import Self

    from .client import Client


class Turn(RunningTurn):
    """A turn that has begun. `with` renews it meanwhile, and ends it with DONE.

    If the block raises an exception, nothing is said; see `on_error`. At the end TurnLost is raised
    if the turn was lost, or Refused if what was collected cannot be applied, which ends the turn as
    an exception does; but never in place of the block's own exception. Messages that were joined
    and not taken by `done` are left without an answer; `joined` counts them.
    """

    def __init__(self, client: Client, device: str, begun: Begun, asked: Moment) -> None:
        super().__init__(device, begun, asked)
        self._client = client
        self._keeper = Keeper(client, self._lease)

    @property
    def session(self) -> Session:
        """The turn's session: its changes are applied at once, and only while the turn runs."""
        where = Address(self.device, self.begun.get("session"))
        return Session(self._client, where, turn=None if self.is_joined else self.number)

    def done(self, *, seen: int | None = None, last: bool = False) -> bool:
        """Applies what was said and set, in one step. Returns True if the turn is over.

        False means that messages were joined meanwhile, after number `seen`: they are in
        `messages`, and the turn goes on until the next `done`. With `last` it is over all the same,
        and `joined` says how many are left. Raises TurnLost, and what DONE is refused with."""
        self.check()
        asked = Moment.now()
        try:
            ended = self._client.ask(self._done(seen=seen, last=last))
        except (Stale, NotFound) as error:
            if error.body.get("seq") is not None:
                raise  # of `seen`: the turn goes on
            raise self._failed(error) from error
        if self._ended(ended, asked):
            self._keeper.stop()
        return self.is_over

    def part(self, payload: Json) -> None:
        """Shows a piece of the answer to those who watch; see `Client.part`. Raises TurnLost."""
        self.check()
        try:
            self._client.ask(self._part(payload))
        except (Stale, NotFound) as error:
            raise self._failed(error) from error

    def __enter__(self) -> Self:
        if not self.is_over:
            self._keeper.start(self._renew)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        body: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._keeper.stop()
        if self.is_over or self._lease.is_forked:
            return
        try:
            if body is None:
                self._finish()
            elif self.on_error == "end":
                self._client.ask(done(self.device, turn=self.number, last=True))
        except Exception as error:  # also of a function for the secret
            if body is None:
                raise
            note(body, error)

    def _finish(self) -> None:
        try:
            self.done(last=True)
        except Refused as refused:
            # Nothing was applied, and the turn would last until its TTL ends.
            if self.on_error == "end":
                try:
                    self._client.ask(done(self.device, turn=self.number, last=True))
                except Exception as error:
                    note(refused, error)
            raise

    def _renew(self, client: Client) -> None:
        asked = Moment.now()
        try:
            self._touched(client.ask(self._touch()), asked)
        except (Stale, NotFound) as error:
            self._lease.failed(error)
