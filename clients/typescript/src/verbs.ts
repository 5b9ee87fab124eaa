// The verbs: one function for each, which makes its request. Neither a socket nor a clock.
//
// The client has a method of the same name and parameters for each of them. Where an address is
// meant, `where` is a device's id, any text, or `{ device, session, chat }`. Every call may throw
// `Unavailable`, every change `UnknownOutcome`, and every call a subclass of `Refused`. The other
// errors are named with each verb.

import {
  type Address,
  address,
  type All,
  dump,
  dumpObject,
  type Duration,
  duration,
  encodeId,
  flag,
  integer,
  isAll,
  seconds,
  type Where,
  word,
  words,
} from "./names.ts";
import { change, type ChangeOptions, Request, type WireOptions } from "./request.ts";
import * as results from "./results.ts";
import type { Members } from "./results.ts";

type Maybe<T> = T | undefined;

/** A name of the worker's configuration. */
type Named = string & Record<never, never>;

const text = (value: Maybe<string>) => value === undefined ? undefined : word(value);
const id = (value: Maybe<string>) => value === undefined ? undefined : encodeId(value);
const time = (value: Maybe<Duration>) => value === undefined ? undefined : duration(value);
const int = (value: Maybe<number>) => value === undefined ? undefined : integer(value);
const yes = (value: Maybe<boolean>) => value === undefined ? undefined : flag(value);
const list_ = (value: Maybe<string | readonly string[]>) =>
  value === undefined ? undefined : words(value);
const object = (value: Maybe<Members | null>) => value == null ? undefined : dumpObject(value);
const heldS = (value: Maybe<Duration>) => value === undefined ? 0 : seconds(value);

function links(link: Maybe<Links>): WireOptions {
  const made: WireOptions = {};
  for (const [kind, refs] of Object.entries(link ?? {})) {
    const given = typeof refs === "string" ? [refs] : refs;
    made[`link.${encodeId(kind)}`] = given.map(encodeId).join(",");
  }
  return made;
}

/** One message, or several. */
function messages(message: Members | readonly Members[]): string {
  if (!Array.isArray(message)) return dumpObject(message);
  return `[${message.map(dumpObject).join(",")}]`;
}

/** An address without a chat. */
function session(where: Where, instead: string): string {
  if (typeof where === "object" && (where as Address).chat != null) {
    throw new TypeError(`the address of a session is needed; for a chat there is ${instead}`);
  }
  return address(where);
}

function device_(device: string | All): string {
  return isAll(device) ? "*" : encodeId(device);
}

/** `kind=ref` of a link. Throws TypeError unless there is one. */
function linkWord(link: Record<string, string>): string {
  const [first, ...others] = Object.entries(link);
  if (first === undefined || others.length > 0) {
    throw new TypeError("give one link, such as { user: 'ada' }");
  }
  return `${encodeId(first[0])}=${encodeId(first[1])}`;
}

/** What every call takes. */
export interface CallOptions {
  /** Ends the call: it throws the signal's reason. A change may have been applied. */
  signal?: AbortSignal;
}

/** What calls that read an address take. */
export interface ReadOptions extends CallOptions {
  /** A user: sessions that are not linked to it are not there. */
  as?: string;
}

/** What every change of a session takes. */
export interface WriteOptions extends CallOptions, ChangeOptions {}

/** Links of a session: `{ tag: ['a', 'b'], app: 'x' }`. */
export type Links = Record<string, string | readonly string[]>;

/** The clocks of a session; 0 turns one off. */
export interface ClockOptions {
  idle?: Duration;
  abandon?: Duration;
  archive?: Duration;
  life?: Duration;
  keep?: Duration;
  warn?: Duration;
  /** `life` as a moment, in Unix milliseconds. */
  expiresAt?: number;
}

/** What a new session is made of. */
export interface OpenOptions extends WriteOptions, ClockOptions {
  user?: string;
  name?: string;
  thread?: string;
  phase?: string;
  step?: string;
  /** A policy of the worker: clocks and limits. */
  policy?: string;
  link?: Links;
  fenced?: boolean;
  /** The name of chat 1, or `none`. */
  chat?: string;
}

function clocks(options: ClockOptions): WireOptions {
  return {
    idle: time(options.idle),
    abandon: time(options.abandon),
    archive: time(options.archive),
    life: time(options.life),
    keep: time(options.keep),
    warn: time(options.warn),
    expires_at: int(options.expiresAt),
  };
}

function opening(options: Omit<OpenOptions, "policy">, policy?: string): WireOptions {
  return change({
    user: id(options.user),
    name: text(options.name),
    thread: text(options.thread),
    phase: text(options.phase),
    step: text(options.step),
    policy: id(policy),
    ...clocks(options),
    ...links(options.link),
    fenced: yes(options.fenced),
    chat: text(options.chat),
  }, options);
}

// --- locks -----------------------------------------------------------------------------------

