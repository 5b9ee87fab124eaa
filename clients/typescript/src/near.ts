// A client whose GET and HISTORY are answered from memory while nothing changes.

import { Cached, deviceOf, Pauses } from "./cached.ts";
import type { Channel, Subscription } from "./channel.ts";
import { Client } from "./client.ts";
import { ConnectionLost, LatchkeyError, TimedOut } from "./errors.ts";
import { type Duration, seconds } from "./names.ts";
import type { Reply } from "./reply.ts";
import type { Request } from "./request.ts";
import { now, within } from "./time.ts";

/** Options of `client.near`. */
export interface NearOptions {
  /** How old the proof may be that nothing has changed (1 s). */
  fresh?: Duration;
  /** After which a reply is asked for again in any case (60 s). */
  longest?: Duration;
  /** Of all replies that are kept (8 MiB); those used least recently go first. */
  bytesMax?: number;
}

/** The connection that follows devices; the event loop reads it. */
class Follower {
  readonly #client: Client;
  readonly #cached: Cached;
  readonly #pauses = new Pauses();
  #opening: Promise<void> = Promise.resolve();
  #moved: (() => void)[] = [];
  #channel: Channel | undefined;
  #connection: Subscription | undefined;
  #retryAt = 0;
  #isClosed = false;

  constructor(client: Client, cached: Cached) {
    this.#client = client;
    this.#cached = cached;
  }

  /** Has the device followed. False if nothing is cached, once it is closed. */
  async look(device: string): Promise<boolean> {
    if (this.#isClosed) return false;
    if (this.#connection !== undefined && this.#cached.isSilent(this.#client.options.replyS)) {
      this.#failed();
    }
    try {
      if (this.#connection !== undefined && this.#cached.follows(device)) {
        this.#send(this.#connection, this.#cached.probe(device));
        return true;
      }
      // One after the other: each may replace the connection.
      const following = this.#opening.then(() => this.#follow(device));
      this.#opening = following.catch(() => undefined);
      await following;
    } catch (error) {
      if (!(error instanceof ConnectionLost || error instanceof LatchkeyError)) throw error;
      this.#failed();
    }
    return true;
  }

  async #follow(device: string): Promise<void> {
    if (this.#isClosed || (this.#connection === undefined && now() < this.#retryAt)) return;
    const until = now() + this.#client.options.replyS;
    let lines = this.#cached.follow(device);
    if (lines !== "" && this.#cached.isFull) {
      this.#drop();
      this.#cached.halve();
    }
    let connection = this.#connection;
    if (connection === undefined) {
      connection = await this.#subscribed(until);
      lines = this.#cached.opened();
    }
    this.#send(connection, lines + this.#cached.probe(device));
    while (!this.#cached.isSettled(device) && this.#connection === connection) {
      const moved = new Promise<void>((resolve) => this.#moved.push(resolve));
      await within(moved, until, () => new TimedOut("no reply in time"));
    }
  }

  async #subscribed(until: number): Promise<Subscription> {
    const channel = this.#client.channel();
    let connection: Subscription;
    try {
      connection = await channel.subscribe(until);
    } catch (error) {
      this.#client.discard(channel);
      throw error;
    }
    if (this.#isClosed) { // meanwhile
      this.#client.discard(channel);
      throw new LatchkeyError("the near cache was closed");
    }
    connection.lineReceived = (line) => this.#received(line);
    this.#channel = channel;
    this.#connection = connection;
    return connection;
  }

  #send(connection: Subscription, lines: string): void {
    if (lines !== "") connection.send(lines);
  }

  #received(line: string | undefined): void {
    try {
      if (line === undefined) throw new ConnectionLost("the connection has ended");
      this.#cached.received(line);
      this.#pauses.reset();
    } catch (error) {
      if (!(error instanceof ConnectionLost || error instanceof LatchkeyError)) throw error;
      this.#failed();
    }
    for (const moved of this.#moved.splice(0)) moved();
  }

  #failed(): void {
    if (this.#connection !== undefined) {
      this.#client.options.endpoints.failed(this.#connection.endpoint);
    }
    this.#drop();
    this.#retryAt = this.#pauses.failed(now());
  }

  #drop(): void {
    if (this.#connection !== undefined) this.#connection.lineReceived = undefined;
    this.#connection?.close();
    this.#connection = undefined;
    if (this.#channel !== undefined) this.#client.discard(this.#channel);
    this.#channel = undefined;
    this.#cached.closed();
  }

  /** Ends it, and forgets everything. */
  close(): void {
    this.#isClosed = true;
    this.#drop();
  }
}

/**
 * A client with a near cache, of `client.near`.
 *
 * Changes by this client are seen by its next read; those of others as soon as they have been pushed,
 * and in the worst case, when the connection is dead, after `fresh`. TOUCH is no change: times of
 * activity are those of when the reply was made. Results are the caller's own.
 */
export class NearClient extends Client {
  protected cached: Cached;
  protected follower: Follower;

  constructor(client: Client, options: NearOptions = {}) {
    super();
    Object.assign(this, client);
    if (client.isHttp) throw new LatchkeyError("a near cache needs a socket, not HTTP");
    const { fresh = 1, longest = 60, bytesMax = 8 << 20 } = options;
    this.cached = new Cached(seconds(fresh), seconds(longest), bytesMax);
    this.follower = new Follower(client, this.cached);
  }

  /** How many requests were answered from memory. */
  get hits(): number {
    return this.cached.hits;
  }

  /** How many requests of GET and HISTORY a worker has answered. */
  get misses(): number {
    return this.cached.misses;
  }

  protected override async replies(
    requests: readonly Request<unknown>[],
    signal?: AbortSignal,
  ): Promise<Reply[]> {
    const [request] = requests;
    if (requests.length === 1 && this.cached.keeps(request)) {
      return [await this.read(request, signal)];
    }
    try {
      return await super.replies(requests, signal);
    } finally {
      for (const one of requests) this.cached.changedBy(one);
    }
  }

  protected async read(request: Request<unknown>, signal: AbortSignal | undefined): Promise<Reply> {
    const isCached = await this.follower.look(deviceOf(request));
    if (!isCached) return (await super.replies([request], signal))[0];
    const { kept, asked } = this.cached.find(request);
    if (kept !== undefined) return kept;
    const [reply] = await super.replies([request], signal);
    this.cached.keep(asked, reply);
    return reply;
  }

  /** Ends the cache; the client that it was made of goes on. */
  override close(): Promise<void> {
    this.follower.close();
    return Promise.resolve();
  }
}
