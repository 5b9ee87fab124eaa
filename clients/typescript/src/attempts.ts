// The retry policy: which step is next for one request. A value without a clock or a socket.
//
// The client asks for a step, takes it, and reports what came of it. All attempts send the same
// line, with the same idempotency key, so a change is applied once however often it is sent.

import { type LatchkeyError, Unavailable, UnknownOutcome } from "./errors.ts";
import { decodeId } from "./names.ts";
import { type Reply, RETRYABLE, UNADMITTED } from "./reply.ts";
import type { Request } from "./request.ts";

const PAUSE_FIRST_S = 0.05;
const PAUSE_MAX_S = 1;

export type Step =
  /** Send the lines over a live connection, or a new one; give up at `until`, in seconds. */
  | { kind: "try"; until: number }
  /** Wait, then call `resumed`. */
  | { kind: "pause"; seconds: number }
  /** The replies are definite. */
  | { kind: "done" }
  /** The deadline leaves no time for another attempt. */
  | { kind: "failed"; error: LatchkeyError };

/** What bounds the attempts. */
export interface Bounds {
  /** For all attempts; the time for which the worker may hold a request is added. */
  timeoutS: number;
  /** For each attempt; likewise. */
  replyS: number;
  workers: number;
  /** From 0 to 1: spreads the pauses of many callers. */
  jitter: number;
  /** One more attempt is allowed after the secret was rejected. */
  canRefresh: boolean;
}

/**
 * The attempts at one request, within one deadline over all workers.
 *
 * Several requests that are sent together are one case of it: an attempt is at those that have no
 * definite reply yet, in their order. One that is sent again after a later one was carried out is
 * followed by that one once more, so that each finds what those before it have left.
 */
export class Attempts {
  /** The definite replies so far, to the first of the requests. */
  readonly replies: Reply[] = [];
  readonly #requests: readonly Request<unknown>[];
  readonly #deadline: number;
  readonly #tryS: number;
  readonly #bounds: Bounds;
  #canRefresh: boolean;
  #failures = 0;
  #isUnknown = false;
  #last = "no worker answered";

  constructor(requests: readonly Request<unknown>[], now: number, bounds: Bounds) {
    const heldS = requests.reduce((sum, request) => sum + request.heldS, 0);
    this.#requests = requests;
    this.#deadline = now + bounds.timeoutS + heldS;
    this.#tryS = bounds.replyS + heldS;
    this.#bounds = bounds;
    this.#canRefresh = bounds.canRefresh;
  }

  /** The first step, and the one after a pause. */
  resumed(now: number): Step {
    if (now >= this.#deadline) return this.#giveUp();
    return { kind: "try", until: Math.min(this.#deadline, now + this.#tryS) };
  }

  /**
   * So much time has passed, in which the process was frozen, that the idempotency keys of what was
   * sent may be kept no more.
   */
  expired(): Step {
    return this.#giveUp();
  }

  /** No connection could be made: nothing was sent. */
  unreached(now: number, why: string): Step {
    this.#note(now, why);
    return this.#again(now);
  }

  /** Replies came to the requests of an attempt; if to some only, `why` no more came. */
  received(now: number, replies: readonly Reply[], why?: string): Step {
    for (const reply of replies) {
      const step = this.#replied(now, reply);
      if (step.kind !== "done") return step;
      this.replies.push(reply);
    }
    if (why === undefined) return { kind: "done" };
    this.#isUnknown = true;
    this.#note(now, why);
    return this.#again(now);
  }

  /** A reply other than `OK` came to AUTH: the requests were not looked at. */
  rejected(now: number, reply: Reply): Step {
    if (reply.code === "forbidden" && this.#canRefresh) {
      this.#canRefresh = false;
      return this.resumed(now);
    }
    let step = this.#replied(now, reply);
    if (step.kind === "done") step = this.#refused(reply);
    if (step.kind === "done") {
      while (this.replies.length < this.#requests.length) this.replies.push(reply);
    }
    return step;
  }

  #replied(now: number, reply: Reply): Step {
    const { code } = reply;
    if (code === "auth_required" && this.#canRefresh) { // the principal is gone
      this.#canRefresh = false;
      return this.resumed(now);
    }
    if (reply.word !== "ERR" || !RETRYABLE.has(code)) {
      return UNADMITTED.has(code) ? this.#refused(reply) : { kind: "done" };
    }
    this.#isUnknown ||= code === "unknown_outcome";
    this.#last = reply.rest;
    return this.#again(now);
  }

  /**
   * An attempt was refused without a look at what an earlier one did: it settles nothing of a change
   * that was sent before.
   */
  #refused(reply: Reply): Step {
    if (this.#unsettled === undefined) return { kind: "done" };
    this.#last = reply.rest;
    return this.#giveUp();
  }

  /** The first change that was sent, in part at least, and has no definite reply. */
  get #unsettled(): Request<unknown> | undefined {
    if (!this.#isUnknown) return undefined;
    return this.#requests.slice(this.replies.length).find((request) => request.isChange);
  }

  /** Keeps the reason of a failure; one that the deadline cut short says less than the one before. */
  #note(now: number, why: string): void {
    if (now < this.#deadline || this.#failures === 0) this.#last = why;
  }

  /** Other workers are tried at once; before each further round there is a pause. */
  #again(now: number): Step {
    this.#failures += 1;
    if (this.#failures % this.#bounds.workers !== 0) return this.resumed(now);
    const rounds = this.#failures / this.#bounds.workers;
    const pauseS = Math.min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** Math.min(rounds - 1, 10)) *
      (0.5 + 0.5 * this.#bounds.jitter);
    return now + pauseS < this.#deadline ? { kind: "pause", seconds: pauseS } : this.#giveUp();
  }

  #giveUp(): Step {
    const unsettled = this.#unsettled;
    if (unsettled !== undefined) {
      const text = `${unsettled.verb}: it is not known whether this was applied: ${this.#last}`;
      const body = { req: decodeId(unsettled.req ?? "") };
      return { kind: "failed", error: new UnknownOutcome(text, "unknown_outcome", body) };
    }
    const { verb } = this.#requests[this.replies.length];
    const text = `${verb}: nothing was done: ${this.#last}`;
    return { kind: "failed", error: new Unavailable(text, "unavailable") };
  }
}