/** Options of `lock`. */
export interface LockOptions extends CallOptions {
  ttl?: Duration;
  /** Shares no lock with another function of the same agent. */
  fresh?: boolean;
  /** How long to wait for the end of another's lock, in the order of asking. */
  wait?: Duration;
  /** Renews the lock of this token, and never acquires a free device. */
  token?: number;
  req?: string;
}

/**
 * Acquires the device's lock, or starts the TTL again for the agent that holds it.
 *
 * Throws Held; with `token` Stale.
 */
export function lock(
  device: string,
  agent: string,
  options: LockOptions = {},
): Request<results.Grant> {
  const own = { ttl: time(options.ttl), fresh: yes(options.fresh), wait: time(options.wait) };
  return new Request("LOCK", [encodeId(device), encodeId(agent)], change(own, options), {
    read: results.reader<results.Grant>(),
    waitS: heldS(options.wait),
    signal: options.signal,
  });
}

/** Starts the TTL of the agent's own lock again; never acquires a free one. Throws NotFound, Held, Stale. */
export function renew(
  device: string,
  agent: string,
  options: CallOptions & { token: number; ttl?: Duration; req?: string },
): Request<results.Grant> {
  return new Request(
    "RENEW",
    [encodeId(device), encodeId(agent)],
    change({ ttl: time(options.ttl) }, options),
    { read: results.reader<results.Grant>(), signal: options.signal },
  );
}

/** Releases the device's lock, if this agent holds it. Throws NotFound, Held, Stale. */
export function unlock(
  device: string,
  agent: string,
  options: CallOptions & { token?: number; req?: string } = {},
): Request<results.Released> {
  return new Request("UNLOCK", [encodeId(device), encodeId(agent)], change({}, options), {
    read: results.reader<results.Released>(),
    signal: options.signal,
  });
}

/**
 * Passes the lock from its holder to another agent in one step; the grant is the receiver's.
 *
 * `note` is JSON of 64 KiB at most, shown by `holder`. With `return` the lock goes back to `agent`,
 * for so long, when the receiver's ends. Throws NotFound, Held, Stale.
 */
export function handoff(
  device: string,
  agent: string,
  to: string,
  note?: Members | readonly unknown[] | null,
  options: CallOptions & { token?: number; ttl?: Duration; return?: Duration; req?: string } = {},
): Request<results.Grant> {
  return new Request(
    "HANDOFF",
    [encodeId(device), encodeId(agent), encodeId(to)],
    change({ ttl: time(options.ttl), return: time(options.return) }, options),
    {
      payload: note == null ? undefined : dump(note),
      read: results.reader<results.Grant>(),
      signal: options.signal,
    },
  );
}

/** Takes the device's lock, whichever agent holds it, under a new token. */
export function seize(
  device: string,
  agent: string,
  options: CallOptions & { ttl?: Duration; req?: string } = {},
): Request<results.Seizure> {
  return new Request(
    "SEIZE",
    [encodeId(device), encodeId(agent)],
    change({ ttl: time(options.ttl) }, options),
    { read: results.reader<results.Seizure>(), signal: options.signal },
  );
}

/** Ends the device's lock, whichever agent holds it; for operators. Throws NotFound. */
export function clear(
  device: string,
  options: CallOptions & { req?: string } = {},
): Request<results.Cleared> {
  return new Request("CLEAR", [encodeId(device)], change({}, options), {
    read: results.reader<results.Cleared>(),
    signal: options.signal,
  });
}

/** The agent that holds the device's lock, or null; changes nothing. */
export function holder(device: string, options: CallOptions = {}): Request<results.Holder | null> {
  return new Request("HOLDER", [encodeId(device)], {}, {
    read: results.optional<results.Holder>(),
    isOptional: true,
    signal: options.signal,
  });
}

/**
 * A page of the locks that are held on all devices, or by one agent; for operators.
 *
 * `cursor` is that of the page before.
 */
export function locks(
  options: CallOptions & { agent?: string; limit?: number; cursor?: string } = {},
): Request<results.Locks> {
  const own = {
    agent: id(options.agent),
    limit: int(options.limit),
    cursor: text(options.cursor),
  };
  return new Request("LOCKS", [], own, {
    read: results.page<results.Locks>("locks"),
    signal: options.signal,
  });
}

// --- turns --------------------------------------------------------------------------------------

/** Options of `turn`: those of a turn, and those of `open` for a new session. */
export interface TurnOptions extends Omit<OpenOptions, "policy" | "turn"> {
  /** Acquires, or renews, the device's lock for this agent too. */
  agent?: string;
  /** What to do while another turn runs. */
  policy?: "enqueue" | "reject" | "join" | "interrupt" | "rollback" | Named;
  /** How long to wait for the end of the running turn, in the order of asking. */
  wait?: Duration;
  /** The turn is returned when no more messages were joined for so long. */
  settle?: Duration;
  ttl?: Duration;
  /** How many of the newest messages are returned (20). */
  last?: number;
  /** The policy of a new session. */
  sessionPolicy?: string;
}

