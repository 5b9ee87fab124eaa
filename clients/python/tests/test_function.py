"""README's function under a platform that delivers events again, on a fleet under attack.

The function is the one of the page, character by character. Workers are killed, frozen, drained and
cut off; in the end every message is in its conversation once, followed by its one answer.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Fleet, Partition

import latchkey

README = Path(__file__).resolve().parents[3] / "README.md"
EVENTS = 60
"""For each device."""
FUNCTIONS = 6


def function(to: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Any]:
    """The handler of README, with a client of these workers."""
    program = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)
    assert program
    code = program[1].partition("\nprint(")[0]
    monkeypatch.setenv("LATCHKEY_TO", to)
    names: dict[str, Any] = {}
    exec(compile(code, str(README), "exec"), names)
    handler: Callable[[dict[str, str]], Any] = names["handler"]
    return handler


def attack(fleet: Fleet, partitions: list[Partition], is_over: threading.Event) -> None:
    """Each worker in each way, one after the other."""
    pace = threading.Event()
    try:
        for worker, partition in zip(fleet.workers, partitions, strict=True):
            worker.kill()
            worker.restart()
            worker.freeze()
            pace.wait(1.3)  # longer than a reply may take
            worker.thaw()
            worker.drain()
            worker.stop()
            worker.restart()
            partition.cut()
            pace.wait(1.3)
            partition.heal()
    finally:
        is_over.set()


class Platform:
    """Delivers events until the attack is over: again, with the same id, if a function failed."""

    def __init__(self, handler: Callable[[dict[str, str]], Any], is_over: threading.Event) -> None:
        self._handler = handler
        self._is_over = is_over
        self._mutex = threading.Lock()
        self.events: list[dict[str, str]] = []
        self.failures: list[Any] = []
        self.repeated = 0

    def _next(self) -> dict[str, str] | None:
        with self._mutex:
            if self._is_over.is_set():
                return None
            number = len(self.events)
            device = f"gerät {number // EVENTS}"  # several functions at a time have one device
            self.events.append({"id": f"event/{number}", "device": device, "text": f"{number}?"})
            return self.events[-1]

    def run(self) -> None:
        """One function after the other."""
        pace = threading.Event()
        while (event := self._next()) is not None:
            deadline = time.monotonic() + 30
            while True:
                try:
                    self._handler(event)
                    break
                except latchkey.Busy:
                    pace.wait(0.002)
                except latchkey.LatchkeyError as error:
                    self.repeated += 1
                    if time.monotonic() > deadline:
                        self.failures.append((event, error))
                        return
                    pace.wait(0.005)


def test_every_message_is_answered_once_whatever_happens_to_the_workers(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    partitions = [Partition(worker.to) for worker in fleet.workers]
    handler = function(",".join(partition.to for partition in partitions), monkeypatch)
    is_over = threading.Event()
    platform = Platform(handler, is_over)
    attacker = threading.Thread(target=attack, args=(fleet, partitions, is_over))
    functions = [threading.Thread(target=platform.run) for _ in range(FUNCTIONS)]
    for one in (attacker, *functions):
        one.start()
    for one in (attacker, *functions):
        one.join()
    assert platform.failures == []
    for event in platform.events[-EVENTS:]:  # once more, each: they are known
        assert handler(event) is None
    with latchkey.Client(fleet.to) as client:
        answered: list[str] = []
        for device in {event["device"] for event in platform.events}:
            messages = client.history(device, last=1000)["messages"]
            texts = [message["message"]["text"] for message in messages]
            assert texts[1::2] == [f"You said: {text}" for text in texts[::2]]
            answered += texts[::2]
    assert sorted(answered) == sorted(event["text"] for event in platform.events)
    for partition in partitions:
        partition.close()
