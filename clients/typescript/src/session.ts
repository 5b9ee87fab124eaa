// A session as an object: its verbs, without the address and the token.

import { AutoSave, type AutoSaveOptions } from "./behind.ts";
import type { Client } from "./client.ts";
import type { Address, Where } from "./names.ts";
import type { Request } from "./request.ts";
import type { SessionRecord } from "./results.ts";
import * as verbs from "./verbs.ts";

type Verbs = typeof verbs;

/** A verb with an address, without it. */
type SessionVerb<B> = B extends (where: Where, ...given: infer A) => Request<infer R>
  ? (...given: A) => Promise<R>
  : never;

/** Functions of the module of verbs that have no address. */
const OTHER = [
  "ack",
  "clear",
  "done",
  "events",
  "handoff",
  "help",
  "holder",
  "hook",
  "hooks",
  "import",
  "info",
  "list",
  "lock",
  "locks",
  "open",
  "part",
  "ping",
  "profile",
  "renew",
  "seize",
  "stats",
  "turn",
  "unhook",
  "unlock",
  "watch",
] as const;

type Other = (typeof OTHER)[number];

/** The verbs that a session has. */
export type SessionVerbs = { [K in keyof Verbs as Exclude<K, Other>]: SessionVerb<Verbs[K]> };

/** Under which lock or turn a session's changes happen. */
export interface Under {
  token?: number;
  turn?: number;
}

export interface Session extends SessionVerbs {}

/** A session of a device. It is a handle: making one sends nothing. */
export class Session {
  readonly address: Address;
  /** The record as it was when the session was recovered; `get` returns the present one. */
  readonly record: SessionRecord | undefined;
  readonly under: Under;
  readonly #client: Client;

  constructor(client: Client, address: Address, under: Under = {}, record?: SessionRecord) {
    this.#client = client;
    this.address = address;
    this.under = under;
    this.record = record;
  }

  /** The device's id. */
  get device(): string {
    return this.address.device;
  }

  /** The session's id; undefined if it is the device's current one. */
  get id(): string | undefined {
    return this.address.session ?? undefined;
  }

  /** The same session, with a chat for the verbs that have one: a number, `'@name'` or `'current'`. */
  at(chat: number | string): Session {
    return new Session(this.#client, { ...this.address, chat }, this.under, this.record);
  }

  /** True if this is not a session in Redis, but one in the memory of this process. */
  get isStateless(): boolean {
    return false;
  }

  /**
   * Changes of fields that are saved together, when they pause. Close it, or use `await using`.
   *
   * They happen under the session's lock or turn.
   */
  autosave(options: AutoSaveOptions = {}): AutoSave {
    return new AutoSave(this.#client, this.address, this.under, options);
  }

  /** The result of a request, whose change happens under the session's lock or turn. */
  ask<R>(request: Request<R>): Promise<R> {
    return this.#client.ask(request.bind(this.under));
  }
}

/** Each other function of the module begins with an address: its type makes sure of that. */
const isWhole: SessionVerbs[keyof SessionVerbs] extends (...given: never[]) => unknown ? true
  : never = true;
const other: ReadonlySet<string> = new Set(OTHER);

for (const [name, build] of Object.entries(verbs as Record<string, unknown>)) {
  if (!isWhole || typeof build !== "function" || other.has(name)) continue;
  Object.defineProperty(Session.prototype, name, {
    configurable: true,
    writable: true,
    value: function (this: Session, ...given: unknown[]): Promise<unknown> {
      try {
        return this.ask(build(this.address, ...given));
      } catch (error) { // of a parameter
        return Promise.reject(error);
      }
    },
  });
}