/** The options of a turn, whose `policy` is another one than that of a session. */
function turning(own: WireOptions, { policy: _, ...opened }: WireOptions): WireOptions {
  return { ...own, ...opened };
}

/**
 * Begins a turn: the device's session is recovered or made, and the message is said in it.
 *
 * Throws Busy, Held, Stale, Quota; NotFound if this is a retry and the session is gone.
 */
export function turn(
  device: string,
  message?: Members | readonly Members[] | null,
  options: TurnOptions = {},
): Request<results.Begun> {
  const own = {
    agent: id(options.agent),
    policy: text(options.policy),
    wait: time(options.wait),
    settle: time(options.settle),
    ttl: time(options.ttl),
    last: int(options.last),
    "session-policy": id(options.sessionPolicy),
  };
  return new Request("TURN", [encodeId(device)], turning(own, opening(options)), {
    payload: message == null ? undefined : messages(message),
    read: results.reader<results.Begun>(),
    waitS: heldS(options.wait),
    settleS: 4 * heldS(options.settle),
    signal: options.signal,
  });
}

/**
 * Applies a turn's last changes in one step, and ends it.
 *
 * `changes` has the members of `apply`, each of which may be missing. If messages were joined to the
 * turn after number `seen`, it goes on, and the result has them; `last` ends it all the same.
 * Throws Stale if the turn does not run any more, Quota, IllegalState.
 */
export function done(
  device: string,
  changes: Changes | null | undefined,
  options: Omit<WriteOptions, "turn" | "token"> & {
    turn: number;
    phase?: string;
    step?: string;
    seen?: number;
    last?: boolean;
  },
): Request<results.Ended> {
  const own = {
    phase: text(options.phase),
    step: text(options.step),
    seen: int(options.seen),
    last: yes(options.last),
  };
  return new Request("DONE", [encodeId(device)], change(own, options), {
    payload: object(changes),
    read: results.reader<results.Ended>(),
    signal: options.signal,
  });
}

/**
 * Pushes a piece of the answer that a turn is writing to those who watch with `changes`.
 *
 * `history` has it in `draft` until the turn ends. Throws Stale if the turn does not run any more,
 * Quota beyond 256 KiB, IllegalState.
 */
export function part(
  device: string,
  payload: Members,
  options: Omit<WriteOptions, "turn" | "token"> & { turn: number },
): Request<void> {
  return new Request("PART", [encodeId(device)], change({}, options), {
    payload: dumpObject(payload),
    read: results.nothing,
    signal: options.signal,
  });
}

// --- sessions --------------------------------------------------------------------------------

/**
 * Makes a session, now the device's current one.
 *
 * Throws Stale; Quota if the device or the user has too many; NotFound if this is a retry and the
 * session is gone.
 */
export function open(
  device: string,
  fields?: Members | null,
  options: OpenOptions = {},
): Request<results.SessionRecord> {
  return new Request("OPEN", [encodeId(device)], opening(options, options.policy), {
    payload: object(fields),
    read: results.reader<results.SessionRecord>(),
    signal: options.signal,
  });
}

/** Options of `recover`; those of `open` are for a new session. */
export interface RecoverOptions extends OpenOptions {
  archived?: boolean;
  /** Without an address: the device of a new session, if `user` has none that can be recovered. */
  on?: string;
  /** A session's id: it is taken if it can be recovered. */
  hint?: string;
}

/**
 * With a session's address, makes it active; with a device, its hinted or latest session.
 *
 * Without `where`, with `user` and `on`, it is the user's latest session on any device. If there is
 * none that can be recovered, a new one is made. Throws NotFound, Stale, IllegalState, Quota.
 */
export function recover(
  where?: Where | null,
  fields?: Members | null,
  options: RecoverOptions = {},
): Request<results.Recovered> {
  const own = {
    archived: yes(options.archived),
    on: id(options.on),
    hint: id(options.hint),
    ...opening(options, options.policy),
  };
  return new Request("RECOVER", where == null ? [] : [address(where)], own, {
    payload: object(fields),
    read: results.reader<results.Recovered>(),
    signal: options.signal,
  });
}

/**
 * A session's record, or null if there is none.
 *
 * With `fields` those of its fields alone, with `'none'` no fields; with `last` the newest messages
 * of the current chat as `recent`, in the same snapshot. Of a session that still has the revision
 * `rev` the result is `{ unchanged: true }`; `wait` is how long to wait for another.
 */
export function get(
  where: Where,
  options: ReadOptions & {
    fields?: string | readonly string[];
    last?: number;
    rev?: number;
    wait?: Duration;
  } = {},
): Request<results.Shown | null> {
  const own = {
    fields: list_(options.fields),
    last: int(options.last),
    rev: int(options.rev),
    wait: time(options.wait),
    as: id(options.as),
  };
  return new Request("GET", [session(where, "getChat")], own, {
    read: results.optional<results.Shown>(),
    isOptional: true,
    waitS: heldS(options.wait),
    signal: options.signal,
  });
}

