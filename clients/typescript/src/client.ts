// The client: it keeps connections, retries, and never lets a retry apply a change twice.

import { Attempts } from "./attempts.ts";
import { WriteBehind, type WriteBehindOptions } from "./behind.ts";
import { type Channel, SocketChannel } from "./channel.ts";
import { type ClientOptions, resolve, type Resolved } from "./endpoints.ts";
import { Busy, ConnectionLost, Held, LatchkeyError, Unreached } from "./errors.ts";
import { consume, type ConsumeOptions, watch, type WatchOptions } from "./following.ts";
import { HttpChannel } from "./http.ts";
import { type HeldOptions, Lock } from "./lock.ts";
import { ALL, type All, type Duration, seconds } from "./names.ts";
import type { NearClient, NearOptions } from "./near.ts";
import { Rejected, type Reply } from "./reply.ts";
import { REPEAT_S, type Request, RETRIED_S } from "./request.ts";
import type { Event, Grant, Members } from "./results.ts";
import { Session, type Under } from "./session.ts";
import { StatelessSession } from "./stateless.ts";
import { Moment, now, sleep } from "./time.ts";
import { Turn } from "./turn.ts";
import * as verbs from "./verbs.ts";

type Verbs = typeof verbs;

/** A verb as a method of the client. */
type ClientVerb<B> = B extends (...given: infer A) => Request<infer R> ? (...given: A) => Promise<R>
  : never;

/** Verbs with a method of the client's own. */
type Own = "close" | "lock" | "turn" | "watch";

/** The verbs that the client has. CLOSE of a session is `closeSession`. */
export type ClientVerbs =
  & { [K in keyof Verbs as Exclude<K, Own>]: ClientVerb<Verbs[K]> }
  & { closeSession: ClientVerb<Verbs["close"]> };

const SPARE_MAX = 4;

/** The ways to the workers: the shared one, and those for requests that wait. */
class Channels {
  readonly shared: Channel;
  readonly #options: Resolved;
  readonly #isHttp: boolean;
  #spare: Channel[] = [];
  #taken = new Set<Channel>();
  /** Aborted once the client is closed. */
  readonly closing = new AbortController();

  constructor(options: Resolved) {
    this.#options = options;
    this.#isHttp = options.endpoints.current.origin !== undefined;
    this.shared = this.#isHttp ? new HttpChannel(options) : new SocketChannel(options, true);
  }

  get isHttp(): boolean {
    return this.#isHttp;
  }

