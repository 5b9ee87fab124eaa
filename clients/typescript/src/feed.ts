// A subscription that survives its connections. Without a socket or a clock.
//
// For a device, what was missed between two connections is read from the event log, from the last
// event on; events that come both ways are given once. For all devices the worker resumes.

import { ConnectionLost, type LatchkeyError, WatchEnded } from "./errors.ts";
import { type All, isAll } from "./names.ts";
import { parseReply, type Reply } from "./reply.ts";
import type { Request } from "./request.ts";
import * as results from "./results.ts";
import type { Event, Events } from "./results.ts";
import * as verbs from "./verbs.ts";

const PAGE = 1000;
const SEEN_MAX = 4096;

/**
 * The type of the entry that a feed or a consumer gets where events may be missing. It is no event:
 * its id and its time are empty.
 */
export const LOST = "watch.lost";

/** The same for changes, which are in no log. */
export const CHANGES_LOST = "changes.lost";

/** The type of the last entry of a subscription whose rights have ended; `reason` says why. */
export const ENDED = "watch.ended";

/** The entry that says that events, or changes, may be missing here. */
export function lost(device = "", type = LOST): Event {
  return { id: "", type, device, at: 0 };
}

/** A line to send, if any, and the events to give. */
export interface Given {
  line?: string;
  events: Event[];
}

/** What a feed follows. */
export interface FeedOptions {
  types?: string | readonly string[];
  /** The id of the event to begin after, else with the next one that happens. */
  after?: string;
  /** Gives changes too, which have no id. */
  changes?: boolean;
  /** The user whose sessions' events alone are given. */
  as?: string;
}

/** The lines to send and the events to give, over any number of connections in turn. */
export class Feed {
  readonly #device: string | All;
  readonly #types: readonly string[] | undefined;
  readonly #changes: boolean;
  readonly #as: string | undefined;
  readonly #beginsAfter: string | undefined;
  #last: string | undefined;
  #isFirst = true;
  #isResumed = false;
  #isCaughtUp = false;
  #hasBegun = false;
  readonly #seen = new Set<string>();
  #pushed: Event[] = [];
  #awaited: Request<unknown>[] = [];

  constructor(device: string | All, options: FeedOptions) {
    const { types } = options;
    this.#device = device;
    this.#types = typeof types === "string" ? types.split(",") : types;
    this.#changes = options.changes ?? false;
    this.#as = options.as;
    this.#beginsAfter = options.after;
    this.#last = options.after;
  }

  /** A connection is there; the line to send. */
  opened(): string {
    this.#pushed = [];
    this.#awaited = [];
    this.#isCaughtUp = false;
    // Of a device the log is read, which is less than the worker would send again.
    const after = isAll(this.#device) ? this.#last : undefined;
    this.#isResumed = after !== undefined;
    const changes = this.#changes || undefined;
    return this.#send(
      verbs.watch(this.#device, { types: this.#types, changes, after, as: this.#as }),
    );
  }

  /** Nothing came for a while; the line that shows whether the worker still answers. */
  quiet(): string {
    return this.#send(verbs.ping());
  }

  /** True if the worker has to reply to something. */
  get isAwaiting(): boolean {
    return this.#awaited.length > 0;
  }

  /** True once the subscription of this connection has begun and nothing is missed. */
  get isLive(): boolean {
    return this.#isCaughtUp;
  }

  /** The connection has ended. */
  closed(): void {
    this.#isCaughtUp = false;
  }

  /**
   * The last entry, after a refusal that a pause does not change. Throws the error if the subscription
   * has never begun.
   */
  ended(error: LatchkeyError): Event {
    if (!this.#hasBegun) throw error;
    return { ...this.#lost(ENDED), reason: error.code.toLowerCase() };
  }

  /**
   * A line came. Throws ConnectionLost if the worker drains, WatchEnded, ProtocolError, and the error
   * of a rejected request.
   */
  received(line: string): Given {
    const reply = parseReply(line);
    if (reply.word === "EVENT") return this.#event(reply);
    const request = this.#awaited.shift();
    if (request === undefined) throw reply.error("WATCH");
    if (request.verb === "WATCH") {
      request.result(reply);
      return this.#subscribed(reply.body.lost === true);
    }
    if (request.verb === "EVENTS") return this.#page(request as Request<Events>, reply);
    request.result(reply);
    return { events: [] };
  }

  #event(reply: Reply): Given {
    // A change has no id, and the loss of some neither a device nor a time.
    let event: Event = { ...this.#lost(), ...results.event(reply.rest) };
    if (event.type === "worker.draining") throw new ConnectionLost("the worker is stopping");
    if (event.type === ENDED) {
      throw new WatchEnded("the subscription has ended", event.reason ?? "forbidden");
    }
    if (event.type === "events.lost") event = this.#lost();
    if (this.#awaited.some((request) => request.verb !== "PING")) {
      this.#pushed.push(event);
      return { events: [] };
    }
    return { events: this.#new([event]) };
  }

  #send(request: Request<unknown>): string {
    this.#awaited.push(request);
    return request.line();
  }

  #subscribed(hasLost: boolean): Given {
    let events: Event[] = [];
    // A worker that resumes says so itself.
    if (this.#changes && !this.#isFirst && !this.#isResumed) events = [this.#lost(CHANGES_LOST)];
    if (!isAll(this.#device)) return { line: this.#more(this.#device), events };
    if (hasLost || (!this.#isFirst && !this.#isResumed)) events = [this.#lost(), ...events];
    this.#isFirst = false;
    return { events: [...events, ...this.#flush()] };
  }

  #more(device: string): string {
    return this.#send(verbs.events(device, { after: this.#last, limit: PAGE, as: this.#as }));
  }

  /** A page of the device's log came: of what was missed, or at first of what is past. */
  #page(request: Request<Events>, reply: Reply): Given {
    if (reply.word === "STALE") { // another Redis, or one that lost its newest writes
      this.#last = reply.body.id as string | undefined;
      this.#isFirst = false;
      return { events: [this.#lost(), ...this.#flush()] };
    }
    const page = request.result(reply);
    let events: Event[] = [];
    if (this.#isFirst && this.#beginsAfter === undefined) {
      this.#last = page.events.at(-1)?.id ?? this.#last;
    } else {
      events = [...(page.lost ? [this.#lost()] : []), ...this.#new(page.events)];
    }
    if (page.events.length > 0) return { line: this.#more(this.#device as string), events };
    this.#isFirst = false;
    return { events: [...events, ...this.#flush()] };
  }

  #lost(type = LOST): Event {
    return lost(isAll(this.#device) ? "" : this.#device, type);
  }

  #flush(): Event[] {
    this.#isCaughtUp = this.#hasBegun = true;
    const pushed = this.#pushed;
    this.#pushed = [];
    return this.#new(pushed);
  }

  /** Those of the events that were not given before; they are now. */
  #new(events: readonly Event[]): Event[] {
    return events.filter((event) => {
      if (event.id === "") return true;
      if (this.#seen.has(event.id)) return false;
      this.#seen.add(event.id);
      if (this.#seen.size > SEEN_MAX) this.#seen.delete(this.#seen.values().next().value ?? "");
      this.#last = event.id;
      return this.#types === undefined || this.#types.includes(event.type);
    });
  }
}
