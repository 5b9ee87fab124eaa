"""A function's cold start, and the near cache, for the section 'clients' of scripts/bench.

start.py HOST:PORT --redis HOST:PORT --rounds N

Starts N new interpreters that import the client, connect, and begin and end a turn; and as many
that import redis-py and get a key. Then reads a session and its history from the near cache, and
from the worker. Prints two tables.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time

LATCHKEY = """
import time; t0 = time.perf_counter()
import latchkey; t1 = time.perf_counter()
client = latchkey.Client({address!r})
with client.turn("cold-start", {{"text": "Tuesday?"}}) as turn:
    turn.say({{"text": "At ten."}})
t2 = time.perf_counter()
print(1000 * (t1 - t0), 1000 * (t2 - t1))
"""
LATCHKEY_ASYNC = """
import time; t0 = time.perf_counter()
from latchkey import AsyncClient; import asyncio; t1 = time.perf_counter()
async def turn():
    async with AsyncClient({address!r}) as client:
        async with client.turn("cold-start", {{"text": "Tuesday?"}}) as turn:
            turn.say({{"text": "At ten."}})
asyncio.run(turn())
t2 = time.perf_counter()
print(1000 * (t1 - t0), 1000 * (t2 - t1))
"""
REDIS = """
import time; t0 = time.perf_counter()
import redis; t1 = time.perf_counter()
redis.from_url("redis://{address}").get("cold-start")
t2 = time.perf_counter()
print(1000 * (t1 - t0), 1000 * (t2 - t1))
"""


def cold_starts(rounds, sides):
    figures = {name: [] for name, _, _ in sides}
    for _ in range(rounds):
        for name, code, address in sides:
            command = [sys.executable, "-c", code.format(address=address)]
            printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            figures[name].append([float(word) for word in printed.split()])
    print("a cold start: ms, median and least of", rounds, "new interpreters\n")
    print("| side | import | least | connect and first request | least |")
    print("| --- | --- | --- | --- | --- |")
    for name, rows in figures.items():
        cells = [name]
        for column in zip(*rows, strict=True):
            cells += [f"{statistics.median(column):.1f}", f"{min(column):.1f}"]
        print("|", " | ".join(cells), "|")


def each_us(count, call):
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - began) / count * 1e6)
    return best


async def each_async_us(count, call):
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            await call()
        best = min(best, (time.perf_counter() - began) / count * 1e6)
    return best


def near(address):
    from latchkey import AsyncClient, Client

    rows = []
    with Client(address) as client, client.near() as cache:
        client.open("near", {"lang": "en", "step": 7, "topic": "visits"})
        client.say("near", [{"role": "user", "text": "Can I move my visit to Friday?"}] * 20)
        for name in ("get", "history"):
            read, cached = getattr(client, name), getattr(cache, name)
            hit, trip = each_us(2000, lambda: cached("near")), each_us(300, lambda: read("near"))
            rows.append((f"Client.{name}", hit, trip))
        assert cache.hits > 0.99 * (cache.hits + cache.misses)

    async def coroutines():
        async with AsyncClient(address) as client, client.near() as cache:
            for name in ("get", "history"):
                read, cached = getattr(client, name), getattr(cache, name)
                hit = await each_async_us(2000, lambda: cached("near"))
                trip = await each_async_us(300, lambda: read("near"))
                rows.append((f"AsyncClient.{name}", hit, trip))

    asyncio.run(coroutines())
    print("\nthe near cache: us of a reply from memory, and of one from the worker\n")
    print("| call | from memory | from the worker |")
    print("| --- | --- | --- |")
    for name, hit, trip in rows:
        print(f"| {name} | {hit:.1f} | {trip:.1f} |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--redis", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    sides = [
        ("Client", LATCHKEY, options.address),
        ("AsyncClient", LATCHKEY_ASYNC, options.address),
        ("redis-py", REDIS, options.redis),
    ]
    cold_starts(options.rounds, sides)
    near(options.address)


main()
