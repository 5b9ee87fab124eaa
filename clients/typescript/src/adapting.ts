// What the adapters of frameworks share.

import { AsyncLocalStorage } from "node:async_hooks";

import { Client } from "./client.ts";
import { Collected } from "./collecting.ts";
import { IllegalState, NotFound } from "./errors.ts";
import { deviceOf, encodeId, type Where } from "./names.ts";
import type { Request } from "./request.ts";
import type { Document, DocumentPage, Message, SessionRecord } from "./results.ts";
import type { Under } from "./session.ts";
import type { Turn } from "./turn.ts";
import * as verbs from "./verbs.ts";

/** The most messages, sessions or keys of one request. */
export const PAGE = 1000;

/** Options of `open` for the sessions that an adapter makes; their clocks are off unless given. */
export type Opening = Omit<verbs.OpenOptions, "token" | "turn" | "req" | "signal">;

/** What every adapter takes. */
export interface AdapterOptions extends Opening {
  /** Shared, and stays open; without it the adapter has one of its own. */
  client?: Client;
}

/** Options of an adapter's `turn`. */
export interface AdapterTurnOptions extends verbs.TurnOptions {
  /**
   * Messages that are said to the current chat are applied together at the end of the function, or
   * not at all, and reading the chat needs no request: a whole run takes two round trips. `last` (20)
   * is how many messages are known.
   */
  collect?: boolean;
}

/** A turn in whose function the caller is. */
interface Running {
  number: number;
  collected: Collected | undefined;
}

/** Those turns by their devices as they are on the wire. */
const running = new AsyncLocalStorage<ReadonlyMap<string, Running>>();

/** How many messages a turn that collects begins with. */
const COLLECTED = 20;

/** The request under a lock or a turn: the given one, else that of the block around the caller. */
export function bound<R>(request: Request<R>, device: string, under: Under = {}): Request<R> {
  const turn = under.turn ?? (under.token === undefined ? turnOf(device) : undefined);
  return request.bind({ ...under, turn });
}

function turnOf(device: string): number | undefined {
  return running.getStore()?.get(encodeId(device))?.number;
}

/** The client of an adapter, and the sessions that it makes. */
export class Adapter {
  readonly client: Client;
  readonly #opening: Opening;
  readonly #isOwn: boolean;

