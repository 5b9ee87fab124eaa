"""The blocking iterators over events: a feed, and the membership of a consumer group."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from . import verbs
from .channel import Channel
from .endpoints import jitter
from .errors import Forbidden, LatchkeyError, NotFound, Unavailable
from .feed import Feed, lost
from .names import ALL, All, Duration
from .results import Event
from .waiting import Backoff, Idle, Unacknowledged

if TYPE_CHECKING:
    from .client import Client

PING_S = 15.0
"""A connection on which nothing came for so long is asked whether it still lives."""

WAIT_S = 20.0
"""How long a consumer waits in one request."""


def watch(
    client: Client,
    device: str | All,
    types: str | Sequence[str] | None,
    after: str | None,
    idle: Duration | None,
    changes: bool,
    as_: str | None,
) -> Generator[Event, None, None]:
    """See `Client.watch`."""
    return _watch(client, Feed(device, types, after, changes, as_), Idle(idle, time.monotonic()))


def _watch(client: Client, feed: Feed, idle: Idle) -> Generator[Event, None, None]:
    channel = client.channel()
    backoff = Backoff(can_refresh=callable(client.options.secret))
    try:
        while True:
            try:
                for event in _connected(client, channel, feed, idle):
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
                client.rest(pause_s)
    finally:
        channel.close()


def _connected(
    client: Client, channel: Channel, feed: Feed, idle: Idle
) -> Generator[Event, None, None]:
    """The events of one connection, which ends with an error, or when it was idle for too long."""
    reply_s = client.options.reply_s
    connection = channel.subscribe(time.monotonic() + reply_s)
    try:
        connection.send(feed.opened(), time.monotonic() + reply_s)
        answer_by = time.monotonic() + reply_s
        while True:
            now = time.monotonic()
            until = answer_by if feed.is_awaiting else now + min(PING_S, idle.left_s(now))
            try:
                line = connection.read_line(max(until, now + 0.001))
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
                connection.send(sent, answer_by)
            yield from events
    except (OSError, LatchkeyError):
        client.options.endpoints.failed(connection.endpoint)
        raise
    finally:
        channel.close()


def consume(
    client: Client,
    group: str,
    types: str | Sequence[str] | None,
    limit: int,
    idle: Duration | None,
    ack: bool,
) -> Generator[Event, None, None]:
    """See `Client.consume`."""
    verbs.events(ALL, group=group, limit=limit, types=types)  # raises for what is no parameter
    return _consume(client, group, types, limit, Idle(idle, time.monotonic()), ack)


def _consume(
    client: Client,
    group: str,
    types: str | Sequence[str] | None,
    limit: int,
    idle: Idle,
    ack: bool,
) -> Generator[Event, None, None]:
    channel = client.channel()
    consumer = client.over(channel, client.options.timeout_s, client.stopped)
    backoff = Backoff(can_refresh=False)
    unacknowledged = Unacknowledged()
    try:
        while True:
            left_s = idle.left_s(time.monotonic())
            wait = min(WAIT_S, left_s) if left_s >= 0.01 else None
            try:
                page = consumer.ask(
                    verbs.events(ALL, group=group, limit=limit, wait=wait, types=types)
                )
                backoff.reset()
            except Unavailable as error:
                client.rest(backoff.failed(error, idle.left_s(time.monotonic()), jitter()))
                continue
            if page.get("lost"):
                yield lost()
            for event in page["events"]:
                yield event
                if ack:
                    _acknowledge(consumer, group, unacknowledged, event)
                idle.received(time.monotonic())
            if not page["events"] and idle.left_s(time.monotonic()) < 0.01:
                return
    finally:
        channel.close()


def _acknowledge(
    consumer: Client, group: str, unacknowledged: Unacknowledged, event: Event
) -> None:
    """Acknowledges an event, and those that could not be before; what fails is tried again."""
    ids = unacknowledged.with_id(event["id"])
    try:
        consumer.ask(verbs.ack(group, *ids))
    except Unavailable:
        return  # they are kept; if they are never acknowledged, the worker delivers them again
    unacknowledged.clear()
