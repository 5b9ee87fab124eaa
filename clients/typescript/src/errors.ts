// The errors that the client throws, and the table from a wire word or code to its type.

/** The JSON of a reply. */
export type Body = Record<string, unknown>;

/**
 * The base of all errors of this package.
 *
 * `code` is the word or the code of the reply (`HELD`, `quota`), or empty if there was none.
 * `body` is the JSON of the reply, or empty.
 */
export class LatchkeyError extends Error {
  readonly code: string;
  readonly body: Body;

  constructor(text: string, code = "", body: Body = {}, options?: ErrorOptions) {
    super(text, options);
    this.name = new.target.name;
    this.code = code;
    this.body = body;
  }

  /** A number of the reply, or a default. */
  protected number(name: string): number | undefined {
    const value = this.body[name];
    return typeof value === "number" ? value : undefined;
  }
}

/** Another agent holds the device's lock; nothing changed. */
export class Held extends LatchkeyError {
  /** The holder, or null if its record is corrupt. */
  get agent(): string | null {
    return (this.body.agent as string | null | undefined) ?? null;
  }

  /** The milliseconds until the holder's lock expires unless it is renewed. */
  get ttlMs(): number {
    return this.number("ttl_ms") ?? 0;
  }
}

/** Another turn of the device is running; nothing changed. */
export class Busy extends LatchkeyError {
  /** The agent of the running turn, or null if it has none. */
  get agent(): string | null {
    return (this.body.agent as string | null | undefined) ?? null;
  }

  /** The milliseconds until the running turn expires unless it is renewed. */
  get ttlMs(): number {
    return this.number("ttl_ms") ?? 0;
  }

  /** How many requests for a turn wait before this one. */
  get ahead(): number {
    return this.number("ahead") ?? 0;
  }
}

/** The token, turn, revision or message number that was sent is not current; nothing changed. */
export class Stale extends LatchkeyError {
  /** The current revision, where it was a session or a document that was to be changed. */
  get rev(): number | undefined {
    return this.number("rev");
  }

  /** The chat's newest message number, where it was a chat that was read or changed. */
  get seq(): number | undefined {
    return this.number("seq");
  }

  /** True if the turn that was sent was ended by another one, or by SEIZE or CLEAR. */
  get interrupted(): boolean {
    return this.body.interrupted === true;
  }
}

/** There is no such lock, session, chat or message. */
export class NotFound extends LatchkeyError {}

/** The worker refused the request for a reason that a retry does not change; see `code`. */
export class Refused extends LatchkeyError {}

/** A word, an option or a payload is malformed, unknown, out of range or too large. */
export class BadRequest extends Refused {}

/** The secret is missing or invalid, or its principal has no right to this. */
export class Forbidden extends Refused {}

/**
 * The worker has ended the subscription: its principal or its role is gone. The package's own: an
 * iteration ends with an entry of the type `watch.ended` instead.
 */
export class WatchEnded extends Forbidden {}

/** The state of the session does not allow this, or its record is corrupt in Redis. */
export class IllegalState extends Refused {}

/** The idempotency key was used for another request, or a name is taken. */
export class Conflict extends Refused {}

/** A limit is reached: of sessions, chats, fields, links or subscriptions. */
export class Quota extends Refused {}

/** No worker could serve the request within the deadline. Nothing was done; retry later. */
export class Unavailable extends LatchkeyError {}

/**
 * The request may have been applied: no definite reply came within the deadline.
 *
 * Repeat the call with `req: error.req`: it is then applied once.
 */
export class UnknownOutcome extends LatchkeyError {
  /** The idempotency key of the request. */
  get req(): string | undefined {
    return this.body.req as string | undefined;
  }
}

/** The lock ended while it was needed: it expired, or another agent or process has it. */
export class LockLost extends LatchkeyError {}

/** The turn ended while it was needed: it expired, or another one interrupted it. */
export class TurnLost extends LatchkeyError {}

/** A request to a receiver of webhooks is not signed by the hook's secret, or long ago. */
export class InvalidSignature extends LatchkeyError {}

/** The peer sent a line that is no reply of a Latchkey worker. */
export class ProtocolError extends LatchkeyError {}

/** The connection ended, or no reply came in time. The package's own: callers see `Unavailable`. */
export class ConnectionLost extends Error {
  override name = "ConnectionLost";
}

/** No connection could be made, so nothing was sent. */
export class Unreached extends ConnectionLost {
  override name = "Unreached";
}

/** No line came in time. The connection can still be read. */
export class TimedOut extends ConnectionLost {
  override name = "TimedOut";
}

type ErrorType = new (text: string, code?: string, body?: Body) => LatchkeyError;

/** Words of replies in capitals, codes of `ERR` in small letters. */
export const ERRORS: Readonly<Record<string, ErrorType>> = {
  HELD: Held,
  BUSY: Busy,
  STALE: Stale,
  NONE: NotFound,
  bad_request: BadRequest,
  unknown_verb: BadRequest,
  too_large: BadRequest,
  auth_required: Forbidden,
  forbidden: Forbidden,
  illegal_state: IllegalState,
  conflict: Conflict,
  quota: Quota,
  unavailable: Unavailable,
  overloaded: Unavailable,
  draining: Unavailable,
  unknown_outcome: UnknownOutcome,
  internal: Refused,
};