/** A chat of a session, or null if there is none; `where` has a chat, such as `'current'`. */
export function getChat(where: Where, options: ReadOptions = {}): Request<results.Chat | null> {
  return new Request("GET", [address(where)], { as: id(options.as) }, {
    read: results.optional<results.Chat>(),
    isOptional: true,
    signal: options.signal,
  });
}

/**
 * Merges members into a session's fields; null removes one. Clocks move their deadlines, and
 * `policy` sets all clocks and limits as it has them. `link` replaces those of each kind.
 *
 * With `rev` it changes nothing if one of the members was changed after that revision. Throws
 * NotFound, Stale, IllegalState, Quota.
 */
export function set(
  where: Where,
  fields?: Members | null,
  options: WriteOptions & ClockOptions & {
    user?: string;
    name?: string;
    phase?: string;
    step?: string;
    policy?: string;
    link?: Links;
    rev?: number;
  } = {},
): Request<results.Revised> {
  const own = {
    user: id(options.user),
    name: text(options.name),
    phase: text(options.phase),
    step: text(options.step),
    policy: id(options.policy),
    ...clocks(options),
    ...links(options.link),
    rev: int(options.rev),
  };
  return new Request("SET", [session(where, "setChat")], change(own, options), {
    payload: object(fields),
    read: results.reader<results.Revised>(),
    signal: options.signal,
  });
}

/**
 * Sets a chat's name and merges members into its configuration; null removes one.
 *
 * `where` has a chat, such as `'current'`. Throws NotFound, Stale, IllegalState; Conflict if the
 * name is taken.
 */
export function setChat(
  where: Where,
  config?: Members | null,
  options: WriteOptions & { name?: string } = {},
): Request<results.ChatName> {
  return new Request("SET", [address(where)], change({ name: text(options.name) }, options), {
    payload: object(config),
    read: results.reader<results.ChatName>(),
    signal: options.signal,
  });
}

/** Records activity; cheap. Throws NotFound, Stale, IllegalState. */
export function touch(where: Where, options: WriteOptions = {}): Request<results.Touched> {
  return new Request("TOUCH", [address(where)], change({}, options), {
    read: results.reader<results.Touched>(),
    signal: options.signal,
  });
}

function transition(
  verb: string,
  where: Where,
  outcome: readonly string[],
  options: WriteOptions,
  reason?: string,
): Request<results.SessionRecord> {
  const own = change({ reason: text(reason) }, options);
  return new Request(verb, [address(where), ...outcome], own, {
    read: results.reader<results.SessionRecord>(),
    signal: options.signal,
  });
}

/** Pauses an active session. Throws NotFound, Stale, IllegalState. */
export function pause(
  where: Where,
  options: WriteOptions & { reason?: string } = {},
): Request<results.SessionRecord> {
  return transition("PAUSE", where, [], options, options.reason);
}

/** Makes a paused session active. Throws NotFound, Stale, IllegalState. */
export function resume(where: Where, options: WriteOptions = {}): Request<results.SessionRecord> {
  return transition("RESUME", where, [], options);
}

/** Ends a session: `completed` or `failed`. Throws NotFound, Stale, IllegalState. */
export function close(
  where: Where,
  outcome: "completed" | "failed" = "completed",
  options: WriteOptions & { reason?: string } = {},
): Request<results.SessionRecord> {
  return transition("CLOSE", where, [word(outcome)], options, options.reason);
}

/** Archives a session now, in any state. Throws NotFound, Stale. */
export function archive(where: Where, options: WriteOptions = {}): Request<results.SessionRecord> {
  return transition("ARCHIVE", where, [], options);
}

/** Removes a session with its chats, messages and links; or one chat. Throws NotFound, Stale. */
function remove(where: Where, options: WriteOptions = {}): Request<void> {
  return new Request("DELETE", [address(where)], change({}, options), {
    read: results.nothing,
    signal: options.signal,
  });
}

function linking(
  verb: string,
  where: Where,
  kind: string,
  ref: string,
  options: WriteOptions,
): Request<void> {
  return new Request(verb, [address(where), encodeId(kind), encodeId(ref)], change({}, options), {
    read: results.nothing,
    signal: options.signal,
  });
}

/**
 * Links a session to an object of the caller's, such as `'mission', 'm-17'`.
 *
 * Throws NotFound, Stale, Quota; BadRequest if the kind is reserved.
 */
export function link(
  where: Where,
  kind: string,
  ref: string,
  options: WriteOptions = {},
): Request<void> {
  return linking("LINK", where, kind, ref, options);
}

/** Removes a link; one that does not exist is no error. Throws NotFound, Stale. */
export function unlink(
  where: Where,
  kind: string,
  ref: string,
  options: WriteOptions = {},
): Request<void> {
  return linking("UNLINK", where, kind, ref, options);
}

