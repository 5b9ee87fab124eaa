"""One message of a conversation after another, for the section 'turns' of scripts/bench.

session.py redis|latchkey HOST:PORT --connections N --seconds N [--pid NAME=PID...]

With `redis` each caller does what an agent with a session does, under a lock: RedisSession of the
OpenAI Agents SDK for the history, the question and the answer, and redis-py's Lock around them. With
`latchkey` it is a turn of the Python client. Prints a line of JSON as the load generator does.
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
    parser.add_argument("kind", choices=["redis", "latchkey"])
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--pid", action="append", default=[])
    options = parser.parse_args()
    pids = {name: int(pid) for name, pid in (word.split("=") for word in options.pid)}
    names = [f"{options.kind}-{options.connections}-{n}" for n in range(options.connections)]
    if options.kind == "redis":
        import redis.asyncio

        client = redis.asyncio.from_url(
            f"redis://{options.address}", max_connections=options.connections + 1
        )
        await measure([RedisCaller(client, name) for name in names], options.seconds, pids)
        await client.aclose()
    else:
        from latchkey.aio import AsyncClient

        async with AsyncClient(options.address) as client:
            await measure([LatchkeyCaller(client, name) for name in names], options.seconds, pids)


asyncio.run(main())
