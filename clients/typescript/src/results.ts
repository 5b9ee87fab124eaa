// The results of the verbs: the JSON of the replies, with ids decoded.
//
// Their names are those of the manual's protocol page. Times (`..._at`, `at`) are Unix milliseconds
// by Redis' clock, durations (`..._ms`) milliseconds. A result may have more members than are listed.
// Where a value is corrupt in Redis it is null, and its name is in the result's list `damaged`.

import { ProtocolError } from "./errors.ts";
import { decodeId } from "./names.ts";

// deno-lint-ignore no-explicit-any -- what callers store is their own, and of any type
export type Json = any;

/** The members of a JSON object. */
export type Members = Record<string, Json>;

/** A lock that was acquired, renewed or passed on. */
export interface Grant {
  agent: string;
  token: number;
  ttl_ms: number;
  acquired_at: number;
  renewed: boolean;
}

/** A lock that was seized, and from which agent. */
export interface Seizure extends Grant {
  seized_from: string | null;
}

/** A lock that ended, and for how long it was held. */
export interface Released {
  held_ms: number;
}

/** A lock that an operator ended, and its holder. */
export interface Cleared extends Released {
  agent: string;
}

/** The agent that holds a device, how many wait for the lock, and the note of the handoff. */
export interface Holder {
  agent: string;
  ttl_ms: number;
  acquired_at: number;
  waiting: number;
  note?: Json;
  returns_to?: string;
}

/** A page of held locks; `cursor` gets the next one, null if this is the last. */
export interface Locks {
  locks: { device: string; agent: string; acquired_at: number; ttl_ms: number }[];
  cursor: string | null;
}

/** A webhook of the fleet; `url` is shown without its secret parts. */
export interface Hook {
  name: string;
  url: string | null;
  types: string[] | null;
  devices: string | null;
  signed: boolean;
  state: "delivering" | "failing" | "damaged";
  /** How many events it has not delivered, and how old the oldest of them is. */
  lag: number;
  lag_ms: number;
  under_way: number;
  delivered: number;
  delivered_at: number | null;
  failed: number;
  last_error: string | null;
  last_error_at: number | null;
  created_at: number | null;
}

/** The hooks of the fleet, by name. */
export interface Hooks {
  hooks: Hook[];
}

/** The lengths of a session's clocks; 0 is off. */
export interface Clocks {
  idle_ms: number;
  abandon_ms: number;
  archive_ms: number;
  life_ms: number;
  keep_ms: number;
  warn_ms: number;
}

/** A message with its number and the time at which it was said. */
export interface Message {
  seq: number;
  at: number;
  message: Members;
}

/** Messages, oldest first. */
export interface Messages {
  messages: Message[];
}

/** A ticket for a session. */
export interface Ticket {
  ticket: string;
  expires_at: number;
}

/** The role of another user in a session; `until` is in Unix milliseconds. */
export interface Share {
  user: string;
  role: "read" | "write" | "own";
  until: number | null;
}

/** A session. */
export interface SessionRecord {
  session: string;
  device: string;
  state: "active" | "paused" | "abandoned" | "archived" | "completed" | "failed" | "expired";
  reason: string | null;
  rev: number;
  name: string | null;
  thread: string;
  phase: string | null;
  step: string | null;
  policy: string | null;
  fenced: boolean;
  created_at: number;
  updated_at: number;
  active_at: number;
  idle_at: number | null;
  abandon_at: number | null;
  life_at: number | null;
  keep_until: number | null;
  clocks: Clocks;
  chat: number | null;
  chats: number;
  messages: number;
  links: Record<string, string[]>;
  /** Left out without any. */
  shares?: Share[];
  fields: Members;
  damaged?: string[];
}

/**
 * A session; with `recent`, the newest messages of its current chat. Or `unchanged` alone, if it has
 * the revision that was asked about.
 */
export interface Shown extends SessionRecord {
  unchanged?: boolean;
  recent?: Message[];
}

/**
 * A session that was recovered: `how` is `hint`, `latest` or `new`.
 *
 * `hint` gives the reason why the hinted session was not taken; `ignored` lists the options that
 * only a new session takes. A request for one session has none of the three.
 */
export interface Recovered extends SessionRecord {
  how: string;
  hint?: string;
  ignored?: string[];
}

/**
 * A turn that has begun, or a message that was joined to the running one.
 *
 * `token` is that of the lock, with `agent`. With `joined`, the number of the running turn, only
 * `seq` is there besides.
 */
export interface Begun {
  turn: number;
  ttl_ms: number;
  session: string;
  how: string;
  chat: number;
  seq: number | null;
  messages: Message[];
  more: boolean;
  fields: Members;
  phase: string | null;
  step: string | null;
  waited_ms: number;
  token?: number;
  ignored?: string[];
  joined?: number;
  trimmed?: number;
}

/**
 * A turn that has ended; or, with `turn`, that goes on because of the joined `messages`.
 *
 * `joined` is the number of messages that are left without an answer.
 */
export interface Ended {
  seq: number | null;
  rev: number | null;
  turn?: number;
  messages?: Message[];
  joined?: number;
  trimmed?: number;
}

/** A chat of a session. `config` is null if the chat has none. */
export interface Chat {
  chat: number;
  name: string | null;
  created_at: number;
  messages: number;
  last_at: number | null;
  config: Members | null;
}

/** All chats of a session, and the number of the current one. */
export interface Chats {
  chats: Chat[];
  current: number | null;
}

/** A chat's number and name. */
export interface ChatName {
  chat: number;
  name: string | null;
}

/** A chat's number. */
export interface ChatNumber {
  chat: number;
}

