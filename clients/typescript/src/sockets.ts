// A connection by a socket, plain or with TLS: the lines that arrive, and what waits for them.
//
// It keeps the process only while something waits for a line.

import * as fs from "node:fs/promises";
import * as net from "node:net";
import * as tls from "node:tls";

import type { Subscription } from "./channel.ts";
import type { Endpoint, Resolved, TLS } from "./endpoints.ts";
import { ConnectionLost, TimedOut, Unreached } from "./errors.ts";
import { LineBuffer } from "./reply.ts";
import { now, timerMs, within } from "./time.ts";

const UNREAD_MAX = 1000;
const SETTLED_MS = 10;

/** A line that was asked for. */
export class Awaited {
  readonly line: Promise<string>;
  isOver = false;
  #resolve!: (line: string) => void;
  #reject!: (error: Error) => void;

  constructor() {
    this.line = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.line.catch(() => undefined); // its caller may be gone
  }

  /** It came. */
  came(line: string): void {
    this.isOver = true;
    this.#resolve(line);
  }

  /** It will not come. */
  failed(error: Error): void {
    this.isOver = true;
    this.#reject(error);
  }

  /** Nothing waits for it any more: it is dropped when it comes. */
  drop(): void {
    if (!this.isOver) this.failed(new ConnectionLost("given up"));
  }
}

/** A socket, and the calls that wait for its lines in order. */
export class Connection implements Subscription {
  readonly endpoint: Endpoint;
  /** The reply to AUTH, if it was sent. */
  auth: Promise<string> | undefined;
  lineReceived: ((line: string | undefined) => void) | undefined;
  readonly #socket: net.Socket;
  readonly #idleMs: number;
  readonly #isSecure: boolean;
  readonly #lines = new LineBuffer();
  #unread: string[] = [];
  #waiting: Awaited[] = [];
  #outgoing = "";
  #usedAt = Date.now();
  #ending: Error | undefined;

