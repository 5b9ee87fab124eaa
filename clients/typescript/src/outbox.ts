// Changes that wait to be sent in the background. Without a timer, a socket or a clock.
//
// Each waits as the request that it is, with its idempotency key: it can be sent again and is applied
// once.

import { LatchkeyError, UnknownOutcome } from "./errors.ts";
import { decodeId } from "./names.ts";
import { type Request, RETRIED_S } from "./request.ts";
import type { Members } from "./results.ts";
import type { Moment } from "./time.ts";

/** Too many changes wait to be sent; this one was not taken. */
export class QueueFull extends LatchkeyError {}

/** Requests in the order in which they are sent. */
export abstract class Outbox {
  #attempted: Moment | undefined;

  /** The request to send now, the same until it is settled; undefined if there is none now. */
  abstract next(now: number, isClosing: boolean): Request<unknown> | undefined;
  /** Seconds until `next` may have one though nothing is added; infinite if it has not. */
  abstract waitS(now: number): number;
  /** How many changes are not settled. */
  abstract get count(): number;

  /** The request is sent. */
  attempt(now: Moment): void {
    this.#attempted ??= now;
  }

  /** True if another attempt at the request could apply it twice. */
  isTooLate(now: Moment): boolean {
    return this.#attempted !== undefined && now.since(this.#attempted) > RETRIED_S;
  }

  /** The request was applied, or its error is reported: it is not sent again. */
  settle(): void {
    this.#attempted = undefined;
  }
}

/** The error for a change that cannot be sent again: its key may have expired. */
export function unknown(request: Request<unknown>): UnknownOutcome {
  const why = "it is not known whether this was applied: no worker replied in time";
  const body = { req: decodeId(request.req ?? "") };
  return new UnknownOutcome(`${request.verb}: ${why}`, "unknown_outcome", body);
}

/** All requests one after the other, bounded by number and by bytes. */
export class Queue extends Outbox {
  readonly #countMax: number;
  readonly #bytesMax: number;
  #bytes = 0;
  #waiting: { request: Request<unknown>; size: number }[] = [];

  /** Both bounds include the request that is being sent. */
  constructor(countMax: number, bytesMax: number) {
    super();
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  /** Adds a request. Throws QueueFull. */
  put(request: Request<unknown>): void {
    const size = new TextEncoder().encode(request.line()).length;
    if (this.#waiting.length >= this.#countMax) {
      throw new QueueFull(`${this.#waiting.length} of ${this.#countMax} changes wait to be sent`);
    }
    if (this.#bytes + size > this.#bytesMax) {
      throw new QueueFull(`${this.#bytes} of ${this.#bytesMax} bytes wait to be sent`);
    }
    this.#bytes += size;
    this.#waiting.push({ request, size });
  }

  override next(): Request<unknown> | undefined {
    return this.#waiting[0]?.request;
  }

  override waitS(): number {
    return Infinity;
  }

  override get count(): number {
    return this.#waiting.length;
  }

  override settle(): void {
    super.settle();
    this.#bytes -= this.#waiting.shift()?.size ?? 0;
  }
}

/**
 * Changes of members, merged into one request once they have paused.
 *
 * They are sent when nothing changed for `quietS`, and `longestS` after the first of them at the
 * latest. What changes while a request is under way goes into the next one.
 */
export class Draft extends Outbox {
  readonly #build: (members: Members) => Request<unknown>;
  readonly #quietS: number;
  readonly #longestS: number;
  #changes: Members = {};
  #firstAt = 0;
  #lastAt = 0;
  #request: Request<unknown> | undefined;

  constructor(build: (members: Members) => Request<unknown>, quietS: number, longestS: number) {
    super();
    this.#build = build;
    this.#quietS = quietS;
    this.#longestS = longestS;
  }

  get #isChanged(): boolean {
    return Object.keys(this.#changes).length > 0;
  }

  /** Adds changes; of one member the last one counts. */
  change(members: Members, now: number): void {
    if (Object.keys(members).length === 0) return;
    if (!this.#isChanged) this.#firstAt = now;
    Object.assign(this.#changes, members);
    this.#lastAt = now;
  }

  override next(now: number, isClosing: boolean): Request<unknown> | undefined {
    const isDue = this.#isChanged && (isClosing || this.waitS(now) <= 0);
    if (this.#request === undefined && isDue) {
      this.#request = this.#build(this.#changes);
      this.#changes = {};
    }
    return this.#request;
  }

  override waitS(now: number): number {
    if (!this.#isChanged || this.#request !== undefined) return Infinity;
    return Math.min(this.#lastAt + this.#quietS, this.#firstAt + this.#longestS) - now;
  }

  /** One for the request under way, one for the changes behind it. */
  override get count(): number {
    return (this.#request === undefined ? 0 : 1) + (this.#isChanged ? 1 : 0);
  }

  override settle(): void {
    super.settle();
    this.#request = undefined;
  }
}