/** Options of `share`. */
export interface ShareOptions extends WriteOptions {
  user: string;
  /** `read` if it is left out. */
  role?: "read" | "write" | "own";
  /** For how long; left out, for as long as the session is kept. */
  until?: Duration;
}

/**
 * Gives another user a role in a session; a role that the user has there is replaced.
 *
 * Throws NotFound, Stale, Quota; Forbidden if this caller does not own the session.
 */
export function share(where: Where, options: ShareOptions): Request<void> {
  const own = { user: id(options.user), role: text(options.role), until: time(options.until) };
  return new Request("SHARE", [address(where)], change(own, options), {
    read: results.nothing,
    signal: options.signal,
  });
}

/**
 * Takes a user's role in a session away; with `tickets: "all"` ends all tickets for it.
 *
 * A user without a role is no error. Throws NotFound, Stale.
 */
export function unshare(
  where: Where,
  options: WriteOptions & { user?: string; tickets?: "all" },
): Request<void> {
  const own = { user: id(options.user), tickets: text(options.tickets) };
  return new Request("UNSHARE", [address(where)], change(own, options), {
    read: results.nothing,
    signal: options.signal,
  });
}

/**
 * A signed word by which a browser, or another device, reaches this session alone: for `ttl`, 15
 * minutes if it is left out, to read unless `role` is `write`.
 *
 * Throws NotFound; Forbidden if this caller does not own the session.
 */
export function ticket(
  where: Where,
  options: ReadOptions & { role?: "read" | "write"; ttl?: Duration } = {},
): Request<results.Ticket> {
  const own = { role: text(options.role), ttl: time(options.ttl), as: id(options.as) };
  return new Request("TICKET", [address(where)], own, {
    read: results.reader<results.Ticket>(),
    signal: options.signal,
  });
}

/** Options of `list`. */
export interface ListOptions extends ReadOptions {
  state?: string | readonly string[];
  order?: "created" | "active";
  /** Unix milliseconds, by the time of the order. */
  since?: number;
  before?: number;
  fields?: string | readonly string[];
  /** The result has `total`, the number of all. */
  count?: boolean;
  limit?: number;
  cursor?: string;
  /** Those with this link too: `{ tag: 'urgent' }`. */
  and?: Record<string, string>;
}

/**
 * A page of sessions: of a device, of a link (`{ user: 'ada' }`, any kind), or all (`ALL`).
 *
 * Those of a device or a link come newest first, with `order: 'active'` the one that was active
 * last. `cursor` is that of the page before.
 */
export function list(
  of: string | All | Record<string, string>,
  options: ListOptions = {},
): Request<results.Sessions> {
  const what = typeof of === "string" || isAll(of) || (of as unknown) instanceof String
    ? device_(of as string | All)
    : linkWord(of as Record<string, string>);
  const own: WireOptions = {
    state: list_(options.state),
    order: text(options.order),
    since: int(options.since),
    before: int(options.before),
    fields: list_(options.fields),
    count: yes(options.count),
    limit: int(options.limit),
    cursor: text(options.cursor),
    as: id(options.as),
  };
  for (const [kind, ref] of Object.entries(options.and ?? {})) {
    own[`and.${encodeId(kind)}`] = encodeId(ref);
  }
  return new Request("LIST", [what], own, {
    read: results.page<results.Sessions>("sessions"),
    signal: options.signal,
  });
}

/**
 * The fields of a link, such as `{ user: 'ada' }`; with `fields` they are merged, null removes one.
 *
 * With `rev` nothing is changed if one of the members was changed after that revision. Throws
 * Stale, Quota.
 */
export function profile(
  link: Record<string, string>,
  fields?: Members | null,
  options: CallOptions & { rev?: number; req?: string } = {},
): Request<results.Profile> {
  const own = fields == null ? {} : change({ rev: int(options.rev) }, options);
  return new Request("PROFILE", [linkWord(link)], own, {
    payload: object(fields),
    read: results.reader<results.Profile>(),
    signal: options.signal,
  });
}

// --- chats -----------------------------------------------------------------------------------

/**
 * Adds a chat, now the current one; `config` is its configuration.
 *
 * It keeps `maxMessages`; a full one drops its oldest, or with `full: 'refuse'` refuses more.
 * Throws NotFound, Stale, IllegalState, Quota; Conflict if the name is taken.
 */
export function chat(
  where: Where,
  config?: Members | null,
  options: WriteOptions & { name?: string; maxMessages?: number; full?: "trim" | "refuse" } = {},
): Request<results.ChatName> {
  const own = {
    name: text(options.name),
    "max-messages": int(options.maxMessages),
    full: text(options.full),
  };
  return new Request("CHAT", [address(where)], change(own, options), {
    payload: object(config),
    read: results.reader<results.ChatName>(),
    signal: options.signal,
  });
}

