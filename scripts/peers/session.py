"""One message of a conversation after another, for the sections 'turns' and 'clients' of
scripts/bench.

session.py redis|latchkey|openai HOST:PORT --connections N --seconds N [--pid NAME=PID...]
session.py redis|latchkey|openai HOST:PORT --trips

With `redis` each caller does what an agent with a session does, under a lock: RedisSession of the
OpenAI Agents SDK for the history, the question and the answer, and redis-py's Lock around them.
With `latchkey` it is a turn of the Python client, with `openai` such a turn and the adapter's
session for the same calls as of RedisSession. Prints a line of JSON as the load generator does; with `--trips`
how many round trips a message takes: what is written before the next reply is read is one.
"""

import argparse
import asyncio
import json
import os
import time

QUESTION = {"role": "user", "content": "Can I move my visit to Friday?"}
ANSWER = {"role": "assistant", "content": "Yes: Friday at ten is free."}
WARM_UP_S = 0.3


class RedisCaller:
    """A conversation in Redis."""

    def __init__(self, client, name):
        from agents.extensions.memory import RedisSession

        self.client = client
        self.name = name
        self.session = RedisSession(name, redis_client=client)

    async def fill(self):
        if not await self.session.get_items(limit=1):
            await self.session.add_items([QUESTION, ANSWER] * 10)

    async def message(self):
        async with self.client.lock(f"lock:{self.name}", timeout=60):
            await self.session.get_items(limit=20)
            await self.session.add_items([QUESTION])
            await self.session.add_items([ANSWER])


class LatchkeyCaller:
    """A conversation of a device."""

    def __init__(self, client, name):
        self.client = client
        self.name = name

    async def fill(self):
        recovered = await self.client.recover(self.name)
        if recovered["messages"] == 0:
            await self.client.set(self.name, {"lang": "en", "step": 7, "topic": "visits"})
            await self.client.say(self.name, [QUESTION, ANSWER] * 10)

    async def message(self):
        turn = await self.client.turn(self.name, QUESTION, last=20)
        turn.say(ANSWER)
        await turn.done()


class OpenAICaller(LatchkeyCaller):
    """The same through the adapter for the OpenAI Agents SDK."""

    async def message(self):
        from latchkey.openai import LatchkeySession

        async with self.client.turn(self.name, last=0) as turn:
            session = LatchkeySession(self.name, self.client, turn=turn.number)
            await session.get_items(limit=20)
            await session.add_items([QUESTION])
            await session.add_items([ANSWER])


class Relay:
    """Counts round trips between its callers and a server."""

    def __init__(self, address):
        self.host, _, self.port = address.rpartition(":")
        self.trips = 0

    async def start(self):
        server = await asyncio.start_server(self.accepted, "127.0.0.1", 0)
        return "127.0.0.1:{}".format(server.sockets[0].getsockname()[1])

    async def accepted(self, reader, writer):
        onward = await asyncio.open_connection(self.host, self.port)
        waiting = [False]
        await asyncio.gather(
            self.forward(reader, onward[1], waiting, True),
            self.forward(onward[0], writer, waiting, False),
        )

    async def forward(self, source, target, waiting, is_request):
        while data := await source.read(65536):
            self.trips += is_request and not waiting[0]
            waiting[0] = is_request
            target.write(data)
        target.close()


async def count_trips(caller, relay):
    messages = 20
    await caller.fill()
    await caller.message()
    before = relay.trips
    for _ in range(messages):
        await caller.message()
    print(json.dumps({"trips": round((relay.trips - before) / messages, 2)}))


def processor_us(pid):
    """User and system time of a process, from /proc/PID/stat."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def spent(pids):
    figures = {name: processor_us(pid) for name, pid in pids.items()}
    figures["own"] = time.process_time() * 1e6
    return figures


async def measure(callers, seconds, pids):
    for caller in callers:
        await caller.fill()
    counting, over = False, False
    times = []

    async def talk(caller):
        await caller.message()
        warm.release()
        while not over:
            began = time.perf_counter()
            await caller.message()
            if counting and not over:
                times.append(time.perf_counter() - began)

    warm = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(talk(caller)) for caller in callers]
    for _ in callers:
        await warm.acquire()
    await asyncio.sleep(WARM_UP_S)
    before, began = spent(pids), time.perf_counter()
    counting = True
    await asyncio.sleep(seconds)
    over = True
    elapsed, after = time.perf_counter() - began, spent(pids)
    await asyncio.gather(*tasks)
    times.sort()

    def us(share):
        return int(times[min(len(times) - 1, int(share * len(times)))] * 1e6)

    figures = {"requests_per_s": int(len(times) / elapsed), "p50_us": us(0.5), "p99_us": us(0.99)}
    for name, value in after.items():
        figures[f"{name}_cpu_us"] = round((value - before[name]) / len(times), 2)
    print(json.dumps(figures, separators=(",", ":")))


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["redis", "latchkey", "openai"])
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--pid", action="append", default=[])
    parser.add_argument("--trips", action="store_true")
    options = parser.parse_args()
    relay = Relay(options.address)
    if options.trips:
        options.connections, options.address = 1, await relay.start()
    pids = {name: int(pid) for name, pid in (word.split("=") for word in options.pid)}
    names = [f"{options.kind}-{options.connections}-{n}" for n in range(options.connections)]
    if options.kind == "redis":
        import redis.asyncio

        client = redis.asyncio.from_url(
            f"redis://{options.address}", max_connections=options.connections + 1
        )
        callers = [RedisCaller(client, name) for name in names]
        if options.trips:
            await count_trips(callers[0], relay)
        else:
            await measure(callers, options.seconds, pids)
        await client.aclose()
    else:
        from latchkey.aio import AsyncClient

        kind = OpenAICaller if options.kind == "openai" else LatchkeyCaller
        async with AsyncClient(options.address) as client:
            callers = [kind(client, name) for name in names]
            if options.trips:
                await count_trips(callers[0], relay)
            else:
                await measure(callers, options.seconds, pids)


asyncio.run(main())
