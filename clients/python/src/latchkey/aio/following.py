"""The iterators over events for coroutines: a feed, and the membership of a consumer group."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from .. import verbs
from ..endpoints import jitter
from ..errors import Forbidden, LatchkeyError, NotFound, Unavailable
from ..feed import Feed, lost
from ..following import PING_S, WAIT_S
from ..names import ALL
from ..results import Event
from ..waiting import Backoff, Idle, Unacknowledged
from .channel import Channel

if TYPE_CHECKING:
    from .client import AsyncClient


async def watch(client: AsyncClient, feed: Feed, idle: Idle) -> AsyncGenerator[Event, None]:
    """See `Client.watch`."""
    channel = client.channel()
    backoff = Backoff(can_refresh=callable(client.options.secret))
    try:
        while True:
            events = _connected(client, channel, feed, idle)
            try:
                async for event in events:
                    yield event
                    idle.received(time.monotonic())
                return
            except (OSError, Unavailable, Forbidden, NotFound) as error:
                if feed.is_live:
                    backoff.reset()
                    feed.closed()
                try:
                    pause_s = backoff.failed(error, idle.left_s(time.monotonic()), jitter())
                except (Forbidden, NotFound) as refused:
                    yield feed.ended(refused)
                    return
                await client.rest(pause_s)
            finally:
                channel.close()
    finally:
        client.discard(channel)


async def _connected(
    client: AsyncClient, channel: Channel, feed: Feed, idle: Idle
) -> AsyncGenerator[Event, None]:
    """The events of one connection, which ends with an error, or when it was idle for too long."""
    reply_s = client.options.reply_s
    connection = await channel.subscribe(time.monotonic() + reply_s)
    try:
        connection.send(feed.opened())
        answer_by = time.monotonic() + reply_s
        while True:
            now = time.monotonic()
            until = answer_by if feed.is_awaiting else now + min(PING_S, idle.left_s(now))
            try:
                line = await connection.read_line(until)
            except TimeoutError:
                if feed.is_awaiting:
                    raise
                if idle.left_s(time.monotonic()) <= 0:
                    return
                sent = feed.quiet()
                events: list[Event] = []
            else:
                sent, events = feed.received(line)
            if sent:
                answer_by = time.monotonic() + reply_s
                connection.send(sent)
            for event in events:
                yield event
    except (OSError, LatchkeyError):
        client.options.endpoints.failed(connection.endpoint)
        raise


async def consume(
    client: AsyncClient,
    group: str,
    types: str | Sequence[str] | None,
    limit: int,
    idle: Idle,
    ack: bool,
) -> AsyncGenerator[Event, None]:
    """See `Client.consume`."""
    channel = client.channel()
    consumer = client.over(channel)
    backoff = Backoff(can_refresh=False)
    unacknowledged = Unacknowledged()
    try:
        while True:
            left_s = idle.left_s(time.monotonic())
            wait = min(WAIT_S, left_s) if left_s >= 0.01 else None
            try:
                page = await consumer.ask(
                    verbs.events(ALL, group=group, limit=limit, wait=wait, types=types)
                )
                backoff.reset()
            except Unavailable as error:
                await client.rest(backoff.failed(error, idle.left_s(time.monotonic()), jitter()))
                continue
            if page.get("lost"):
                yield lost()
            for event in page["events"]:
                yield event
                if ack:
                    await _acknowledge(consumer, group, unacknowledged, event)
                idle.received(time.monotonic())
            if not page["events"] and idle.left_s(time.monotonic()) < 0.01:
                return
    finally:
        client.discard(channel)


async def _acknowledge(
    consumer: AsyncClient, group: str, unacknowledged: Unacknowledged, event: Event
) -> None:
    """Acknowledges an event, and those that could not be before; what fails is tried again."""
    ids = unacknowledged.with_id(event["id"])
    try:
        await consumer.ask(verbs.ack(group, *ids))
    except Unavailable:
        return  # they are kept; if they are never acknowledged, the worker delivers them again
    unacknowledged.clear()
