"""A request as a value: its line, and how its reply becomes a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from .names import duration, encode_id, new_req, number, utf8
from .reply import Reply

R_co = TypeVar("R_co", covariant=True)

REPEAT_S = 0.05
"""The pause before a wait that was cut short is asked for again."""

RETRIED_S = 540.0
"""How long a change is sent again: less than the workers' `--req-keep` (10 min), after which a
repetition could be applied twice."""

_WAIT_MIN_S = 0.1
"""A shorter wait is not asked for again."""


class Request(Generic[R_co]):
    """One request. It is made once and sent as often as needed, each time as the same line.

    A request that changes something has the option `req`, its idempotency key.
    """

    __slots__ = (
        "is_optional",
        "options",
        "payload",
        "read",
        "settle_s",
        "verb",
        "wait_s",
        "words",
    )

    def __init__(
        self,
        verb: str,
        words: tuple[str, ...] = (),
        options: Mapping[str, str | None] | None = None,
        payload: str | None = None,
        *,
        read: Callable[[str], R_co],
        is_optional: bool = False,
        wait_s: float = 0.0,
        settle_s: float = 0.0,
    ) -> None:
        """`words`, `options` and `payload` are texts for the wire; options that are None are left
        out. `read` makes the result from the text of an `OK`'s JSON. With `is_optional` it is
        given `null` for a `NONE`, which is an error otherwise. `wait_s` is the time that the
        worker may wait for others before it replies, `settle_s` that for more messages."""
        self.verb = verb
        self.words = words
        self.options = {name: value for name, value in (options or {}).items() if value is not None}
        self.payload = payload
        self.is_optional = is_optional
        self.settle_s = settle_s
        self.wait_s = wait_s
        self.read = read

    @property
    def held_s(self) -> float:
        """The time that the worker may take before it replies."""
        return self.wait_s + self.settle_s

    @property
    def req(self) -> str | None:
        """The idempotency key, as it is on the wire."""
        return self.options.get("req")

    @property
    def token(self) -> int | None:
        """The lock's token, if the change is to happen only under it."""
        token = self.options.get("token")
        return None if token is None else int(token)

    @property
    def turn(self) -> int | None:
        """The turn's number, if the change is to happen only while it runs."""
        turn = self.options.get("turn")
        return None if turn is None else int(turn)

    @property
    def is_change(self) -> bool:
        """True if the outcome matters: the request changes something."""
        return "req" in self.options

    def line(self) -> bytes:
        """The line, with its end."""
        parts = [self.verb, *self.words]
        parts += [f"{name}={value}" for name, value in self.options.items()]
        if self.payload is not None:
            parts.append(self.payload)
        return utf8(" ".join(parts) + "\n")

    def without_req(self) -> Request[R_co]:
        """The same request without its key, where a repetition has the same effect anyway: Redis
        then keeps no reply. Its outcome is not reported as unknown."""
        self.options.pop("req", None)
        return self

    def waits_again(self, waited_s: float) -> bool:
        """Shortens the request's wait by the time that it has waited.

        False if nothing worth asking for is left of it. Its key stays the same, and with it the
        place in the queue: workers do not count the wait among what makes a request another."""
        left_s = self.wait_s - waited_s - REPEAT_S
        if left_s < _WAIT_MIN_S:
            return False
        self.wait_s = left_s
        self.options["wait"] = duration(left_s)
        return True

    def bind(self, *, token: int | None, turn: int | None) -> None:
        """Adds the lock's token or the turn's number to a change that has none of them."""
        if not self.is_change or "token" in self.options or "turn" in self.options:
            return
        if turn is not None:
            self.options["turn"] = number(turn)
        elif token is not None:
            self.options["token"] = number(token)

    def result(self, reply: Reply) -> R_co:
        """The result of a reply. Raises the reply's error if it is not `OK`."""
        if reply.word == "OK":
            return self.read(reply.rest)
        if reply.word == "NONE" and self.is_optional:
            return self.read("null")
        raise reply.error(self.verb)


def change(
    options: Mapping[str, str | None],
    *,
    token: int | None = None,
    turn: int | None = None,
    req: str | None,
    as_: str | None = None,
) -> dict[str, str | None]:
    """The options of a request that changes something: with the key `req`, or a new one."""
    return {
        **options,
        "as": None if as_ is None else encode_id(as_),
        "token": None if token is None else number(token),
        "turn": None if turn is None else number(turn),
        "req": new_req() if req is None else encode_id(req),
    }
