// Replies of GET and HISTORY that are kept, and why they are current. Without a socket.
//
// A subscription with `changes=yes` follows the devices whose replies are kept. A reply is given
// again only if the subscription was there before it was asked for, no change of the device came
// since, and the subscription has proved a moment ago that it lives, by a reply that Redis had to be
// asked for.

import { ConnectionLost } from "./errors.ts";
import { parseReply, type Reply } from "./reply.ts";
import type { Request } from "./request.ts";
import { object } from "./results.ts";
import { Moment } from "./time.ts";
import { Backoff } from "./waiting.ts";

/** What one connection may watch. */
const DEVICES_MAX = 100;

/** Verbs after which GET and HISTORY are as before. */
const READS = new Set([
  ...["GET", "HISTORY", "TAKE", "KEYS", "LIST", "CHATS", "HOLDER", "LOCKS", "PROFILE"],
  ...["REPORT", "STATS", "EXPORT", "EVENTS", "ACK", "PING", "INFO", "HELP", "RENEW", "TELL"],
]);

const PAUSE_S = 0.05;
const KEPT = new Set(["OK", "NONE"]);

/** A device that is followed, or will be. */
class Followed {
  changes = 0;
  isLive = false;
  readonly keys = new Set<string>();
}

interface Entry {
  device: string;
  reply: Reply;
  asked: Moment;
  size: number;
}

/** When a subscription that was lost may begin anew: at once, then after longer and longer. */
export class Pauses {
  readonly #backoff = new Backoff(false);
  #isFailing = false;
  #began = 0;

  /** The subscription works. */
  reset(): void {
    this.#isFailing = false;
    this.#backoff.reset();
  }

  /** It was lost, for whatever reason. Returns the moment of the next attempt, in seconds. */
  failed(now: number): number {
    const pauseS = this.#backoff.failed(new ConnectionLost("lost"), 1, Math.random());
    const firstAt = Math.max(now, this.#began + PAUSE_S);
    this.#began = this.#isFailing ? now + pauseS : firstAt;
    this.#isFailing = true;
    return this.#began;
  }
}

/** The moment before a request that may be kept was sent, and the changes until then. */
export interface Asked {
  device: string;
  key: string;
  changes: number | undefined;
  at: Moment;
}

/** The device of a request, as it is on the wire. */
export function deviceOf(request: Request<unknown>): string {
  return request.words[0].split("/", 1)[0];
}

/** The kept replies, and what is to be sent and was received on the subscription. */
export class Cached {
  /** How many requests were answered from here. */
  hits = 0;
  /** How many were sent to a worker. */
  misses = 0;
  readonly #freshS: number;
  readonly #longestS: number;
  readonly #bytesMax: number;
  #bytes = 0;
  /** In the order of their use. */
  readonly #devices = new Map<string, Followed>();
  readonly #entries = new Map<string, Entry>();
  #awaited: { device: string; asked: Moment }[] = [];
  #proved: Moment | undefined;

  /**
   * `freshS`: how old the proof may be that nothing has changed; `longestS`: after which a reply is
   * asked for again in any case; `bytesMax`: of all kept replies, in UTF-16 units.
   */
  constructor(freshS: number, longestS: number, bytesMax: number) {
    this.#freshS = freshS;
    this.#longestS = longestS;
    this.#bytesMax = bytesMax;
  }

  // Requests.

  /** True if the reply to a request can be kept. */
  keeps(request: Request<unknown>): boolean {
    return (request.verb === "GET" || request.verb === "HISTORY") && !request.options.has("wait");
  }

