"""One message of a conversation after another, for the sections 'turns' and 'clients' of
scripts/bench.

session.py KIND HOST:PORT --connections N --seconds N [--pid NAME=PID...]
session.py KIND HOST:PORT --trips

KIND is `latchkey`, a turn of the Python client; `FRAMEWORK`, a turn and what the framework does
for a message by the package's adapter for it; `FRAMEWORK-collected`, the same in a turn that
collects; or `FRAMEWORK-redis`, the same by the framework's own store in the Redis at HOST:PORT,
under redis-py's Lock, so that two messages do not mix there, either. The frameworks are openai, adk
and llamaindex: each reads the newest messages, adds the question and adds the answer.

Prints a line of JSON as the load generator does; with `--trips` how many round trips a message
takes: what is written before the next reply is read is one.
"""

import argparse
import asyncio
import contextlib
import json
import os
import time

QUESTION = {"role": "user", "content": "Can I move my visit to Friday?"}
ANSWER = {"role": "assistant", "content": "Yes: Friday at ten is free."}
WARM_UP_S = 0.3
CONVERSATION = 20
"""After so many messages a conversation ends where its history is read as a whole."""


class Redis:
    """The connection of the callers that have no worker."""

    def __init__(self, address, callers, direct):
        import redis.asyncio

        self.url = f"redis://{direct}"
        url = f"redis://{address}"
        options = {"max_connections": 4 * callers}
        self.client = redis.asyncio.from_url(url, **options)
        self.texts = redis.asyncio.from_url(url, decode_responses=True, **options)

    def lock(self, name):
        return self.client.lock(f"lock:{name}", timeout=60)

    async def close(self):
        await self.client.aclose()
        await self.texts.aclose()


class Worker:
    """The client of the callers that have one."""

    def __init__(self, address, callers, direct):
        from latchkey.aio import AsyncClient

        self.client = AsyncClient(address)

    async def close(self):
        await self.client.close()


class Caller:
    """One conversation after another."""

    is_short = True
    """True if a conversation ends after some messages."""

    def __init__(self, server, name):
        self.server = server
        self.base = self.name = name
        self.messages = 0
        self.begin()

    def begin(self):
        """Makes the framework's objects for the conversation `name`."""

    async def fill(self):
        """Makes the history that a conversation begins with."""

    def next_name(self):
        """True if the conversation is another one than before."""
        self.messages += 1
        self.name = f"{self.base}-{(self.messages - 1) // CONVERSATION}"
        return (self.messages - 1) % CONVERSATION == 0


class Latchkey(Caller):
    """A turn of the client."""

    is_short = False

    async def fill(self):
        client = self.server.client
        recovered = await client.recover(self.name)
        if recovered["messages"] == 0:
            await client.set(self.name, {"lang": "en", "step": 7, "topic": "visits"})
            await client.say(self.name, [QUESTION, ANSWER] * 10)

    async def message(self):
        turn = await self.server.client.turn(self.name, QUESTION, last=20)
        turn.say(ANSWER)
        await turn.done()


class OpenAI(Latchkey):
    """The session of the OpenAI Agents SDK."""

    collects = False

    async def message(self):
        from latchkey.openai import LatchkeySession

        session = LatchkeySession(self.name, self.server.client)
        async with session.aturn(collect=self.collects):
            await self.run(session)

    async def run(self, session):
        await session.get_items(limit=20)
        await session.add_items([QUESTION])
        await session.add_items([ANSWER])


class OpenAICollected(OpenAI):
    """The same in a turn that collects."""

    collects = True


class OpenAIRedis(OpenAI):
    """The same, by the SDK's RedisSession."""

    def begin(self):
        from agents.extensions.memory import RedisSession

        self.session = RedisSession(self.name, redis_client=self.server.client)

    async def fill(self):
        if not await self.session.get_items(limit=1):
            await self.session.add_items([QUESTION, ANSWER] * 10)

    async def message(self):
        async with self.server.lock(self.name):
            await self.run(self.session)