/** The new revision of a session. */
export interface Revised {
  rev: number;
}

/**
 * When a session will pause and expire unless it is touched again; null is never.
 *
 * Of a turn also its `ttl_ms`, and how many messages are `joined` to it.
 */
export interface Touched {
  idle_at: number | null;
  life_at: number | null;
  ttl_ms?: number;
  joined?: number;
}

/**
 * A page of sessions; `cursor` gets the next one, null if this is the last.
 *
 * `total`, the number of all, is there with `count`; null if it is over 10,000.
 */
export interface Sessions {
  sessions: SessionRecord[];
  cursor: string | null;
  total?: number | null;
}

/**
 * The number of the last message that was said, and its chat.
 *
 * `known` is how many messages were left out because the chat has them, `trimmed` how many old ones
 * the full chat has dropped.
 */
export interface Said {
  seq: number;
  chat: number;
  known?: number;
  trimmed?: number;
}

/**
 * Messages of a chat, oldest first. `lost` is true if some were dropped after `after`.
 *
 * `read_to` is where a search for a role has ended before it found all. `draft` has the pieces of
 * the answer that the turn `draft_turn` is writing in this chat.
 */
export interface History {
  messages: Message[];
  more: boolean;
  first_seq: number | null;
  last_seq: number | null;
  lost?: boolean;
  read_to?: number;
  draft?: Members[];
  draft_turn?: number;
}

/** How many messages, or documents, were removed. */
export interface Removed {
  removed: number;
}

/** The number of the chat's newest message, 0 without one, and the session's revision. */
export interface Applied {
  seq: number;
  rev: number;
  trimmed?: number;
}

/** The fields of a link, and their revision; after a change, the revision alone. */
export interface Profile {
  rev: number;
  fields?: Members;
}

/** The new revision of a document, and whether it was made. */
export interface Written {
  rev: number;
  created: boolean;
}

/** A document of a session, with the time at which it was written; of `keys` maybe without value. */
export interface Document {
  key: string;
  rev: number;
  at: number;
  value?: Json;
}

/** Documents in the order in which they were asked for; null for one that is not there. */
export interface Documents {
  documents: (Document | null)[];
}

/** A page of documents; `cursor` gets the next one, null if this is the last. */
export interface DocumentPage {
  documents: Document[];
  cursor: string | null;
}

/** Something that happened to a lock or a session; see the manual for each type's members. */
export interface Event {
  id: string;
  type: string;
  device: string;
  at: number;
  agent?: string | null;
  token?: number | null;
  held_ms?: number | null;
  to?: string;
  session?: string;
  chat?: number;
  state?: string;
  reason?: string | null;
  [member: string]: Json;
}

/** Events, oldest first. `lost` is true if the log no longer has some that were asked for. */
export interface Events {
  events: Event[];
  lost?: boolean;
  damaged?: string[];
}

/** How many of the events were pending before they were acknowledged. */
export interface Acknowledged {
  acked: number;
}

// --- readers: from the text of a reply's JSON to a result -----------------------------------------

const IDS = ["device", "agent", "to", "seized_from", "user", "policy"];

function withIds(body: Members): Members {
  for (const name of IDS) {
    if (typeof body[name] === "string") body[name] = decodeId(body[name]);
  }
  for (const share of Array.isArray(body.shares) ? body.shares : []) {
    if (typeof share?.user === "string") share.user = decodeId(share.user);
  }
  const { links } = body;
  if (typeof links === "object" && links !== null) {
    const decoded: Members = {};
    for (const [kind, refs] of Object.entries(links)) {
      decoded[decodeId(kind)] = Array.isArray(refs) ? refs.map(decodeId) : refs;
    }
    body.links = decoded;
  }
  return body;
}

/** The object of a reply's JSON. Throws ProtocolError. */
export function object(text: string): Members {
  try {
    return text === "" ? {} : JSON.parse(text);
  } catch {
    throw new ProtocolError(`the reply has no JSON: ${JSON.stringify(text.slice(0, 40))}`);
  }
}

/** Reads an object with ids; the type is the caller's to name. */
export function reader<T>(): (text: string) => T {
  return (text) => withIds(object(text)) as T;
}

/** Reads an object with ids, or null. */
export function optional<T>(): (text: string) => T | null {
  return (text) => text === "null" ? null : withIds(object(text)) as T;
}

/** Reads an object whose values are the caller's own. */
export function plain<T>(): (text: string) => T {
  return (text) => object(text) as T;
}

/** Reads an `OK` without JSON. */
export function nothing(_text: string): void {}

/** Leaves JSON as it came, byte for byte. */
export function raw(text: string): string {
  return text;
}

/** Reads a page of objects with ids, which are the list of this name. */
export function page<T>(name: string): (text: string) => T {
  return (text) => {
    const body = object(text);
    // What is corrupt in Redis may be null.
    body[name] = (body[name] ?? []).map((one: Members | null) => one && withIds(one));
    return body as T;
  };
}

/** Reads the hooks. */
export function hooks(text: string): Hooks {
  const body = object(text);
  for (const hook of body.hooks) hook.name = decodeId(hook.name);
  return body as unknown as Hooks;
}

/** Reads an event. */
export function event(text: string): Event {
  return withIds(object(text)) as Event;
}

/** Reads statistics, in which agents are names of members. */
export function stats(text: string): Members {
  const body = object(text);
  const byAgent = body.locks?.by_agent;
  if (typeof byAgent === "object" && byAgent !== null) {
    body.locks.by_agent = Object.fromEntries(
      Object.entries(byAgent).map(([agent, count]) => [decodeId(agent), count]),
    );
  }
  return body;
}