/** Makes the chat in the address the current one. Throws NotFound, Stale, IllegalState. */
function switched(where: Where, options: WriteOptions = {}): Request<results.ChatNumber> {
  return new Request("SWITCH", [address(where)], change({}, options), {
    read: results.reader<results.ChatNumber>(),
    signal: options.signal,
  });
}

/** The chats of a session. Throws NotFound. */
export function chats(where: Where, options: ReadOptions = {}): Request<results.Chats> {
  return new Request("CHATS", [address(where)], { as: id(options.as) }, {
    read: results.reader<results.Chats>(),
    signal: options.signal,
  });
}

/**
 * Appends one message, or several in one step, to a chat; a message is a JSON object.
 *
 * With `seq` only if that is the number of the newest message, 0 in an empty chat. `id` names a
 * member: messages whose value of it is in the chat already are left out. With `after` the messages
 * after that number are removed in the same step, with `last` only if that is still the newest one.
 * Throws NotFound, Stale, IllegalState.
 */
export function say(
  where: Where,
  message: Members | readonly Members[],
  options: WriteOptions & { seq?: number; id?: string; after?: number; last?: number } = {},
): Request<results.Said> {
  const own = {
    seq: int(options.seq),
    id: text(options.id),
    after: int(options.after),
    last: int(options.last),
  };
  return new Request("SAY", [address(where)], change(own, options), {
    payload: messages(message),
    read: results.reader<results.Said>(),
    signal: options.signal,
  });
}

/**
 * Messages of a chat, oldest first: the newest `last` (20), or those after or before a number, or
 * from the time `since` on; with `role` those of one role.
 *
 * `limit` (100) is the most that are returned, and `wait` is how long to wait for a message if there
 * is none after `after`. Throws NotFound; Stale if the chat has not reached the number.
 */
export function history(
  where: Where,
  options: ReadOptions & {
    last?: number;
    after?: number;
    before?: number;
    since?: number;
    role?: string;
    limit?: number;
    wait?: Duration;
  } = {},
): Request<results.History> {
  const own = {
    last: int(options.last),
    after: int(options.after),
    before: int(options.before),
    since: int(options.since),
    role: text(options.role),
    limit: int(options.limit),
    wait: time(options.wait),
    as: id(options.as),
  };
  return new Request("HISTORY", [address(where)], own, {
    read: results.reader<results.History>(),
    waitS: heldS(options.wait),
    signal: options.signal,
  });
}

/**
 * Removes the newest message of a chat and returns it, or null if there is none.
 *
 * With `last` only if that is its number. Throws Stale, IllegalState.
 */
export function pop(
  where: Where,
  options: WriteOptions & { last?: number } = {},
): Request<results.Message | null> {
  return new Request("POP", [address(where)], change({ last: int(options.last) }, options), {
    read: results.optional<results.Message>(),
    isOptional: true,
    signal: options.signal,
  });
}

/**
 * Removes up to `count` of the newest messages in one step and returns them, oldest first.
 *
 * Null if there is none. With `last` only if that is the newest one's number. Throws Stale,
 * IllegalState.
 */
export function popMany(
  where: Where,
  options: WriteOptions & { count: number; last?: number },
): Request<results.Messages | null> {
  const own = { count: int(options.count), last: int(options.last) };
  return new Request("POP", [address(where)], change(own, options), {
    read: results.optional<results.Messages>(),
    isOptional: true,
    signal: options.signal,
  });
}

/** Removes all messages of a chat, those after a number, or one. Throws NotFound, Stale, IllegalState. */
export function forget(
  where: Where,
  options: WriteOptions & { after?: number; seq?: number } = {},
): Request<results.Removed> {
  const own = { after: int(options.after), seq: int(options.seq) };
  return new Request("FORGET", [address(where)], change(own, options), {
    read: results.reader<results.Removed>(),
    signal: options.signal,
  });
}

/** Replaces the message of a number in its place. Throws NotFound if it is gone, Stale, IllegalState. */
export function amend(
  where: Where,
  message: Members,
  options: WriteOptions & { seq: number },
): Request<void> {
  return new Request("AMEND", [address(where)], change({ seq: int(options.seq) }, options), {
    payload: dumpObject(message),
    read: results.nothing,
    signal: options.signal,
  });
}

/** Changes of one session that are made in one step. */
export interface Changes {
  say?: Members | readonly Members[];
  set?: Members;
  /** Documents by their keys. */
  put?: Members;
  /** Keys of documents. */
  drop?: readonly string[];
  phase?: string | null;
  step?: string | null;
}

/**
 * Makes several changes of a session in one step, all or none of them.
 *
 * With `seq` only if that is the number of the newest message, with `rev` as for `set`. Throws
 * NotFound, Stale, IllegalState, Quota.
 */
export function apply(
  where: Where,
  changes: Changes,
  options: WriteOptions & { seq?: number; rev?: number } = {},
): Request<results.Applied> {
  const own = { seq: int(options.seq), rev: int(options.rev) };
  return new Request("APPLY", [address(where)], change(own, options), {
    payload: dumpObject(changes),
    read: results.reader<results.Applied>(),
    signal: options.signal,
  });
}