class ADK(Caller):
    """The session service of Google's ADK: what its runner calls for a message."""

    def begin(self):
        from latchkey.adk import LatchkeySessionService

        self.service = LatchkeySessionService(self.server.client)

    def turn(self):
        return self.service.aturn(("app", self.base, self.name))

    async def message(self):
        from google.adk.events.event import Event
        from google.adk.sessions.base_session_service import GetSessionConfig
        from google.genai.types import Content, Part

        if self.next_name():
            await self.service.create_session(
                app_name="app", user_id=self.base, session_id=self.name
            )
        async with self.turn():
            session = await self.service.get_session(
                app_name="app",
                user_id=self.base,
                session_id=self.name,
                config=GetSessionConfig(num_recent_events=20),
            )
            for author, said in (("user", QUESTION), ("scheduling", ANSWER)):
                content = Content(role="user", parts=[Part(text=said["content"])])
                await self.service.append_event(session, Event(author=author, content=content))


class ADKRedis(ADK):
    """The same, by ADK's RedisSessionService."""

    def begin(self):
        from google.adk.integrations.redis import RedisSessionService

        self.service = RedisSessionService(redis_client=self.server.texts)

    def turn(self):
        return self.server.lock(self.name)


class LlamaIndex(Caller):
    """The chat store of LlamaIndex."""

    collects = False

    def begin(self):
        from latchkey.llamaindex import LatchkeyChatStore

        self.store = LatchkeyChatStore(async_client=self.server.client)

    def turn(self):
        options = {"collect": True, "last": 2 * CONVERSATION} if self.collects else {}
        return self.store.aturn(self.name, **options)

    async def message(self):
        from llama_index.core.llms import ChatMessage

        self.next_name()
        async with self.turn():
            await self.store.aget_messages(self.name)
            await self.store.async_add_message(self.name, ChatMessage(**QUESTION))
            await self.store.async_add_message(self.name, ChatMessage(**ANSWER))


class LlamaIndexCollected(LlamaIndex):
    """The same in a turn that collects."""

    collects = True


class LlamaIndexRedis(LlamaIndex):
    """The same, by LlamaIndex' RedisChatStore."""

    def begin(self):
        from llama_index.storage.chat_store.redis import RedisChatStore

        self.store = RedisChatStore(self.server.url, aredis_client=self.server.client)

    def turn(self):
        return self.server.lock(self.name)


KINDS = {
    "latchkey": (Worker, Latchkey),
    "openai": (Worker, OpenAI),
    "openai-collected": (Worker, OpenAICollected),
    "openai-redis": (Redis, OpenAIRedis),
    "adk": (Worker, ADK),
    "adk-redis": (Redis, ADKRedis),
    "llamaindex": (Worker, LlamaIndex),
    "llamaindex-collected": (Worker, LlamaIndexCollected),
    "llamaindex-redis": (Redis, LlamaIndexRedis),
}


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
        with contextlib.suppress(asyncio.CancelledError):  # the program ends
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
    messages = CONVERSATION - 1
    await caller.fill()
    await caller.message()
    before = relay.trips
    for _ in range(messages):
        await caller.message()
    figures = {"trips": round((relay.trips - before) / messages, 2)}
    print(json.dumps(figures, separators=(",", ":")))


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
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, default=25)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--pid", action="append", default=[])
    parser.add_argument("--trips", action="store_true")
    options = parser.parse_args()
    relay, direct = Relay(options.address), options.address
    if options.trips:
        options.connections, options.address = 1, await relay.start()
    pids = {name: int(pid) for name, pid in (word.split("=") for word in options.pid)}
    server_class, caller_class = KINDS[options.kind]
    server = server_class(options.address, options.connections, direct)
    # Conversations that are read as a whole are new in each run.
    run = os.getpid() if caller_class.is_short else 0
    base = f"{options.kind}-{options.connections}-{run}"
    callers = [caller_class(server, f"{base}-{n}") for n in range(options.connections)]
    if options.trips:
        await count_trips(callers[0], relay)
    else:
        await measure(callers, options.seconds, pids)
    await server.close()


asyncio.run(main())