  /** A channel for one call, or a subscription; it is given back by `give` or `discard`. */
  take(): Channel {
    const channel = this.#spare.pop() ??
      (this.#isHttp ? new HttpChannel(this.#options) : new SocketChannel(this.#options, false));
    this.#taken.add(channel);
    return channel;
  }

  /** Keeps some for later requests. */
  give(channel: Channel): void {
    this.#taken.delete(channel);
    if (this.#spare.length < SPARE_MAX && !this.closing.signal.aborted) this.#spare.push(channel);
    else channel.close();
  }

  /** Closes it. */
  discard(channel: Channel): void {
    this.#taken.delete(channel);
    channel.close();
  }

  close(): void {
    this.closing.abort();
    for (const channel of [this.shared, ...this.#spare, ...this.#taken]) channel.close();
    this.#spare = [];
  }
}

export interface Client extends ClientVerbs {}

/**
 * A client of a fleet of workers.
 *
 * All calls share a connection, which is made when it is first needed, kept between calls, and
 * replaced when it has ended or was idle for long; requests that wait have others. Every call is
 * answered, or throws Unavailable or UnknownOutcome, within `timeout`; only a function that returns
 * the secret may take longer. A connection does not keep the process, a call does.
 */
export class Client {
  options: Resolved;
  protected channels: Channels;
  protected own: Channel | undefined;

  /** No connection is made yet. Throws RangeError for malformed options. */
  constructor(to?: string | readonly string[] | ClientOptions, options: ClientOptions = {}) {
    const isOptions = typeof to === "object" && !Array.isArray(to);
    this.options = resolve(
      isOptions ? to as ClientOptions : {
        ...options,
        to: (to as string | undefined) ?? options.to,
      },
    );
    this.channels = new Channels(this.options);
  }

  /** True once the client was closed. */
  get isClosed(): boolean {
    return this.channels.closing.signal.aborted;
  }

  /**
   * Recovers the device's session, or makes one; the options are those of RECOVER.
   *
   * Throws Stale, IllegalState, Quota.
   */
  async session(
    device: string,
    fields?: Members | null,
    options: verbs.RecoverOptions = {},
  ): Promise<Session> {
    const record = await this.ask(verbs.recover(device, fields, options));
    const { token, turn } = options;
    return new Session(this, { device, session: record.session }, { token, turn }, record);
  }

  /**
   * A handle for a session whose id is known, or for the device's current one.
   *
   * Sends nothing, so the session need not exist.
   */
  attach(device: string, session?: string | null, under: Under = {}): Session {
    return new Session(this, { device, session }, under);
  }

  /**
   * A session in the memory of this process, for a function that would rather answer without memory
   * than fail: use it where `session` threw Unavailable.
   *
   * It has GET, SET, TOUCH, SAY, HISTORY, POP and FORGET; other verbs, and options that would have no
   * effect, throw Unavailable. Its `isStateless` is true, and so is the member `stateless` of each
   * result. Nothing of it is stored.
   */
  stateless(device: string, fields?: Members | null): Session {
    return new StatelessSession(this, device, fields);
  }

  /**
   * A queue of changes that are sent in order while the caller goes on. Close it, or use `await
   * using`.
   */
  writeBehind(options: WriteBehindOptions = {}): WriteBehind {
    return new WriteBehind(this, options);
  }

  /**
   * Acquires the device's lock, or renews it for the agent that holds it already. It is renewed until
   * it is released; with `await using` that is at the end of the block.
   *
   * With a function as the last argument the lock is released when that has ended, and its result is
   * returned; throws LockLost if the lock was lost meanwhile, but never in place of its error.
   * Throws Held; with `token`, which never acquires a free device, Stale.
   */
  lock(device: string, agent: string, options?: HeldOptions): Promise<Lock>;
  lock<T>(
    device: string,
    agent: string,
    options: HeldOptions,
    body: (lock: Lock) => T | Promise<T>,
  ): Promise<T>;
  async lock<T>(
    device: string,
    agent: string,
    options: HeldOptions = {},
    body?: (lock: Lock) => T | Promise<T>,
  ): Promise<Lock | T> {
    const lock = await this.acquire(device, agent, options);
    if (body === undefined) return lock;
    let result: T;
    try {
      result = await body(lock);
    } catch (error) {
      await lock[Symbol.asyncDispose]().catch((second) => attach(error, second));
      throw error;
    }
    await lock[Symbol.asyncDispose]();
    return result;
  }

  protected async acquire(device: string, agent: string, options: HeldOptions): Promise<Lock> {
    const request = verbs.lock(device, agent, options);
    const [grant, asked] = await this.waited<Grant>(request, Held);
    const then = new Moment();
    // When in a long wait the lock was granted is not known: its time has to begin again.
    if (request.waitS === 0 || then.since(asked) * 1000 <= grant.ttl_ms / 10) {
      return new Lock(this, device, grant, asked, options);
    }
    const lock = new Lock(this, device, grant, then, { ...options, renew: false });
    await lock.renewOrRelease(request.req);
    if (options.renew ?? true) lock.keep();
    return lock;
  }

  /** A result that was waited for, and the moment before it was asked for. */
  protected async waited<R>(
    request: Request<R>,
    isTaken: typeof Held | typeof Busy,
  ): Promise<[R, Moment]> {
    while (true) {
      const asked = new Moment();
      try {
        return [await this.ask(request), asked];
      } catch (error) {
        // A worker that drains answers so before the time is over.
        if (!(error instanceof isTaken) || !request.waitsAgain(new Moment().since(asked))) {
          throw error;
        }
      }
      await this.rest(REPEAT_S, request.signal);
    }
  }

  /**
   * Begins a turn: the device's session is recovered or made, and the message is said in it.
   *
   * With a function as the last argument, what it collects by `turn.say` and `turn.set` is applied in
   * one step with the turn's end when it has returned, and its result is returned; if it throws an
   * error, the turn ends and nothing is said. Without it the turn is returned: use `await using`, and
   * `await turn.done()` to apply what was collected. Throws Busy, Held, Stale, Quota; NotFound if
   * this is a retry and the session is gone; TurnLost.
   */
  turn(
    device: string,
    message?: Members | readonly Members[] | null,
    options?: verbs.TurnOptions,
  ): Promise<Turn>;
  turn<T>(
    device: string,
    message: Members | readonly Members[] | null | undefined,
    options: verbs.TurnOptions,
    body: (turn: Turn) => T | Promise<T>,
  ): Promise<T>;
  async turn<T>(
    device: string,
    message?: Members | readonly Members[] | null,
    options: verbs.TurnOptions = {},
    body?: (turn: Turn) => T | Promise<T>,
  ): Promise<Turn | T> {
    const [begun, asked] = await this.waited(verbs.turn(device, message, options), Busy);
    const turn = new Turn(this, device, begun, asked);
    if (body === undefined) return turn;
    let result: T;
    try {
      result = await body(turn);
    } catch (error) {
      await turn.abandon(error);
      throw error;
    }
    await turn.finish();
    return result;
  }

  /**
   * The events of a device, or of all, as they happen, for `for await`.
   *
   * It reconnects when a connection ends, and goes on after the last event; it begins after the event
   * `after`. An entry of type `watch.lost` says that events may be missing there, `changes.lost` that
   * changes may be: read anew what you follow. With `idle` the iteration ends when no event came for
   * that long. When the principal or the role ends by which it may watch, the last entry is of type
   * `watch.ended` with a `reason`; with a function for the secret, which gives a new token, it goes
   * on. Throws Refused, NotFound, and the signal's reason.
   */
  watch(device: string | All = ALL, options: WatchOptions = {}): AsyncGenerator<Event, void> {
    return watch(this, device, options);
  }

  /**
   * The events of the whole fleet, as a consumer of a group, each at least once, for `for await`.
   *
   * An event is acknowledged when the next one is asked for; the one at which a loop ends, by `break`
   * or an error, is not, and comes again to a consumer of the group. Up to `limit` are taken at a
   * time; handle that many within the workers' `--ack-timeout` (60 s). With `idle` the iteration ends
   * when there was no event for that long, with 0 when there is none. An entry of type `watch.lost`
   * says that the group has lost events. With `ack: false` nothing is acknowledged: call `ack`.
   * Throws Refused, and the signal's reason.
   */
  consume(group: string, options: ConsumeOptions = {}): AsyncGenerator<Event, void> {
    return consume(this, group, options);
  }

  /**
   * This client with a near cache: GET and HISTORY are answered from memory while a subscription to
   * the device's changes says that nothing has changed. Close it, or use `await using`.
   *
   * Throws LatchkeyError where workers are reached by HTTP.
   */
  async near(options: NearOptions = {}): Promise<NearClient> {
    const { NearClient } = await import("./near.ts");
    return new NearClient(this, options);
  }

  /** This client with another total deadline for its calls; the connections are shared. */
  within(timeout: Duration): Client {
    const made = this.clone();
    made.options = { ...this.options, timeoutS: seconds(timeout) };
    return made;
  }

  /** This client over one channel; for the iterators of the package. */
  over(channel: Channel): Client {
    const made = this.clone();
    made.own = channel;
    return made;
  }

  /** A channel that is closed with the client; for the package's iterators. End it by `discard`. */
  channel(): Channel {
    if (this.isClosed) throw new LatchkeyError("the client was closed");
    return this.channels.take();
  }

  /** Closes a channel that `channel` made. */
  discard(channel: Channel): void {
    this.channels.discard(channel);
  }

  /** True where workers are reached by HTTP. */
  get isHttp(): boolean {
    return this.channels.isHttp;
  }

  protected clone(): Client {
    return Object.assign(Object.create(Object.getPrototypeOf(this)), this);
  }

  /** The result of a request, after as many attempts as are needed and the deadline allows. */
  async ask<R>(request: Request<R>): Promise<R> {
    const [reply] = await this.replies([request], request.signal);
    return request.result(reply);
  }

  /**
   * The results of several requests, which are sent together: one round trip.
   *
   * They are carried out in their order. If one fails, those behind it may have been carried out all
   * the same; the first error is thrown when all replies are there.
   */
  async askAll<T extends readonly Request<unknown>[] | []>(
    requests: T,
    options: verbs.CallOptions = {},
  ): Promise<{ -readonly [K in keyof T]: T[K] extends Request<infer R> ? R : never }> {
    const given: readonly Request<unknown>[] = requests;
    const replies = given.length > 0 ? await this.replies(given, options.signal) : [];
    return given.map((request, at) => request.result(replies[at])) as never;
  }

  /** The definite replies to all of them. Throws Unavailable, UnknownOutcome, the signal's reason. */
  protected async replies(
    requests: readonly Request<unknown>[],
    signal?: AbortSignal,
  ): Promise<Reply[]> {
    signal?.throwIfAborted();
    if (this.own !== undefined) return await this.attempt(requests, this.own, signal);
    if (requests.every((request) => request.heldS <= 0)) {
      return await this.attempt(requests, this.channels.shared, signal);
    }
    const channel = this.channels.take();
    try {
      return await this.attempt(requests, channel, signal);
    } finally {
      this.channels.give(channel);
    }
  }

  protected async attempt(
    requests: readonly Request<unknown>[],
    channel: Channel,
    signal: AbortSignal | undefined,
  ): Promise<Reply[]> {
    const { timeoutS, replyS, endpoints, secret } = this.options;
    const attempts = new Attempts(requests, now(), {
      timeoutS,
      replyS,
      workers: endpoints.length,
      jitter: Math.random(),
      canRefresh: typeof secret === "function",
    });
    const lines = requests.map((request) => request.line());
    const began = new Moment();
    let step = attempts.resumed(now());
    while (true) {
      if (this.isClosed) throw new LatchkeyError(`${requests[0].verb}: the client was closed`);
      switch (step.kind) {
        case "try": {
          if (new Moment().since(began) > RETRIED_S) {
            step = attempts.expired();
            break;
          }
          const got: Reply[] = [];
          try {
            await channel.exchange(lines.slice(attempts.replies.length), step.until, got, signal);
            step = attempts.received(now(), got);
          } catch (error) {
            if (error instanceof Unreached) step = attempts.unreached(now(), error.message);
            else if (error instanceof Rejected) step = attempts.rejected(now(), error.reply);
            else if (error instanceof ConnectionLost) {
              step = attempts.received(now(), got, error.message);
            } else throw error;
          }
          break;
        }
        case "pause":
          await this.rest(step.seconds, signal);
          step = attempts.resumed(now());
          break;
        case "done":
          return attempts.replies;
        case "failed":
          throw step.error;
      }
    }
  }

  /** Waits. Throws LatchkeyError if the client is closed meanwhile, and the signal's reason. */
  async rest(seconds: number, signal?: AbortSignal): Promise<void> {
    const closing = this.channels.closing.signal;
    const either = signal === undefined ? closing : AbortSignal.any([closing, signal]);
    try {
      await sleep(seconds, either);
    } catch (error) {
      if (this.isClosed) throw new LatchkeyError("the client was closed");
      throw error;
    }
  }

  /** Closes the connections. Later calls throw LatchkeyError. */
  close(): Promise<void> {
    this.channels.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The error of a block is the one that is thrown; that of its end becomes its cause. */
function attach(error: unknown, second: unknown): void {
  if (error instanceof Error) error.cause ??= second;
}

const own = new Set<string>(["close", "lock", "turn", "watch"] satisfies Own[]);

for (const [name, build] of Object.entries(verbs as Record<string, unknown>)) {
  if (typeof build !== "function" || (own.has(name) && name !== "close")) continue;
  Object.defineProperty(Client.prototype, name === "close" ? "closeSession" : name, {
    configurable: true,
    writable: true,
    value: function (this: Client, ...given: unknown[]): Promise<unknown> {
      try {
        return this.ask(build(...given));
      } catch (error) { // of a parameter
        return Promise.reject(error);
      }
    },
  });
}
