// A request as a value: its line, and how its reply becomes a result.

import { duration, encodeId, integer, newReq, wellFormed } from "./names.ts";
import type { Reply } from "./reply.ts";

/** The pause before a wait that was cut short is asked for again, in seconds. */
export const REPEAT_S = 0.05;

/**
 * How long a change is sent again, in seconds: less than the workers' `--req-keep` (10 min), after
 * which a repetition could be applied twice.
 */
export const RETRIED_S = 540;

const WAIT_MIN_S = 0.1; // a shorter wait is not asked for again

/** Options of a line by their names; undefined ones are left out. */
export type WireOptions = Record<string, string | undefined>;

/** The parts of a request besides verb, words and options. */
export interface Parts<R> {
  payload?: string;
  /** Makes the result from the text of an `OK`'s JSON. */
  read: (text: string) => R;
  /** `read` is given `null` for a `NONE`, which is an error otherwise. */
  isOptional?: boolean;
  /** Seconds that the worker may wait for others before it replies. */
  waitS?: number;
  /** Seconds that the worker may wait for more messages. */
  settleS?: number;
  /** Ends the call. */
  signal?: AbortSignal;
}

/**
 * One request. It is made once and sent as often as needed, each time as the same line.
 *
 * A request that changes something has the option `req`, its idempotency key.
 */
export class Request<R> {
  readonly verb: string;
  readonly words: readonly string[];
  readonly options: Map<string, string>;
  readonly payload: string | undefined;
  readonly signal: AbortSignal | undefined;
  readonly settleS: number;
  waitS: number;
  isOptional: boolean;
  read: (text: string) => R;

  /** `words`, `options` and the payload are texts for the wire. */
  constructor(verb: string, words: readonly string[], options: WireOptions, parts: Parts<R>) {
    this.verb = verb;
    this.words = words;
    const given = Object.entries(options).filter((entry): entry is [string, string] =>
      entry[1] !== undefined
    );
    this.options = new Map(given);
    this.payload = parts.payload;
    this.read = parts.read;
    this.isOptional = parts.isOptional ?? false;
    this.waitS = parts.waitS ?? 0;
    this.settleS = parts.settleS ?? 0;
    this.signal = parts.signal;
  }

  /** Seconds that the worker may take before it replies. */
  get heldS(): number {
    return this.waitS + this.settleS;
  }

  /** The idempotency key, as it is on the wire. */
  get req(): string | undefined {
    return this.options.get("req");
  }

  /** The lock's token, if the change is to happen only under it. */
  get token(): number | undefined {
    return this.#number("token");
  }

  /** The turn's number, if the change is to happen only while it runs. */
  get turn(): number | undefined {
    return this.#number("turn");
  }

  #number(name: string): number | undefined {
    const text = this.options.get(name);
    return text === undefined ? undefined : Number(text);
  }

  /** True if the outcome matters: the request changes something. */
  get isChange(): boolean {
    return this.options.has("req");
  }

  /** The line, without its end. */
  line(): string {
    const parts = [this.verb, ...this.words];
    for (const [name, value] of this.options) parts.push(`${name}=${value}`);
    if (this.payload !== undefined) parts.push(this.payload);
    return wellFormed(parts.join(" "));
  }

  /**
   * The same request without its key, where a repetition has the same effect anyway: Redis then
   * keeps no reply. Its outcome is not reported as unknown.
   */
  withoutReq(): this {
    this.options.delete("req");
    return this;
  }

  /**
   * Shortens the request's wait by the seconds that it has waited.
   *
   * False if nothing worth asking for is left of it. Its key stays the same, and with it the place
   * in the queue: workers do not count the wait among what makes a request another.
   */
  waitsAgain(waitedS: number): boolean {
    const leftS = this.waitS - waitedS - REPEAT_S;
    if (leftS < WAIT_MIN_S) return false;
    this.waitS = leftS;
    this.options.set("wait", duration(leftS));
    return true;
  }

  /** Adds the lock's token or the turn's number to a change that has none of them. */
  bind(under: { token?: number; turn?: number }): this {
    if (!this.isChange || this.options.has("token") || this.options.has("turn")) return this;
    if (under.turn !== undefined) this.options.set("turn", integer(under.turn));
    else if (under.token !== undefined) this.options.set("token", integer(under.token));
    return this;
  }

  /** The result of a reply. Throws the reply's error if it is not `OK`. */
  result(reply: Reply): R {
    if (reply.word === "OK") return this.read(reply.rest);
    if (reply.word === "NONE" && this.isOptional) return this.read("null");
    throw reply.error(this.verb);
  }
}

/** Options of every change. */
export interface ChangeOptions {
  /** The fencing token of the device's lock: the change happens only under this lock. */
  token?: number;
  /** The number of the device's running turn, in place of `token`. */
  turn?: number;
  /**
   * The idempotency key, any text; without it a random one, which protects the call's own retries.
   * Derive it from the id of the event that causes the change, so that a second delivery of the
   * event is applied once, too.
   */
  req?: string;
  /** A user: sessions that are not linked to it are not there, what is made is linked to it. */
  as?: string;
}

/** The options of a request that changes something: with the key `req`, or a new one. */
export function change(options: WireOptions, common: ChangeOptions): WireOptions {
  return {
    ...options,
    as: common.as === undefined ? undefined : encodeId(common.as),
    token: common.token === undefined ? undefined : integer(common.token),
    turn: common.turn === undefined ? undefined : integer(common.turn),
    req: common.req === undefined ? newReq() : encodeId(common.req),
  };
}
