// The iterators over events: a feed, and the membership of a consumer group.

import type { Channel } from "./channel.ts";
import type { Client } from "./client.ts";
import {
  ConnectionLost,
  Forbidden,
  LatchkeyError,
  NotFound,
  TimedOut,
  Unavailable,
} from "./errors.ts";
import { Feed, type FeedOptions, lost } from "./feed.ts";
import { ALL, type All, type Duration } from "./names.ts";
import type { Event } from "./results.ts";
import { now } from "./time.ts";
import * as verbs from "./verbs.ts";
import { Backoff, Idle, Unacknowledged } from "./waiting.ts";

/** A connection on which nothing came for so long, in seconds, is asked whether it still lives. */
const PING_S = 15;

/** How long a consumer waits in one request, in seconds. */
const WAIT_S = 20;

/** Options of `client.watch`. */
export interface WatchOptions extends FeedOptions, verbs.CallOptions {
  /** The iteration ends when no event came for so long. */
  idle?: Duration;
  /** Called whenever the subscription is there, and what happens from now on is not missed. */
  onLive?: () => void;
}

/** Options of `client.consume`. */
export interface ConsumeOptions extends verbs.CallOptions {
  types?: string | readonly string[];
  /** How many events are taken at a time (10). */
  limit?: number;
  /** The iteration ends when there was no event for so long. */
  idle?: Duration;
  /** False leaves acknowledgements to the caller. */
  ack?: boolean;
}

/** See `Client.watch`. */
export function watch(
  client: Client,
  device: string | All,
  options: WatchOptions,
): AsyncGenerator<Event, void> {
  verbs.watch(device, { types: options.types, as: options.as }); // throws for what is no parameter
  return watched(client, new Feed(device, options), new Idle(options.idle, now()), options);
}

async function* watched(
  client: Client,
  feed: Feed,
  idle: Idle,
  options: WatchOptions,
): AsyncGenerator<Event, void> {
  const { signal } = options;
  signal?.throwIfAborted();
  const backoff = new Backoff(typeof client.options.secret === "function");
  const channel = client.channel();
  try {
    while (true) {
      try {
        for await (const event of connected(client, channel, feed, idle, options)) {
          yield event;
          idle.received(now());
        }
        return;
      } catch (error) {
        const isEnded = error instanceof Forbidden || error instanceof NotFound;
        const isPassing = isEnded || error instanceof ConnectionLost ||
          error instanceof Unavailable;
        if (client.isClosed) throw new LatchkeyError("the client was closed");
        if (!isPassing) throw error;
        if (feed.isLive) {
          backoff.reset();
          feed.closed();
        }
        let pauseS: number;
        try {
          pauseS = backoff.failed(error, idle.leftS(now()), Math.random());
        } catch (refused) {
          if (!isEnded) throw refused;
          yield feed.ended(error);
          return;
        }
        await client.rest(pauseS, signal);
      }
    }
  } finally {
    client.discard(channel);
  }
}

/** The events of one connection, which ends with an error, or when it was idle for too long. */
async function* connected(
  client: Client,
  channel: Channel,
  feed: Feed,
  idle: Idle,
  { signal, onLive }: WatchOptions,
): AsyncGenerator<Event, void> {
  const { replyS, endpoints } = client.options;
  const connection = await channel.subscribe(now() + replyS, signal);
  try {
    connection.send(`${feed.opened()}\n`);
    let answerBy = now() + replyS;
    let isLive = false;
    while (true) {
      const then = now();
      const until = feed.isAwaiting ? answerBy : then + Math.min(PING_S, idle.leftS(then));
      let line: string | undefined;
      try {
        line = await connection.readLine(until, signal);
      } catch (error) {
        if (!(error instanceof TimedOut) || feed.isAwaiting) throw error;
        if (idle.leftS(now()) <= 0) return;
      }
      const given = line === undefined ? { line: feed.quiet(), events: [] } : feed.received(line);
      if (given.line !== undefined) {
        answerBy = now() + replyS;
        connection.send(`${given.line}\n`);
      }
      if (feed.isLive && !isLive) onLive?.();
      isLive = feed.isLive;
      yield* given.events;
    }
  } catch (error) {
    if (error instanceof ConnectionLost || error instanceof LatchkeyError) {
      endpoints.failed(connection.endpoint);
    }
    throw error;
  } finally {
    connection.close();
  }
}

/** See `Client.consume`. */
export function consume(
  client: Client,
  group: string,
  options: ConsumeOptions,
): AsyncGenerator<Event, void> {
  verbs.events(ALL, { group, limit: options.limit, types: options.types }); // throws likewise
  return consumed(client, group, options, new Idle(options.idle, now()));
}

async function* consumed(
  client: Client,
  group: string,
  options: ConsumeOptions,
  idle: Idle,
): AsyncGenerator<Event, void> {
  const { types, limit = 10, signal, ack = true } = options;
  const channel = client.channel();
  const consumer = client.over(channel);
  const backoff = new Backoff(false);
  const unacknowledged = new Unacknowledged();
  try {
    while (true) {
      const leftS = idle.leftS(now());
      const wait = leftS >= 0.01 ? Math.min(WAIT_S, leftS) : undefined;
      let page;
      try {
        page = await consumer.ask(verbs.events(ALL, { group, limit, wait, types, signal }));
        backoff.reset();
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        await client.rest(backoff.failed(error, idle.leftS(now()), Math.random()), signal);
        continue;
      }
      if (page.lost) yield lost();
      for (const event of page.events) {
        yield event;
        if (ack) await acknowledge(consumer, group, unacknowledged, event.id);
        idle.received(now());
      }
      if (page.events.length === 0 && idle.leftS(now()) < 0.01) return;
    }
  } finally {
    client.discard(channel);
  }
}

/** Acknowledges an event, and those that could not be before; what fails is tried again. */
async function acknowledge(
  consumer: Client,
  group: string,
  unacknowledged: Unacknowledged,
  id: string,
): Promise<void> {
  try {
    await consumer.ask(verbs.ack(group, unacknowledged.withId(id)));
  } catch (error) {
    // They are kept; if they are never acknowledged, the worker delivers them again.
    if (error instanceof Unavailable) return;
    throw error;
  }
  unacknowledged.clear();
}
