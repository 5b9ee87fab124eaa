// The small parts of the iterators that hold neither a socket nor a clock.

import { Forbidden, LatchkeyError, NotFound, Unavailable } from "./errors.ts";
import { type Duration, seconds } from "./names.ts";

const PAUSE_FIRST_S = 0.05;
const PAUSE_MAX_S = 2;
const UNACKNOWLEDGED_MAX = 1000;

/** The pauses between attempts to reconnect: at once, then longer and longer up to 2 s. */
export class Backoff {
  readonly #canRefresh: boolean;
  #failures = 0;
  #rejected = 0;

  /** `canRefresh`: a secret that is rejected once may be replaced by the next one. */
  constructor(canRefresh: boolean) {
    this.#canRefresh = canRefresh;
  }

  /** A connection did its work. */
  reset(): void {
    this.#failures = 0;
    this.#rejected = 0;
  }

  /**
   * Seconds to pause. Throws the error, as Unavailable if it is the system's, if no time is left or a
   * pause does not help. `jitter` is from 0 to 1.
   */
  failed(error: unknown, leftS: number, jitter: number): number {
    if (error instanceof Forbidden) {
      this.#rejected += 1;
      if (!this.#canRefresh || this.#rejected > 1) throw error;
    }
    if (error instanceof NotFound) throw error;
    this.#failures += 1;
    const pauseS = Math.min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** Math.min(this.#failures - 1, 10));
    if (leftS <= 0) {
      if (error instanceof LatchkeyError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new Unavailable(`no worker can be reached: ${why}`, "unavailable", {}, {
        cause: error,
      });
    }
    return pauseS * (0.5 + 0.5 * jitter);
  }
}

/** How long an iteration goes on without an event. */
export class Idle {
  readonly #limitS: number;
  #since: number;

  /** Without a limit it goes on for ever. */
  constructor(limit: Duration | undefined, now: number) {
    this.#limitS = limit === undefined ? Infinity : seconds(limit);
    this.#since = now;
  }

  /** An event came, and was handled. */
  received(now: number): void {
    this.#since = now;
  }

  /** Seconds until the iteration ends, infinite without a limit; 0 or less if it is over. */
  leftS(now: number): number {
    return this.#since + this.#limitS - now;
  }
}

/** Events that were handled and could not be acknowledged yet; the newest 1,000. */
export class Unacknowledged {
  #ids: string[] = [];

  /** Adds one; returns all. */
  withId(id: string): readonly string[] {
    this.#ids = [...this.#ids, id].slice(-UNACKNOWLEDGED_MAX);
    return this.#ids;
  }

  /** They are acknowledged. */
  clear(): void {
    this.#ids = [];
  }
}
