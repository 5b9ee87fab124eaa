// A lock that this process holds.

import type { Client } from "./client.ts";
import { Held, LockLost, NotFound, Stale, UnknownOutcome } from "./errors.ts";
import { Keeper, Lease } from "./lease.ts";
import { decodeId, type Duration } from "./names.ts";
import type { Grant, Json } from "./results.ts";
import { Moment } from "./time.ts";
import * as verbs from "./verbs.ts";

/** Options of `client.lock`. */
export interface HeldOptions extends verbs.LockOptions {
  /** False leaves the lock to its TTL at the end of the block. */
  release?: boolean;
  /** False leaves the renewal to `lock.renew()`. */
  renew?: boolean;
}

/**
 * A lock that was granted. It is renewed until it is released, passed on, or lost.
 *
 * With `await using` it is released at the end of the block. LockLost is thrown there if the lock
 * was lost in it.
 */
export class Lock {
  readonly device: string;
  readonly agent: string;
  /** The fencing token: send it with every write, here and to other systems. */
  readonly token: number;
  /** Unix milliseconds by Redis' clock. */
  readonly acquiredAt: number;
  /** True if the agent held the lock already, and it was renewed. */
  readonly isRenewed: boolean;
  readonly #client: Client;
  readonly #lease: Lease;
  readonly #keeper: Keeper;
  readonly #releases: boolean;

  /** `asked`: the moment before the request was sent. */
  constructor(client: Client, device: string, grant: Grant, asked: Moment, options: HeldOptions) {
    this.device = device;
    this.agent = grant.agent;
    this.token = grant.token;
    this.acquiredAt = grant.acquired_at;
    this.isRenewed = grant.renewed;
    this.#client = client;
    this.#lease = new Lease(grant.ttl_ms, asked);
    this.#keeper = new Keeper(this.#lease);
    this.#releases = options.release ?? true;
    if (options.renew ?? true) this.keep();
  }

  /** Begins to renew it by itself; for `Client.lock`. */
  keep(): void {
    this.#keeper.start(this);
  }

  /** True if the lock has ended, or may have: its TTL has passed without a renewal. */
  get lost(): boolean {
    return this.#lease.isLost(new Moment());
  }

  /** The seconds for which the lock is valid without another renewal. */
  get ttlS(): number {
    return this.#lease.leftS(new Moment());
  }

  /** Throws LockLost if the lock is lost. */
  check(): void {
    if (this.lost) throw this.#lost();
  }

  #lost(): LockLost {
    const { cause } = this.#lease;
    const why = cause?.message ?? "its TTL ended before it could be renewed";
    const text = `the lock of ${JSON.stringify(this.device)} was lost: ${why}`;
    return new LockLost(text, "", { device: this.device }, { cause });
  }

  /** Renews it now. Throws LockLost if it is not held, Unavailable. */
  async renew(options: { ttl?: Duration } = {}): Promise<void> {
    await this.#renew(this.#client, options);
    this.check();
  }

  /**
   * Begins the time of a lock anew that was granted after a long wait, with the key `req` of its
   * request; if that fails it is released. For `Client.lock`.
   *
   * Throws what a renewal throws; UnknownOutcome if the lock may be held all the same.
   */
  async renewOrRelease(req: string | undefined): Promise<void> {
    try {
      await this.renew();
    } catch (error) {
      if (!(error instanceof LockLost)) await this.#abandon(req, error as Error);
      throw error;
    }
  }

  async #abandon(req: string | undefined, error: Error): Promise<void> {
    const client = this.#client.within(this.#client.options.replyS);
    try {
      await client.ask(verbs.unlock(this.device, this.agent, { token: this.token }));
    } catch (second) {
      if (isLoss(second)) return; // it has ended
      const text = `LOCK: the lock of ${JSON.stringify(this.device)} may be held until its TTL ` +
        `ends: it could neither be renewed nor released after a wait: ${error.message}`;
      const body = { req: decodeId(req ?? "") };
      throw new UnknownOutcome(text, "unknown_outcome", body, { cause: second });
    }
  }

  /** For the keeper of the lease. */
  async renewLease(signal: AbortSignal, timeoutS: number): Promise<void> {
    await this.#renew(this.#client.within(Math.min(timeoutS, this.#client.options.timeoutS)), {
      signal,
    });
  }

  async #renew(
    client: Client,
    options: { ttl?: Duration; signal?: AbortSignal },
  ): Promise<void> {
    const asked = new Moment();
    const request = verbs.renew(this.device, this.agent, { ...options, token: this.token });
    try {
      const { ttl_ms } = await client.ask(request.withoutReq());
      this.#lease.renewed(ttl_ms, asked);
    } catch (error) {
      if (!isLoss(error)) throw error;
      this.#lease.failed(error);
    }
  }

  /** Ends it. Throws LockLost if it had ended before, Unavailable, UnknownOutcome. */
  async release(): Promise<void> {
    await this.#keeper.stop();
    this.check();
    await this.#end(verbs.unlock(this.device, this.agent, { token: this.token }));
  }

  /**
   * Passes it to another agent; it is then not this process's any more.
   *
   * Returns the receiver's grant. Throws LockLost, Unavailable, UnknownOutcome.
   */
  async handoff(
    to: string,
    note?: Json,
    options: { ttl?: Duration; return?: Duration; req?: string } = {},
  ): Promise<Grant> {
    await this.#keeper.stop();
    this.check();
    const under = { ...options, token: this.token };
    return this.#end(verbs.handoff(this.device, this.agent, to, note, under));
  }

  async #end<R>(request: import("./request.ts").Request<R>): Promise<R> {
    try {
      const result = await this.#client.ask(request);
      this.#lease.isReleased = true;
      return result;
    } catch (error) {
      if (!isLoss(error)) throw error;
      this.#lease.failed(error);
      throw this.#lost();
    }
  }

  /** The end of a block: releases it, if it is still this process's. Throws as `release` does. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#lease.isReleased) return;
    if (this.#releases) {
      await this.release();
    } else {
      await this.#keeper.stop();
      this.check();
    }
  }
}

function isLoss(error: unknown): boolean {
  return error instanceof NotFound || error instanceof Held || error instanceof Stale;
}