// --- documents -------------------------------------------------------------------------------

/**
 * Writes a document of a session under a key, any text.
 *
 * `ttl` is the time for which it is kept. With `if` only if it is `absent`, or `present`; with `rev`
 * only if that is its revision, 0 if there is none. Throws NotFound, Stale, IllegalState, Quota.
 */
export function put(
  where: Where,
  key: string,
  value: Members | readonly unknown[] | string,
  options: WriteOptions & { ttl?: Duration; if?: "absent" | "present"; rev?: number } = {},
): Request<results.Written> {
  const own = { ttl: time(options.ttl), if: text(options.if), rev: int(options.rev) };
  return new Request("PUT", [address(where), word(key)], change(own, options), {
    payload: dump(value),
    read: results.reader<results.Written>(),
    signal: options.signal,
  });
}

const several = (values: string | readonly string[]) =>
  (typeof values === "string" ? [values] : values).map(word);

/**
 * Documents by their keys, one or several, in one snapshot; null for one that is not there.
 *
 * Throws NotFound if there is no session.
 */
export function take(
  where: Where,
  keys: string | readonly string[],
  options: ReadOptions = {},
): Request<results.Documents> {
  return new Request("TAKE", [address(where), ...several(keys)], { as: id(options.as) }, {
    read: results.plain<results.Documents>(),
    signal: options.signal,
  });
}

/**
 * Removes documents by their keys, or with `prefix` all whose keys begin so.
 *
 * Throws NotFound, Stale, IllegalState.
 */
export function drop(
  where: Where,
  keys?: string | readonly string[] | null,
  options: WriteOptions & { prefix?: string } = {},
): Request<results.Removed> {
  const own = change({ prefix: text(options.prefix) }, options);
  return new Request("DROP", [address(where), ...several(keys ?? [])], own, {
    read: results.reader<results.Removed>(),
    signal: options.signal,
  });
}

/** Options of `keys`. */
export interface KeysOptions extends ReadOptions {
  prefix?: string;
  from?: string;
  to?: string;
  /** Begins with the greatest key. */
  newest?: boolean;
  /** Shows the values. */
  values?: boolean;
  limit?: number;
  cursor?: string;
}

/**
 * A page of documents in the order of their keys: those with a prefix, from one key on, up to but
 * without another.
 *
 * `cursor` is that of the page before. Throws NotFound if there is no session.
 */
export function keys(where: Where, options: KeysOptions = {}): Request<results.DocumentPage> {
  const own = {
    prefix: text(options.prefix),
    from: text(options.from),
    to: text(options.to),
    newest: yes(options.newest),
    values: yes(options.values),
    limit: int(options.limit),
    cursor: text(options.cursor),
    as: id(options.as),
  };
  return new Request("KEYS", [address(where)], own, {
    read: results.plain<results.DocumentPage>(),
    signal: options.signal,
  });
}

// --- events ----------------------------------------------------------------------------------

/**
 * A page of a device's event log; or with `ALL` and `group`, events for this consumer.
 *
 * `wait` is how long to wait for an event if there is none. Throws Stale if `after` is not from this
 * log.
 */
export function events(
  device: string | All,
  options: ReadOptions & {
    after?: string;
    group?: string;
    limit?: number;
    wait?: Duration;
    types?: string | readonly string[];
  } = {},
): Request<results.Events> {
  const own = {
    after: text(options.after),
    group: id(options.group),
    limit: int(options.limit),
    wait: time(options.wait),
    types: list_(options.types),
    as: id(options.as),
  };
  return new Request("EVENTS", [device_(device)], own, {
    read: results.page<results.Events>("events"),
    waitS: heldS(options.wait),
    signal: options.signal,
  });
}

/** Acknowledges up to 1,000 events of a group. */
export function ack(
  group: string,
  ids: string | readonly string[],
  options: CallOptions = {},
): Request<results.Acknowledged> {
  return new Request("ACK", [encodeId(group), ...several(ids)], {}, {
    read: results.reader<results.Acknowledged>(),
    signal: options.signal,
  });
}

/** Options of `hook`. */
export interface HookOptions extends CallOptions {
  /** By which each request is signed. */
  secret?: string;
  /** The types of the events that are sent. */
  types?: string | readonly string[];
  /** The devices whose events are sent, a pattern such as `eu-*`. */
  devices?: string;
}

/**
 * Has the workers POST each event to `url`, until it answers with 2xx; for operators.
 *
 * A hook of the same name is replaced, and goes on where it was. Throws Quota.
 */
export function hook(name: string, url: string, options: HookOptions = {}): Request<void> {
  const own = {
    url: text(url),
    secret: text(options.secret),
    types: list_(options.types),
    devices: text(options.devices),
  };
  return new Request("HOOK", [encodeId(name)], own, {
    read: results.nothing,
    signal: options.signal,
  });
}