  /** The kept reply if it is current; and what `keep` is to be called with otherwise. */
  find(request: Request<unknown>): { kept?: Reply; asked: Asked } {
    const now = new Moment();
    const device = deviceOf(request);
    const key = request.line();
    const entry = this.#entries.get(key);
    const followed = this.#devices.get(device);
    if (followed !== undefined) used(this.#devices, device, followed);
    const isProved = this.#proved !== undefined && now.since(this.#proved) <= this.#freshS;
    if (entry !== undefined && isProved && now.since(entry.asked) <= this.#longestS) {
      used(this.#entries, key, entry);
      this.hits += 1;
      return { kept: entry.reply, asked: { device, key, changes: undefined, at: now } };
    }
    this.misses += 1;
    const changes = followed?.isLive ? followed.changes : undefined;
    return { asked: { device, key, changes, at: now } };
  }

  /**
   * Keeps a reply, unless the device has changed since it was asked for.
   *
   * So that no caller sees an older reply after a newer one, none is kept where they differ.
   */
  keep(asked: Asked, reply: Reply): void {
    const followed = this.#devices.get(asked.device);
    if (followed === undefined || !followed.isLive || asked.changes === undefined) return;
    const other = this.#entries.get(asked.key)?.reply;
    const differs = other !== undefined && (other.word !== reply.word || other.rest !== reply.rest);
    if (followed.changes !== asked.changes || differs) {
      this.#changed(asked.device);
      return;
    }
    const size = asked.key.length + reply.rest.length;
    if (!KEPT.has(reply.word) || size > this.#bytesMax) return;
    this.#remove(asked.key);
    this.#entries.set(asked.key, { device: asked.device, reply, asked: asked.at, size });
    this.#bytes += size;
    followed.keys.add(asked.key);
    for (const key of this.#entries.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#remove(key);
    }
  }

  /** A request was sent that may have changed what is kept. */
  changedBy(request: Request<unknown>): void {
    if (READS.has(request.verb)) return;
    const named = request.verb === "IMPORT"
      ? [...this.#devices.keys()]
      : new Set(request.words.map((word) => word.split("/", 1)[0]));
    for (const device of named) this.#changed(device);
  }

  // The subscription.

  /** A new connection is there. The lines to send: they follow the devices anew. */
  opened(): string {
    const now = new Moment();
    this.#awaited = [];
    return [...this.#devices.keys()].map((device) => this.#watch(device, now)).join("");
  }

  /** True if the device is followed, or will be. */
  follows(device: string): boolean {
    return this.#devices.has(device);
  }

  /** The line that has a device followed; empty if it is already. */
  follow(device: string): string {
    if (this.#devices.has(device)) return "";
    this.#devices.set(device, new Followed());
    return this.#watch(device, new Moment());
  }

  /**
   * The line that proves the subscription again; empty if it is too early.
   *
   * It asks Redis for little. A worker that cannot reach Redis hears of no change, either.
   */
  probe(device: string): string {
    const now = new Moment();
    const isEarly = this.#proved !== undefined && now.since(this.#proved) <= this.#freshS / 2;
    if (isEarly || this.#awaited.some((awaited) => awaited.device === "")) return "";
    this.#awaited.push({ device: "", asked: now });
    return `HOLDER ${device}\n`;
  }

  /** True once the worker has replied to the device's WATCH. */
  isSettled(device: string): boolean {
    return this.#awaited.every((awaited) => awaited.device !== device);
  }

  /** True if a reply on the subscription is overdue. */
  isSilent(replyS: number): boolean {
    const [first] = this.#awaited;
    return first !== undefined && new Moment().since(first.asked) > replyS;
  }

  /** A line came. Throws ConnectionLost if the subscription has to begin anew, ProtocolError. */
  received(line: string): void {
    const reply = parseReply(line);
    if (reply.word === "EVENT") {
      const event = object(reply.rest);
      // Changes or events are lost, or the worker drains.
      if (event.device === undefined) throw new ConnectionLost(String(event.type));
      this.#changed(event.device);
      return;
    }
    const awaited = this.#awaited.shift();
    if (awaited === undefined) throw new ConnectionLost(`${reply.word} ${reply.rest}`);
    if (KEPT.has(reply.word)) this.#proved = awaited.asked;
    else if (awaited.device === "" || reply.code !== "forbidden") {
      if (awaited.device !== "" || reply.word === "ERR") throw new ConnectionLost(reply.rest);
      this.#proved = awaited.asked;
    }
    const followed = this.#devices.get(awaited.device);
    if (followed !== undefined) followed.isLive = reply.word === "OK";
  }

  /** The connection is gone: nothing is current, and nothing is kept. */
  closed(): void {
    this.#awaited = [];
    this.#proved = undefined;
    this.#bytes = 0;
    this.#entries.clear();
    for (const device of this.#devices.keys()) this.#devices.set(device, new Followed());
  }

  /** True if no further device can be followed on this connection. */
  get isFull(): boolean {
    return this.#devices.size >= DEVICES_MAX;
  }

  /**
   * Forgets the devices that were not asked for for the longest time. The connection has been closed
   * before.
   */
  halve(): void {
    for (const device of [...this.#devices.keys()].slice(0, -DEVICES_MAX / 2)) {
      this.#devices.delete(device);
    }
  }

  #watch(device: string, now: Moment): string {
    this.#awaited.push({ device, asked: now });
    return `WATCH ${device} changes=yes\n`;
  }

  /**
   * Forgets the replies of a device, in whatever case its id was given: with `--device-ids uuid`
   * workers read them in any, and events have the lower one.
   */
  #changed(device: string): void {
    const folded = device.toLowerCase();
    for (const [name, followed] of this.#devices) {
      if (name.toLowerCase() !== folded) continue;
      followed.changes += 1;
      for (const key of [...followed.keys]) this.#remove(key);
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.size;
    this.#devices.get(entry.device)?.keys.delete(key);
  }
}

/** Puts an entry last: those used least recently come first. */
function used<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
}
