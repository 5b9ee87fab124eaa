// What the client asks of a way to the workers, be it sockets or HTTP; and the way by sockets.
//
// The requests of many calls share a connection, each without waiting for the others' replies. The
// reply to a call that was given up is read and dropped, so the rest stay in step.

import {
  AUTH_PIPELINED_MAX,
  authLine,
  type Endpoint,
  type Resolved,
  secretOf,
} from "./endpoints.ts";
import { ProtocolError, TimedOut, Unreached } from "./errors.ts";
import { ENDING, parseReply, Rejected, type Reply } from "./reply.ts";
import type { Awaited, Connection } from "./sockets.ts";
import { within } from "./time.ts";

/** A connection for lines that the caller sends and reads itself: those of a subscription. */
export interface Subscription {
  readonly endpoint: Endpoint;
  /** If there is one, it is given each line as it comes, and undefined at the end. */
  lineReceived: ((line: string | undefined) => void) | undefined;
  /** Sends lines, each with its end. Throws ConnectionLost if the connection has ended. */
  send(text: string): void;
  /**
   * The next line. Throws ConnectionLost at the end of the connection; TimedOut at the end of the
   * time, after which the connection can still be read; and the signal's reason.
   */
  readLine(until: number, signal?: AbortSignal): Promise<string>;
  close(): void;
}

/** A way to the workers. */
export interface Channel {
  /**
   * Sends lines, and appends their replies as they come.
   *
   * Throws Unreached if nothing was sent, Rejected if the secret was not accepted, ConnectionLost if
   * a reply did not come, ProtocolError, and the signal's reason.
   */
  exchange(
    lines: readonly string[],
    until: number,
    replies: Reply[],
    signal?: AbortSignal,
  ): Promise<void>;
  /** A new, authenticated connection. Throws as `exchange` does, and the error of a rejected AUTH. */
  subscribe(until: number, signal?: AbortSignal): Promise<Subscription>;
  close(): void;
}

/** Throws Rejected unless this is the `OK` of AUTH. */
function accepted(line: string): void {
  const reply = parseReply(line);
  if (reply.word !== "OK") throw new Rejected(reply);
}

/** Sends requests over one connection, and opens another when that has ended. */
export class SocketChannel implements Channel {
  readonly #options: Resolved;
  readonly #isShared: boolean;
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;
  #isClosed = false;

  /**
   * A shared channel is for short requests of many calls. One that is not is used by one call at a
   * time, and when that is given up its connection is closed.
   */
  constructor(options: Resolved, isShared: boolean) {
    this.#options = options;
    this.#isShared = isShared;
  }

  close(): void {
    this.#isClosed = true; // a connection that is being made is closed when it is there
    this.#drop();
  }

  #drop(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close();
  }

  async exchange(
    lines: readonly string[],
    until: number,
    replies: Reply[],
    signal?: AbortSignal,
  ): Promise<void> {
    const connection = await this.#fit(until, signal);
    let isOver = true;
    try {
      await this.#asked(connection, lines, until, replies, signal);
      // After `draining` and its like another worker may serve: the next attempt reconnects.
      isOver = replies.some((reply) => ENDING.has(reply.code));
    } catch (error) {
      if (signal?.aborted && error === signal.reason) isOver = !this.#isShared;
      throw error;
    } finally {
      if (isOver) this.#failed(connection);
    }
  }

  async #asked(
    connection: Connection,
    lines: readonly string[],
    until: number,
    replies: Reply[],
    signal?: AbortSignal,
  ): Promise<void> {
    const late = () => new TimedOut(`${connection.endpoint}: no reply in time`);
    const text = `${lines.join("\n")}\n`;
    let { auth } = connection;
    if (auth !== undefined && text.length > AUTH_PIPELINED_MAX) {
      accepted(await within(auth, until, late, signal));
      auth = undefined;
    }
    connection.send(text);
    const awaited = lines.map(() => connection.expect());
    try {
      if (auth !== undefined) accepted(await within(auth, until, late, signal));
      const last = this.#read(awaited, replies);
      await within(last, until, late, signal);
    } finally {
      for (const one of awaited) one.drop(); // lines that still come belong to no call
    }
  }

  async #read(awaited: readonly Awaited[], replies: Reply[]): Promise<void> {
    for (const one of awaited) {
      const reply = parseReply(await one.line);
      if (reply.word === "EVENT") {
        throw new ProtocolError("an event came where a reply was expected");
      }
      replies.push(reply);
    }
  }

  async subscribe(until: number, signal?: AbortSignal): Promise<Subscription> {
    this.#drop();
    const unmade = () => new Unreached(`${this.#options.endpoints.current}: no connection in time`);
    const connection = await within(this.#open(until), until, unmade, signal);
    if (connection.auth !== undefined) {
      const late = () => new TimedOut(`${connection.endpoint}: no reply to AUTH in time`);
      const reply = parseReply(await within(connection.auth, until, late, signal));
      if (reply.word !== "OK") throw reply.error("AUTH");
    }
    return connection;
  }

  async #fit(until: number, signal?: AbortSignal): Promise<Connection> {
    while (true) {
      const connection = this.#connection;
      if (connection === undefined) break;
      if (await connection.isFit()) return connection;
      if (this.#connection === connection) this.#drop(); // else another call has replaced it
    }
    const opening = this.#opening ??= this.#open(until).finally(() => this.#opening = undefined);
    const late = () => new Unreached(`${this.#options.endpoints.current}: no connection in time`);
    return within(opening, until, late, signal);
  }

  async #open(until: number): Promise<Connection> {
    const options = this.#options;
    const secret = await secretOf(options);
    // Where there are no sockets this is never loaded.
    const sockets = await import("./sockets.ts");
    const endpoint = options.endpoints.current;
    let connection: Connection;
    try {
      connection = await sockets.Connection.connect(endpoint, until, options);
    } catch (error) {
      options.endpoints.failed(endpoint);
      throw error;
    }
    if (this.#isClosed) {
      connection.close();
      throw new Unreached(`${endpoint}: the client was closed`);
    }
    if (secret !== undefined) {
      connection.send(`${authLine(secret, options.kind)}\n`);
      connection.auth = connection.expect().line;
    }
    this.#connection = connection;
    return connection;
  }

  #failed(connection: Connection): void {
    this.#options.endpoints.failed(connection.endpoint);
    connection.close();
    if (this.#connection === connection) this.#connection = undefined;
  }
}