/** The hooks of the fleet, and how far each is behind; for operators. */
export function hooks(options: CallOptions = {}): Request<results.Hooks> {
  return new Request("HOOKS", [], {}, {
    read: results.hooks,
    signal: options.signal,
  });
}

/** Ends a hook; what it has not delivered is forgotten. Throws NotFound. */
export function unhook(name: string, options: CallOptions = {}): Request<void> {
  return new Request("UNHOOK", [encodeId(name)], {}, {
    read: results.nothing,
    signal: options.signal,
  });
}

/**
 * Pushes an event `custom.<kind>` of your own to those who watch with `changes`.
 *
 * It is kept nowhere. Throws NotFound if the session or the chat is not there.
 */
export function tell(
  where: Where,
  kind: string,
  payload: Members,
  options: ReadOptions = {},
): Request<void> {
  return new Request("TELL", [address(where), encodeId(kind)], { as: id(options.as) }, {
    payload: dumpObject(payload),
    read: results.nothing,
    signal: options.signal,
  });
}

// --- reports and backup ----------------------------------------------------------------------

/** Statistics of the whole fleet. */
export function stats(options: CallOptions = {}): Request<Members> {
  return new Request("STATS", [], {}, { read: results.stats, signal: options.signal });
}

/** Figures of one session, chat, user or agent. Throws NotFound. */
export function report(
  where?: Where | null,
  options: ReadOptions & { user?: string; agent?: string } = {},
): Request<Members> {
  const own = { user: id(options.user), agent: id(options.agent), as: id(options.as) };
  return new Request("REPORT", where == null ? [] : [address(where)], own, {
    read: results.reader<Members>(),
    signal: options.signal,
  });
}

/**
 * A session with its chats and messages as the text of one JSON object; with `sealed` its sealed
 * values are as they are in Redis. Throws NotFound.
 */
function exported(
  where: Where,
  options: ReadOptions & { sealed?: boolean } = {},
): Request<string> {
  return new Request("EXPORT", [address(where)], {
    sealed: yes(options.sealed),
    as: id(options.as),
  }, {
    read: results.raw,
    signal: options.signal,
  });
}

/**
 * Creates a session from what `export` returned, byte for byte; with `asNew` under a new id.
 *
 * Throws Stale; IllegalState if it exists already and `replace` is not true.
 */
function imported(
  text: string,
  options: CallOptions & {
    replace?: boolean;
    asNew?: boolean;
    /** It is linked to this user besides its own links. */
    user?: string;
    token?: number;
    turn?: number;
    req?: string;
  } = {},
): Request<results.SessionRecord> {
  if (/[\r\n]/.test(text)) throw new RangeError("an export is one line");
  const own = {
    replace: yes(options.replace),
    "as-new": yes(options.asNew),
    user: id(options.user),
  };
  return new Request("IMPORT", [], change(own, options), {
    payload: text,
    read: results.reader<results.SessionRecord>(),
    signal: options.signal,
  });
}

/**
 * Makes a session again under a new id, with its chats, messages and documents; with `user` it is
 * linked to this one, and not to those of the original.
 *
 * Throws NotFound, Quota.
 */
export function copy(
  where: Where,
  device: string,
  options: Omit<WriteOptions, "token" | "turn"> & { user?: string } = {},
): Request<results.SessionRecord> {
  const own = { user: id(options.user) };
  return new Request("COPY", [address(where), encodeId(device)], change(own, options), {
    read: results.reader<results.SessionRecord>(),
    signal: options.signal,
  });
}

export { exported as export, imported as import, remove as delete, switched as switch };

// --- the connection --------------------------------------------------------------------------

/** Shows that a worker answers; does not ask Redis. */
export function ping(options: CallOptions = {}): Request<void> {
  return new Request("PING", [], {}, { read: results.nothing, signal: options.signal });
}

/** The worker's version and id, and the state of its connection to Redis. */
export function info(options: CallOptions = {}): Request<Members> {
  return new Request("INFO", [], {}, { read: results.reader<Members>(), signal: options.signal });
}

/** The worker's verbs, or how one is written. */
export function help(verb?: string | null, options: CallOptions = {}): Request<Members> {
  return new Request("HELP", verb == null ? [] : [word(verb)], {}, {
    read: results.reader<Members>(),
    signal: options.signal,
  });
}

/**
 * Subscribes a connection to the events of a device, or of all with `ALL`.
 *
 * With `changes` also to what is in no log; `after` is the event after which to begin.
 */
export function watch(
  device: string | All,
  options: ReadOptions & {
    types?: string | readonly string[];
    changes?: boolean;
    after?: string;
  } = {},
): Request<Members> {
  const own = {
    types: list_(options.types),
    changes: yes(options.changes),
    after: text(options.after),
    as: id(options.as),
  };
  return new Request("WATCH", [device_(device)], own, {
    read: results.plain<Members>(),
    signal: options.signal,
  });
}
