"""A receiver of one webhook, and what gives it events: how late, how often and in which order.

Usage: receiver.py [option...] HOST:PORT

Sets a hook at the worker, writes events there, and takes them itself on loopback, until it has each
of them or nothing has come for --patience seconds. Prints one line of JSON: how many were written,
came, were lost, came twice or out of order of their device; how old they were when they came, in
ms; and its status is 1 if any was lost or out of order.

  --events N     how many (default 1000)
  --rate N       how many are written a second (default 1000)
  --kind KIND    seized (default): each by a SEIZE, on 200 devices; or abandoned: each the end of a
                 lock of 100 ms, on a device of its own
  --down S       for so many seconds after the first event the receiver does not listen
  --patience S   default 20
  --hook NAME    what the name of the hook begins with (default bench)
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import sys
import time
from typing import Any

SECRET = b"whsec_bench"
DEVICES = 200


class Receiver:
    """Takes requests, and keeps what came."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        """When each event came first, by its id, in seconds of Unix."""
        self.lags_ms: list[float] = []
        self.newest: dict[str, tuple[int, int]] = {}
        self.doubled = 0
        self.out_of_order = 0
        self.losses = 0
        self.connections = 0
        self.latest = time.time()
        self.is_reached = asyncio.Event()
        """Set when the hook's first event came, which is not counted."""
        self.server: asyncio.Server | None = None
        self.port = 0

    async def listen(self) -> None:
        """Listens: at the port of the first time."""
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=1024)
        self.port = self.server.sockets[0].getsockname()[1]

    async def end(self) -> None:
        """Refuses connections from now on."""
        assert self.server is not None
        self.server.close()
        self.server = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the requests of one connection."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(fields["content-length"]))
                if self.server is None:
                    break
                self.take(fields, body)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            return
        writer.close()

    def take(self, fields: dict[str, str], body: bytes) -> None:
        """Notes one delivery. Raises AssertionError if it is not as docs/webhooks.md has it."""
        now = time.time()
        signature = dict(part.split("=") for part in fields["latchkey-signature"].split(","))
        signed = signature["t"].encode() + b"." + body
        assert signature["v1"] == hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
        event: dict[str, Any] = json.loads(body)
        self.latest = now
        if event["type"] == "events.lost":
            self.losses += 1
            return
        if event["type"] == "lock.cleared":
            self.is_reached.set()
            return
        if event["id"] in self.first:
            self.doubled += 1
            return
        self.first[event["id"]] = now
        self.lags_ms.append(now * 1_000 - event["data"]["at"])
        ms, number = event["id"].split("-")[1:]
        place = (int(ms), int(number))
        if place < self.newest.get(event["subject"], (0, 0)):
            self.out_of_order += 1
        self.newest[event["subject"]] = place


class Worker:
    """A connection to a worker: one request at a time for `ask`, many for `write`."""

    async def connect(self, address: str) -> None:
        """Connects to HOST:PORT."""
        host, port = address.rsplit(":", 1)
        self.reader, self.writer = await asyncio.open_connection(host, int(port))

    async def ask(self, line: str) -> str:
        """The reply to a request."""
        self.writer.write(line.encode() + b"\n")
        return (await self.reader.readline()).decode().rstrip("\n")

    async def write(self, lines: list[str], rate: float) -> None:
        """Sends requests at a rate, and reads their replies.

        Those of which a busy Redis has done nothing are sent again at the end, as clients do; for
        requests of which each concerns a device of its own. Raises ValueError if one is not OK.
        """
        refused: list[str] = []

        async def read() -> None:
            for line in lines:
                reply = (await self.reader.readline()).decode()
                if reply.startswith("ERR unavailable") and "nothing was done" in reply:
                    refused.append(line)
                elif not reply.startswith("OK"):
                    raise ValueError(f"{line}: {reply}")

        reading = asyncio.create_task(read())
        start, sent = time.monotonic(), 0
        while sent < len(lines):
            due = min(len(lines), int((time.monotonic() - start) * rate) + 1)
            self.writer.write("".join(line + "\n" for line in lines[sent:due]).encode())
            sent = due
            await asyncio.sleep(0.002)
        await reading
        for line in refused:
            await self.send_again(line)

    async def send_again(self, line: str, seconds: float = 30) -> None:
        """Sends a request until it is done. Raises ValueError if it is not within the time."""
        until = time.monotonic() + seconds
        while not (reply := await self.ask(line)).startswith("OK"):
            if not reply.startswith("ERR unavailable") or time.monotonic() > until:
                raise ValueError(f"{line}: {reply}")
            await asyncio.sleep(0.05)


