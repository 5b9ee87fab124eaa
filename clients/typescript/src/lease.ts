// A lock or a turn as time: until when it is valid here, when it is to be renewed, and what renews it.

import { Held, type LatchkeyError, NotFound, Stale } from "./errors.ts";
import { Moment, timerMs, unref } from "./time.ts";

/**
 * What is known of a lock or a turn that was granted.
 *
 * It runs from the moment before the request was sent, so it never ends later than in Redis.
 */
export class Lease {
  /** The reply that shows that it has ended, if there was one. */
  cause: LatchkeyError | undefined;
  /** True once it was given up on purpose. */
  isReleased = false;
  #ttlS: number;
  #asked: Moment;
  #failures = 0;

  constructor(ttlMs: number, asked: Moment) {
    this.#ttlS = ttlMs / 1000;
    this.#asked = asked;
  }

  /** Seconds until it ends unless it is renewed; 0 if it has ended. */
  leftS(now: Moment): number {
    return this.cause === undefined ? Math.max(0, this.#ttlS - now.since(this.#asked)) : 0;
  }

  /** True if it has ended other than by a release. */
  isLost(now: Moment): boolean {
    return !this.isReleased && this.leftS(now) <= 0;
  }

  /** Seconds until the next renewal: a third of the TTL, or soon after a failed one. */
  nextS(now: Moment): number {
    return this.#failures > 0
      ? Math.min(0.05 * 2 ** Math.min(this.#failures, 5), this.leftS(now) / 4)
      : Math.max(0, this.#ttlS / 3 - now.since(this.#asked));
  }

  /** A renewal that was asked for at `asked` succeeded. */
  renewed(ttlMs: number, asked: Moment): void {
    this.#ttlS = ttlMs / 1000;
    this.#asked = asked;
    this.#failures = 0;
  }

  /**
   * A renewal failed. The lease has ended if it is not held, or held otherwise; an error that says
   * nothing about it leaves it as it is until its TTL ends.
   */
  failed(error: unknown): void {
    const isOver = error instanceof Held || error instanceof NotFound || error instanceof Stale;
    if (isOver) this.cause = error;
    else this.#failures += 1;
  }
}

/** What a keeper renews. */
export interface Renewable {
  /** Asks for a renewal. What it throws is noted in the lease. */
  renewLease(signal: AbortSignal, timeoutS: number): Promise<void>;
}

/**
 * Renews a lease until it is stopped, or the lease is lost.
 *
 * It does not keep the process, nor its owner: a lock that the program has forgotten is renewed no
 * more once it was collected.
 */
export class Keeper {
  readonly #lease: Lease;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #stopping = new AbortController();

  constructor(lease: Lease) {
    this.#lease = lease;
  }

  /** Begins. */
  start(owner: Renewable): void {
    const waiting = new WeakRef(owner);
    const stopping = this.#stopping;
    const timer = setTimeout(() => {
      const found = waiting.deref();
      if (found !== undefined) this.#running = this.#renew(found, stopping);
    }, timerMs(this.#lease.nextS(new Moment())));
    this.#timer = unref(timer);
  }

  async #renew(owner: Renewable, stopping: AbortController): Promise<void> {
    const leftS = this.#lease.leftS(new Moment());
    if (leftS <= 0 || stopping.signal.aborted) return;
    try {
      await owner.renewLease(stopping.signal, leftS);
    } catch (error) { // also of a function for the secret
      this.#lease.failed(error);
    }
    if (!stopping.signal.aborted) this.start(owner);
  }

  /** Ends it; a renewal that is under way is given up. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopping.abort();
    await this.#running;
    this.#stopping = new AbortController();
  }
}
