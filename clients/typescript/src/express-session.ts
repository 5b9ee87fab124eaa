// A store of express-session.
//
//     import session from "express-session";
//     class LatchkeyStore extends store(session.Store) {}
//     app.use(session({ store: new LatchkeyStore({ client }), secret, resave: false, … }));
//
// The interface is written from the README of express-session 1.19. The framework needs a subclass of
// its own class, so that is a parameter: this package does not depend on it.

import { Adapter, type AdapterOptions, type Base, canonical, part } from "./adapting.ts";
import { IllegalState, NotFound } from "./errors.ts";
import type { Json, Members, SessionRecord } from "./results.ts";
import * as verbs from "./verbs.ts";

/** What the framework keeps in a session. */
export interface SessionData {
  cookie?: { expires?: Date | string | null | false; originalMaxAge?: number | null };
  [member: string]: Json;
}

type Callback<T = void> = (error?: unknown, result?: T) => void;

/** Options of the store. */
export interface StoreOptions extends Omit<AdapterOptions, "life" | "expiresAt" | "keep"> {
  /** Stores with another prefix have nothing in common (`sess:`). */
  prefix?: string;
  /** Seconds that a session is kept whose cookie has no time of its own (one day). */
  ttl?: number;
}

/** The methods of the store. */
export interface LatchkeySessionStore {
  get(sid: string, callback: Callback<SessionData | null>): void;
  set(sid: string, session: SessionData, callback?: Callback): void;
  destroy(sid: string, callback?: Callback): void;
  touch(sid: string, session: SessionData, callback?: Callback): void;
  all(callback: Callback<SessionData[]>): void;
  length(callback: Callback<number>): void;
  clear(callback?: Callback): void;
  ids(callback: Callback<string[]>): void;
  /** Closes the store's own client. */
  close(): Promise<void>;
}

/** What the framework's `Store` has that this one uses. */
interface StoreBase {
  createSession?(request: object, data: SessionData): SessionData;
}

const LINK = "express-session";
const ENDED = ["expired", "completed", "failed", "archived"];

/**
 * A store that is a subclass of express-session's.
 *
 * A session's members are fields. Of a session that was loaded only the members that the request has
 * changed are written, so two requests at once overwrite none of each other's; and if another request
 * has destroyed it meanwhile, it stays so.
 */
