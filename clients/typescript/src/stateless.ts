// A session without a worker: for functions that would rather answer without memory than fail.
//
// It is never chosen by the client itself. Its verbs work on this process's memory alone, nothing of
// it is stored anywhere, and each of its results has the member `stateless`.

import type { Client } from "./client.ts";
import { Unavailable } from "./errors.ts";
import { dump } from "./names.ts";
import { Reply } from "./reply.ts";
import type { Request } from "./request.ts";
import type { Members, Message, SessionRecord } from "./results.ts";
import { Session } from "./session.ts";

/** The session's id, and `how` in its record. */
const STATELESS = "stateless";

/** Options that a session without a worker takes, for each verb that has some. */
const TAKEN: Record<string, readonly string[]> = {
  GET: ["fields"],
  SET: ["name", "phase", "step"],
  HISTORY: ["after", "last", "limit"],
};

/** Options that mean nothing where there is one caller, and no lock or turn. */
const EVERYWHERE = ["req", "token", "turn"];

/** The error for what a stateless session cannot do. */
function refused(what: string): Unavailable {
  return new Unavailable(`${what}: a stateless session has no worker to ask`, "unavailable");
}

function plain(text: string): string {
  return text.startsWith('"') ? JSON.parse(text) : text;
}

/** Answers the requests of one session: GET, SET, TOUCH, SAY, HISTORY, POP and FORGET. */
export class LocalSession {
  readonly #device: string;
  readonly #createdAt: number = Date.now();
  #activeAt: number = this.#createdAt;
  #rev = 1;
  #seq = 0;
  #fields: Members;
  #named: Record<string, string | null> = { name: null, phase: null, step: null };
  #messages: Message[] = [];

  constructor(device: string, fields?: Members | null) {
    this.#device = device;
    this.#fields = JSON.parse(dump(fields ?? {}));
  }

  /** The reply to a request. Throws Unavailable for another verb, and for options without effect. */
  answer(request: Request<unknown>): Reply {
    const answers: Record<string, (asked: Request<unknown>) => object | null> = {
      GET: (asked) => this.#get(asked),
      SET: (asked) => this.#set(asked),
      TOUCH: () => this.#touch(),
      SAY: (asked) => this.#say(asked),
      HISTORY: (asked) => this.#history(asked),
      POP: () => this.#messages.pop() ?? null,
      FORGET: () => ({ removed: this.#messages.splice(0).length }),
    };
    const answer = answers[request.verb];
    if (answer === undefined) throw refused(request.verb);
    for (const name of request.options.keys()) {
      if (EVERYWHERE.includes(name) || TAKEN[request.verb]?.includes(name)) continue;
      throw refused(`${request.verb} ${name}=`);
    }
    const body = answer(request);
    return body === null
      ? new Reply("NONE", "")
      : new Reply("OK", dump({ ...body, stateless: true }));
  }

  /** The session, with the members that one in Redis has. */
  record(): SessionRecord & { how: string; stateless: true } {
    const off = { idle_ms: 0, abandon_ms: 0, archive_ms: 0, life_ms: 0, keep_ms: 0, warn_ms: 0 };
    const named = this.#named as { name: string | null; phase: string | null; step: string | null };
    return {
      session: STATELESS,
      device: this.#device,
      state: "active",
      reason: null,
      rev: this.#rev,
      ...named,
      thread: STATELESS,
      policy: null,
      fenced: false,
      created_at: this.#createdAt,
      updated_at: this.#activeAt,
      active_at: this.#activeAt,
      idle_at: null,
      abandon_at: null,
      life_at: null,
      keep_until: null,
      clocks: off,
      chat: 1,
      chats: 1,
      messages: this.#messages.length,
      links: {},
      fields: this.#fields,
      how: STATELESS,
      stateless: true,
    };
  }

  #get(request: Request<unknown>): object {
    const shown = request.options.get("fields");
    if (shown === undefined) return this.record();
    const named = shown === "none" ? [] : plain(shown).split(",");
    const fields = Object.entries(this.#fields).filter(([name]) => named.includes(name));
    return { ...this.record(), fields: Object.fromEntries(fields) };
  }

  #set(request: Request<unknown>): object {
    for (const name of Object.keys(this.#named)) {
      const text = request.options.get(name);
      if (text !== undefined) this.#named[name] = plain(text);
    }
    for (const [name, value] of Object.entries(JSON.parse(request.payload ?? "{}"))) {
      if (value === null) delete this.#fields[name];
      else this.#fields[name] = value;
    }
    this.#rev += 1;
    this.#activeAt = Date.now();
    return { rev: this.#rev };
  }

  #touch(): object {
    this.#activeAt = Date.now();
    return { idle_at: null, life_at: null };
  }

  #say(request: Request<unknown>): object {
    const said = JSON.parse(request.payload ?? "[]");
    this.#activeAt = Date.now();
    for (const message of Array.isArray(said) ? said : [said]) {
      this.#seq += 1;
      this.#messages.push({ seq: this.#seq, at: this.#activeAt, message });
    }
    return { seq: this.#seq, chat: 1 };
  }

  #history(request: Request<unknown>): object {
    const option = (name: string, instead: number) => Number(request.options.get(name) ?? instead);
    const limit = option("limit", 100);
    let shown: Message[];
    let more: boolean;
    if (request.options.has("after")) {
      const found = this.#messages.filter(({ seq }) => seq > option("after", 0));
      [shown, more] = [found.slice(0, limit), found.length > limit];
    } else {
      const last = Math.min(option("last", option("limit", 20)), limit);
      shown = last > 0 ? this.#messages.slice(-last) : [];
      more = shown.length < this.#messages.length;
    }
    return {
      messages: shown,
      more,
      first_seq: this.#messages[0]?.seq ?? null,
      last_seq: this.#messages.at(-1)?.seq ?? null,
    };
  }
}

/** A session in this process's memory; see `Client.stateless`. */
export class StatelessSession extends Session {
  readonly #local: LocalSession;

  constructor(client: Client, device: string, fields?: Members | null) {
    const local = new LocalSession(device, fields);
    super(client, { device }, {}, local.record());
    this.#local = local;
  }

  override get isStateless(): boolean {
    return true;
  }

  /** The session, which has one chat. Throws Unavailable for another one. */
  override at(chat: number | string): Session {
    if (chat !== 1 && chat !== "current") throw refused(`chat ${chat}`);
    return this;
  }

  /** Throws Unavailable: there is nothing to save to. */
  override autosave(): never {
    throw refused("autosave");
  }

  // deno-lint-ignore require-await -- what it throws is the promise's
  override async ask<R>(request: Request<R>): Promise<R> {
    return request.result(this.#local.answer(request));
  }
}