def requests(kind: str, devices: str, count: int) -> tuple[list[str], list[str]]:
    """The requests that come before, and those that each have one event."""
    if kind == "abandoned":
        return [], [f"LOCK {devices}{number} a ttl=100ms" for number in range(count)]
    before = [f"SEIZE {devices}{number} a ttl=1h" for number in range(DEVICES)]
    agents = ("b", "a")
    return before, [
        f"SEIZE {devices}{number % DEVICES} {agents[number // DEVICES % 2]} ttl=1h"
        for number in range(count)
    ]


def quantile(values: list[float], share: float) -> float:
    """The value that this share of all is below; 0 without any."""
    values = sorted(values)
    return round(values[min(len(values) - 1, int(share * len(values)))], 1) if values else 0


async def outage(receiver: Receiver, seconds: float) -> None:
    """Does not listen for a while."""
    await receiver.end()
    await asyncio.sleep(seconds)
    await receiver.listen()
    receiver.latest = time.time()


async def run(options: argparse.Namespace) -> bool:
    """Runs all; whether nothing was lost and all was in order."""
    receiver, worker = Receiver(), Worker()
    await receiver.listen()
    await worker.connect(options.worker)
    # The logs may have events of an earlier run, and workers know a removed hook for some seconds.
    run_name = f"{time.time_ns():x}"
    devices, hook = f"receiver-{run_name}-", f"{options.hook}-{run_name}"
    before, lines = requests(options.kind, devices, options.events)
    await worker.write(before, 10_000)
    types = f"lock.{options.kind}"
    reply = await worker.ask(
        f"HOOK {hook} url=http://127.0.0.1:{receiver.port}/ secret={SECRET.decode()} "
        f"types={types},lock.cleared devices={devices}*"
    )
    if reply != "OK":
        raise SystemExit(f"receiver.py: {reply}")
    # The lag is that of a hook at work: the workers learn of a new one within a second or two.
    await worker.ask(f"LOCK {devices}first a")
    await worker.ask(f"CLEAR {devices}first")
    await asyncio.wait_for(receiver.is_reached.wait(), options.patience)
    down = asyncio.create_task(outage(receiver, options.down)) if options.down else None
    receiver.latest = time.time()
    try:
        await worker.write(lines, options.rate)
    except ValueError as error:
        raise SystemExit(f"receiver.py: {error}") from None
    if down:
        await down
    while len(receiver.first) < len(lines):
        if time.time() - receiver.latest > options.patience:
            break
        await asyncio.sleep(0.05)
    await worker.ask(f"UNHOOK {hook}")
    lost = len(lines) - len(receiver.first)
    figures = {
        "events": len(lines),
        "came": len(receiver.first),
        "lost": lost,
        "doubled": receiver.doubled,
        "out_of_order": receiver.out_of_order,
        "losses": receiver.losses,
        "connections": receiver.connections,
        "lag_p50_ms": quantile(receiver.lags_ms, 0.5),
        "lag_p99_ms": quantile(receiver.lags_ms, 0.99),
        "lag_max_ms": quantile(receiver.lags_ms, 1),
    }
    print(json.dumps(figures, separators=(",", ":")))
    return lost == 0 and receiver.out_of_order == 0 and receiver.losses == 0


def main() -> None:
    """Reads the arguments, and runs."""
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("worker")
    parser.add_argument("--events", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=1_000)
    parser.add_argument("--kind", choices=("seized", "abandoned"), default="seized")
    parser.add_argument("--down", type=float, default=0)
    parser.add_argument("--patience", type=float, default=20)
    parser.add_argument("--hook", default="bench")
    sys.exit(0 if asyncio.run(run(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