  constructor(options: AdapterOptions) {
    const { client, ...opening } = options;
    this.client = client ?? new Client();
    this.#isOwn = client === undefined;
    this.#opening = { idle: 0, abandon: 0, life: 0, ...opening };
    verbs.open("-", null, this.#opening); // throws for what is no parameter
  }

  /**
   * A turn of a device: in the function all changes of it, by any adapter of the package, happen only
   * while the turn runs. They throw Stale once it is lost. Throws Busy, after `wait`.
   */
  turn<T>(
    device: string,
    { collect = false, ...options }: AdapterTurnOptions,
    body: (turn: Turn) => T | Promise<T>,
  ): Promise<T> {
    const { policy, ...opening } = this.#opening;
    const last = collect ? COLLECTED : 1;
    const given = { sessionPolicy: policy, last, ...opening, ...options };
    return this.client.turn(device, null, given, async (turn) => {
      const collected = collect ? new Collected(turn) : undefined;
      const own: Running = { number: turn.number, collected };
      const turns = new Map(running.getStore()).set(encodeId(device), own);
      const result = await running.run(turns, () => body(turn));
      if (collected?.unknown !== undefined) {
        await this.client.ask(collected.unknown);
        collected.said();
      }
      return result;
    });
  }

  /** The result of a request; what a turn of its device has collected is said before it. */
  async ask<R>(request: Request<R>): Promise<R> {
    const device = request.words[0]?.split("/", 1)[0];
    const collected = running.getStore()?.get(device)?.collected;
    if (collected !== undefined) {
      const saying = collected.saying();
      if (saying !== undefined) await this.client.ask(saying);
      collected.said();
    }
    return await this.client.ask(request);
  }

  /**
   * Asks for a change of the device's session, which is made, or recovered, if need be: of several
   * callers that find none one makes it, and the others recover it.
   */
  async changed<R>(
    device: string,
    request: Request<R>,
    under: Under = {},
    opening: Opening = {},
  ): Promise<R> {
    bound(request, device, under);
    const taken = running.getStore()?.get(encodeId(device))?.collected?.takes(request);
    if (taken !== undefined) return taken as R;
    try {
      return await this.ask(request);
    } catch (error) {
      if (!(error instanceof NotFound || error instanceof IllegalState)) throw error;
    }
    const made = verbs.recover(device, null, { ...this.#opening, ...opening });
    await this.ask(bound(made, device, under));
    // Of a request that changed nothing the worker keeps no reply: its key tries anew.
    return await this.ask(request);
  }

  /** Asks for a change where there may be no session: undefined then. */
  async ifThere<R>(
    where: Where,
    request: Request<R>,
    under: Under = {},
  ): Promise<R | undefined> {
    try {
      return await this.ask(bound(request, deviceOf(where), under));
    } catch (error) {
      if (error instanceof NotFound) return undefined;
      throw error;
    }
  }

  /**
   * The messages of a chat, or the newest `last`, oldest first; those that are corrupt in Redis are
   * left out, and without a session there are none.
   */
  async messages(where: Where, last?: number): Promise<Message[]> {
    if (last !== undefined && last <= 0) return [];
    const known = running.getStore()?.get(encodeId(deviceOf(where)))?.collected;
    const collected = known?.messages(where, last);
    if (collected !== undefined) return collected;
    const limit = Math.min(last ?? PAGE, PAGE);
    const whole = (found: Message[]) => found.filter((one) => one.message !== null);
    const newest = await this.ifThere(where, verbs.history(where, { last: limit, limit }));
    if (newest === undefined) return [];
    if (!newest.more || (last !== undefined && last <= PAGE)) return whole(newest.messages);
    const found: Message[] = [];
    let after = 0;
    while (true) {
      const page = await this.ifThere(where, verbs.history(where, { after, limit: PAGE }));
      if (page === undefined) return [];
      found.push(...page.messages);
      if (!page.more || page.messages.length === 0) break;
      after = page.messages.at(-1)?.seq ?? after;
    }
    return whole(last === undefined ? found : found.slice(-last));
  }

  /** All documents of a range of keys; none if there is no session. */
  async documents(where: Where, options: verbs.KeysOptions): Promise<Document[]> {
    const found: Document[] = [];
    let cursor: string | undefined;
    do {
      const asked = verbs.keys(where, { limit: PAGE, ...options, cursor });
      const page: DocumentPage | undefined = await this.ifThere(where, asked);
      if (page === undefined) return found;
      found.push(...page.documents);
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined);
    return found;
  }

  /** The records of all sessions with a link, newest first. */
  async linked(kind: string, ref: string): Promise<SessionRecord[]> {
    const found: SessionRecord[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.client.list({ [kind]: ref }, { fields: "none", limit: PAGE, cursor });
      found.push(...page.sessions);
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined);
    return found;
  }

  /** Closes the client, unless it was given. */
  async close(): Promise<void> {
    if (this.#isOwn) await this.client.close();
  }
}

/** JSON with the members of objects in one order, to compare values. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_name, part) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1));
  });
}

/** The SHA-256 of a text, in hexadecimal digits. */
export async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A text as a part of a key, a device or a link, in which `/` is no separator. */
export function part(text: string): string {
  return text.replace(/[%/]/g, (one) => one === "/" ? "%2F" : "%25");
}

/** The reverse of `part`. */
export function unpart(text: string): string {
  return text.replaceAll("%2F", "/").replaceAll("%25", "%");
}

/** A class, maybe an abstract one. */
// deno-lint-ignore no-explicit-any -- its parameters are its own matter
export type Base<T> = abstract new (...given: any[]) => T;

/** Characters of a request, each of three bytes at most. */
const BATCH_CHARS = 300_000;

/** Documents in the order of their members, as many at a time as fit one request. */
export function* batches(put: Record<string, unknown>): Generator<Record<string, unknown>> {
  let batch: Record<string, unknown> = {};
  let [count, size] = [0, 0];
  for (const [key, value] of Object.entries(put)) {
    const length = key.length + JSON.stringify(value).length;
    if (count > 0 && (size + length > BATCH_CHARS || count === PAGE)) {
      yield batch;
      [batch, count, size] = [{}, 0, 0];
    }
    batch[key] = value;
    count += 1;
    size += length;
  }
  if (count > 0) yield batch;
}