  private constructor(endpoint: Endpoint, socket: net.Socket, idleS: number) {
    this.endpoint = endpoint;
    this.#socket = socket;
    this.#idleMs = idleS * 1000;
    this.#isSecure = socket instanceof tls.TLSSocket;
    socket.setNoDelay(true);
    socket.on("data", (data: Uint8Array) => this.#received(data));
    socket.on("error", (error) => this.#ended(error));
    socket.on("end", () => this.#ended(undefined));
    socket.on("close", () => this.#ended(undefined));
    socket.unref();
  }

  /** Connects. Throws Unreached if that does not succeed in time. */
  static async connect(
    endpoint: Endpoint,
    until: number,
    options: Resolved,
  ): Promise<Connection> {
    const { host, port } = endpoint;
    let socket: net.Socket;
    try {
      socket = options.tls === undefined ? net.connect({ host, port }) : tls.connect({
        host,
        port,
        servername: net.isIP(host) ? "" : host,
        ...await pem(options.tls),
      });
    } catch (error) {
      throw new Unreached(`${endpoint}: ${(error as Error).message}`, { cause: error });
    }
    const event = options.tls === undefined ? "connect" : "secureConnect";
    await new Promise<void>((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        socket.off(event, connected).off("error", fail).off("close", ended);
      };
      const fail = (error?: Error) => {
        finish();
        socket.on("error", () => undefined); // it is given up
        socket.destroy();
        const code = (error as { code?: string } | undefined)?.code;
        const why = error?.message || code || "closed before it was there";
        reject(new Unreached(`${endpoint}: ${why}`, { cause: error }));
      };
      const timer = setTimeout(
        () => fail(new Error("no connection in time")),
        timerMs(until - now()),
      );
      const connected = () => {
        finish();
        resolve();
      };
      const ended = () => fail();
      socket.on(event, connected).on("error", fail).on("close", ended);
    });
    return new Connection(endpoint, socket, options.idleS);
  }

  #received(data: Uint8Array): void {
    this.#usedAt = Date.now();
    try {
      for (const line of this.#lines.feed(data)) this.#take(line);
    } catch (error) {
      this.#socket.destroy(error as Error);
      this.#ended(error as Error);
    }
    if (this.#waiting.length === 0) this.#socket.unref();
    if (this.#unread.length > UNREAD_MAX) this.#socket.pause();
  }

  #take(line: string): void {
    if (this.lineReceived !== undefined) {
      this.lineReceived(line);
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#unread.push(line);
    else if (!waiting.isOver) waiting.came(line);
  }

  #ended(error: Error | undefined): void {
    if (this.#ending !== undefined) return;
    const why = error?.message ?? "the worker closed the connection";
    this.#ending = new ConnectionLost(`${this.endpoint}: ${why}`, { cause: error });
    this.#socket.destroy();
    this.lineReceived?.(undefined);
    for (const waiting of this.#waiting.splice(0)) {
      if (!waiting.isOver) waiting.failed(this.#ending);
    }
  }

  /**
   * Sends lines, each with its end.
   *
   * While replies are awaited, the lines of all calls that are made in this turn of the event loop
   * share a write: to the worker they come together, and it asks Redis for all of them at once.
   */
  send(text: string): void {
    if (this.#ending !== undefined) throw this.#ending;
    this.#usedAt = Date.now();
    if (this.#waiting.length === 0 && this.#outgoing === "") {
      this.#socket.write(text);
      return;
    }
    if (this.#outgoing === "") setImmediate(() => this.#flush());
    this.#outgoing += text;
  }

  #flush(): void {
    const text = this.#outgoing;
    this.#outgoing = "";
    if (this.#ending === undefined) this.#socket.write(text);
  }

  /** The next line that nothing else waits for. */
  expect(): Awaited {
    const awaited = new Awaited();
    const unread = this.#unread.shift();
    if (unread !== undefined) {
      awaited.came(unread);
      if (this.#unread.length === 0) this.#socket.resume();
    } else if (this.#ending !== undefined) {
      awaited.failed(this.#ending);
    } else {
      this.#waiting.push(awaited);
      this.#socket.ref();
    }
    return awaited;
  }

  async readLine(until: number, signal?: AbortSignal): Promise<string> {
    const awaited = this.expect();
    try {
      const late = () => new TimedOut(`${this.endpoint}: no reply in time`);
      return await within(awaited.line, until, late, signal);
    } finally {
      const at = this.#waiting.indexOf(awaited);
      if (at >= 0) this.#waiting.splice(at, 1);
      if (this.#waiting.length === 0) this.#socket.unref();
    }
  }

  /** True if it can take another request: neither ended, nor idle for long. */
  async isFit(): Promise<boolean> {
    if (!this.#looksFit()) return false;
    if (Date.now() - this.#usedAt > SETTLED_MS && this.#waiting.length === 0) {
      // The loop looks at the socket before the second of these returns: an end that came while
      // this process was frozen is noticed. With TLS it takes one turn more.
      for (let turn = 0; turn < (this.#isSecure ? 3 : 2); turn++) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    }
    return this.#looksFit();
  }

  #looksFit(): boolean {
    if (this.#ending !== undefined || this.#socket.destroyed) return false;
    if (this.#waiting.length > 0) return true;
    const idleMs = Date.now() - this.#usedAt;
    const isFresh = idleMs >= 0 && idleMs <= this.#idleMs;
    return isFresh && this.#unread.length === 0 && this.#lines.isEmpty;
  }

  close(): void {
    this.#ended(new Error("the connection was closed"));
  }
}

const kept = new Map<string, { stamp: string; text: string }>();

/** The texts of the files of TLS; those from before while files are being replaced. */
async function pem(files: TLS): Promise<TLS> {
  const made: TLS = {};
  for (const name of ["ca", "cert", "key"] as const) {
    const given = files[name];
    if (given !== undefined) made[name] = given.includes("-----BEGIN") ? given : await file(given);
  }
  return made;
}

async function file(path: string): Promise<string> {
  const before = kept.get(path);
  try {
    const { mtimeMs, ino } = await fs.stat(path);
    const stamp = `${mtimeMs} ${ino}`;
    if (before?.stamp === stamp) return before.text;
    const text = await fs.readFile(path, "utf8");
    kept.set(path, { stamp, text });
    return text;
  } catch (error) {
    if (before === undefined) throw error;
    return before.text;
  }
}
