"""What the adapters' tests share: killed workers, counted round trips, pages of the manual."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import Fleet

from latchkey.aio.channel import Connection
from latchkey.channel import Channel
from latchkey.endpoints import Options

MANUAL = Path(__file__).resolve().parents[4] / "docs"


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine function in a loop of its own, for a minute at most."""
    asyncio.run(asyncio.wait_for(main(), 60))


def in_threads(work: Callable[[int], Any], count: int = 20) -> list[Any]:
    """The results of calls with 0, 1, 2 …, each in a thread of its own."""
    with ThreadPoolExecutor(count) as pool:
        return [*pool.map(work, range(count))]


class Progress:
    """How many of the expected steps are done."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self._changed = threading.Condition()

    def step(self) -> None:
        """One more is done."""
        with self._changed:
            self.done += 1
            self._changed.notify_all()

    def end(self) -> None:
        """No more will be done."""
        with self._changed:
            self.done = self.total
            self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Waits for so many, or for all."""
        with self._changed:
            self._changed.wait_for(lambda: self.done >= min(count, self.total), 60)


@contextmanager
def killing(fleet: Fleet, options: Options, total: int) -> Iterator[Progress]:
    """Inside the block the worker that serves the client is killed and started again, each time
    that another tenth of the steps is done. Call `step` for each."""
    progress = Progress(total)

    def attack() -> None:
        while progress.done < total * 0.9:
            serving = next(w for w in fleet.workers if w.to == str(options.endpoints.current))
            before = progress.done
            serving.kill()
            serving.restart()
            progress.wait_for(before + max(1, total // 10))

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        yield progress
    finally:
        progress.end()
        thread.join(30)
        assert not thread.is_alive()


class Trips:
    """Round trips: what is sent before the next reply is one."""

    count = 0


@contextmanager
def counted() -> Iterator[Trips]:
    """Counts the round trips of all clients."""
    trips = Trips()
    is_answered = True
    send, received, exchange = Connection.send, Connection.data_received, Channel.exchange

    def counted_send(self: Connection, data: bytes) -> None:
        nonlocal is_answered
        trips.count += is_answered
        is_answered = False
        send(self, data)

    def counted_received(self: Connection, data: bytes) -> None:
        nonlocal is_answered
        is_answered = True
        received(self, data)

    def counted_exchange(self: Channel, *args: Any) -> Any:
        trips.count += 1
        return exchange(self, *args)

    Connection.send = counted_send  # type: ignore[method-assign]
    Connection.data_received = counted_received  # type: ignore[method-assign]
    Channel.exchange = counted_exchange  # type: ignore[method-assign]
    try:
        yield trips
    finally:
        Connection.send = send  # type: ignore[method-assign]
        Connection.data_received = received  # type: ignore[method-assign]
        Channel.exchange = exchange  # type: ignore[method-assign]


def page(name: str) -> dict[str, Any]:
    """Runs the Python blocks of a page of the manual; returns the names that they define."""
    text = (MANUAL / name).read_text("utf-8")
    names: dict[str, Any] = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S):
        exec(compile(block, name, "exec", dont_inherit=True), names)
    return names


def assert_turns(texts: Sequence[str], count: int) -> None:
    """Each turn's question and answer stand together, and each turn is there once."""
    assert len(texts) == 2 * count
    for question, answer in zip(texts[::2], texts[1::2], strict=True):
        assert answer == f"answer to {question}"
    assert len({*texts[::2]}) == count