export function store<B extends Base<object>>(
  Store: B,
): new (options?: StoreOptions) => InstanceType<B> & LatchkeySessionStore {
  class Made extends (Store as unknown as new () => StoreBase) implements LatchkeySessionStore {
    readonly #adapter: Adapter;
    readonly #prefix: string;
    readonly #ttl: number;
    /** The members of each session object as they are in Redis. */
    readonly #known = new WeakMap<object, Record<string, string>>();

    constructor(options: StoreOptions = {}) {
      super();
      const { prefix = "sess:", ttl = 86_400, link, ...opening } = options;
      this.#prefix = prefix;
      this.#ttl = ttl;
      this.#adapter = new Adapter({ ...opening, link: { ...link, [LINK]: part(prefix) } });
    }

    /** Called by the framework with what `get` has found. */
    override createSession(request: object, data: SessionData): SessionData {
      const members = texts(data);
      const made = super.createSession?.(request, data) ?? data;
      this.#known.set(made, members);
      return made;
    }

    get(sid: string, callback: Callback<SessionData | null>): void {
      answer(this.#load(sid), callback);
    }

    set(sid: string, session: SessionData, callback?: Callback): void {
      answer(this.#save(sid, session), callback);
    }

    destroy(sid: string, callback?: Callback): void {
      const where = { device: this.#prefix + sid, session: "current" };
      answer(this.#adapter.ifThere(where, verbs.delete(where)).then(() => undefined), callback);
    }

    touch(sid: string, session: SessionData, callback?: Callback): void {
      const device = this.#prefix + sid;
      const fields = session.cookie === undefined ? null : { cookie: stored(session.cookie) };
      const request = verbs.set(device, fields, { expiresAt: this.#expiresAt(session) });
      answer(whileThere(this.#adapter.ifThere(device, request)).then(() => undefined), callback);
    }

    all(callback: Callback<SessionData[]>): void {
      answer(
        this.#ids().then(async (ids) => {
          const found = await Promise.all(ids.map((id) => this.#load(id)));
          return found.filter((one) => one !== null);
        }),
        callback,
      );
    }

    length(callback: Callback<number>): void {
      answer(this.#ids().then((ids) => ids.length), callback);
    }

    ids(callback: Callback<string[]>): void {
      answer(this.#ids(), callback);
    }

    clear(callback?: Callback): void {
      answer(
        this.#ids().then(async (ids) => {
          for (const id of ids) {
            const where = { device: this.#prefix + id, session: "current" };
            await this.#adapter.ifThere(where, verbs.delete(where));
          }
        }),
        callback,
      );
    }

    close(): Promise<void> {
      return this.#adapter.close();
    }

    async #load(sid: string): Promise<SessionData | null> {
      const record = await this.#adapter.client.get(this.#prefix + sid);
      return record === null || ENDED.includes(record.state) ? null : data(record);
    }

    async #save(sid: string, session: SessionData): Promise<void> {
      const device = this.#prefix + sid;
      const before = this.#known.get(session);
      const members = texts(session);
      const fields: Members = {};
      for (const [name, text] of Object.entries(members)) {
        if (before?.[name] !== text) fields[name] = stored(JSON.parse(text));
      }
      for (const name of Object.keys(before ?? {})) {
        if (!(name in members)) fields[name] = null;
      }
      const expiresAt = this.#expiresAt(session);
      const request = verbs.set(device, fields, { expiresAt });
      // What was loaded and has ended meanwhile, by another request's logout, is not made again.
      if (before !== undefined) await whileThere(this.#adapter.ifThere(device, request));
      else await this.#adapter.changed(device, request, {}, { keep: "1m" });
      this.#known.set(session, members);
    }

    /** When the session ends unless it is saved or touched again, in Unix milliseconds. */
    #expiresAt(session: SessionData): number {
      const { expires, originalMaxAge } = session.cookie ?? {};
      const at = expires ? new Date(expires).getTime() : NaN;
      const ms = originalMaxAge ?? this.#ttl * 1000;
      // A moment that has passed would be refused: the session ends at once.
      return Math.max(Date.now() + 50, Number.isFinite(at) ? at : Date.now() + ms);
    }

    async #ids(): Promise<string[]> {
      const records = await this.#adapter.linked(LINK, part(this.#prefix));
      return records.filter((one) => !ENDED.includes(one.state))
        .map((one) => one.device.slice(this.#prefix.length));
    }
  }
  return Made as unknown as new (options?: StoreOptions) => InstanceType<B> & LatchkeySessionStore;
}

/** A value as a field: null would remove it, so it stands in an array, as arrays themselves do. */
function stored(value: Json): Json {
  return value === null || Array.isArray(value) ? [value] : value;
}

function data(record: SessionRecord): SessionData {
  return Object.fromEntries(
    Object.entries(record.fields).map(([name, value]) => [
      name,
      Array.isArray(value) ? value[0] : value,
    ]),
  );
}

/** The members of a session as JSON. */
function texts(session: SessionData): Record<string, string> {
  const members = JSON.parse(JSON.stringify(session));
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => [name, canonical(value)]),
  );
}

/** Undefined where the session has ended. */
async function whileThere<T>(asked: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof IllegalState || error instanceof NotFound) return undefined;
    throw error;
  }
}

/** Gives a promise's outcome to a callback. */
function answer<T>(asked: Promise<T>, callback?: Callback<T>): void {
  asked.then(
    (result) => callback?.(null, result),
    (error) => callback?.(error),
  );
}
