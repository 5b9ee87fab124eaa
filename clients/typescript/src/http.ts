// The way to the workers by HTTP, for platforms without sockets: lines by `POST /v1/lines`, and
// subscriptions as server-sent events.

import type { Channel, Subscription } from "./channel.ts";
import { type Endpoint, type Resolved, secretOf } from "./endpoints.ts";
import { ConnectionLost, ProtocolError, TimedOut, Unreached } from "./errors.ts";
import { ENDING, LineBuffer, parseReply, Rejected, Reply } from "./reply.ts";
import { now, timerMs, within } from "./time.ts";

/** A stream on which not even a comment came for so long, in seconds, is dead: one comes each 15 s. */
const SILENT_S = 40;

/** Sends requests by `fetch`, which keeps connections itself. */
export class HttpChannel implements Channel {
  readonly #options: Resolved;
  readonly #closing = new AbortController();
  #headers: Promise<Record<string, string>> | undefined;

  constructor(options: Resolved) {
    this.#options = options;
  }

  close(): void {
    this.#closing.abort(new ConnectionLost("the client was closed"));
  }

  async exchange(
    lines: readonly string[],
    until: number,
    replies: Reply[],
    signal?: AbortSignal,
  ): Promise<void> {
    const endpoint = this.#options.endpoints.current;
    let isOver = true;
    try {
      const body = lines.map((line) => `${line}\n`).join("");
      const [response, timer] = await this.fetch(endpoint, "/v1/lines", { body }, until, signal);
      try {
        await read(response, lines.length, replies);
      } catch (error) {
        throw lost(endpoint, error, signal);
      } finally {
        clearTimeout(timer);
      }
      isOver = replies.some((reply) => ENDING.has(reply.code));
    } catch (error) {
      if (error instanceof Rejected) this.#headers = undefined; // the next attempt asks for a secret
      throw error;
    } finally {
      if (isOver && !signal?.aborted) this.#options.endpoints.failed(endpoint);
    }
  }

  /**
   * A response of a worker that serves, and the timer that ends its body. Throws as `exchange` does.
   */
  async fetch(
    endpoint: Endpoint,
    path: string,
    request: { body?: string; headers?: Record<string, string> },
    until: number,
    signal?: AbortSignal,
  ): Promise<[Response, ReturnType<typeof setTimeout>]> {
    const headers = { ...await this.#authorized(), ...request.headers };
    const late = new AbortController();
    const timer = setTimeout(
      () => late.abort(new TimedOut(`${endpoint}: no reply in time`)),
      timerMs(until - now()),
    );
    const signals = [late.signal, this.#closing.signal, ...(signal ? [signal] : [])];
    try {
      const response = await this.#options.fetch(`${endpoint.origin}${path}`, {
        method: request.body === undefined ? "GET" : "POST",
        body: request.body,
        headers,
        signal: AbortSignal.any(signals),
        // A redirect is an error here. Not every platform has `error`, and each of them this one.
        redirect: "manual",
      });
      if (!response.ok) await refused(endpoint, response);
      return [response, timer];
    } catch (error) {
      clearTimeout(timer);
      throw lost(endpoint, error, signal);
    }
  }

  /** The headers with the secret, which is asked for once, and again after it was rejected. */
  async #authorized(): Promise<Record<string, string>> {
    const headers = this.#headers ??= this.#authorization();
    try {
      return await headers;
    } catch (error) { // of the function for the secret
      if (this.#headers === headers) this.#headers = undefined;
      throw error;
    }
  }

  async #authorization(): Promise<Record<string, string>> {
    const secret = await secretOf(this.#options);
    return secret === undefined ? {} : { authorization: `Bearer ${secret}` };
  }

  /** A subscription, with a secret that is asked for anew, as for each connection. */
  subscribe(): Promise<Subscription> {
    this.#headers = undefined;
    return Promise.resolve(
      new EventStream(this, this.#options.endpoints.current, this.#options.replyS),
    );
  }
}

/** The error of an attempt, as the client knows them. */
function lost(endpoint: Endpoint, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted && error === signal.reason) return error;
  const isKnown = error instanceof ConnectionLost || error instanceof ProtocolError ||
    error instanceof Rejected;
  if (isKnown) return error;
  const cause = error instanceof Error ? error.cause as { code?: string } | undefined : undefined;
  const code = cause?.code ?? "";
  const text = `${endpoint}: ${error instanceof Error ? error.message : error} ${code}`.trimEnd();
  return code === "ECONNREFUSED" || code === "ENOTFOUND"
    ? new Unreached(text, { cause: error })
    : new ConnectionLost(text, { cause: error });
}

/** Throws what a response other than 200 means. */
async function refused(endpoint: Endpoint, response: Response): Promise<never> {
  const text = await response.text();
  if (response.headers.get("latchkey-reply") !== "ERR") {
    throw new ConnectionLost(`${endpoint}: HTTP status ${response.status}`);
  }
  const { code, text: why } = JSON.parse(text);
  throw new Rejected(new Reply("ERR", `${code} ${why}`));
}

async function read(response: Response, count: number, replies: Reply[]): Promise<void> {
  const buffer = new LineBuffer();
  for await (const data of chunks(response)) {
    for (const line of buffer.feed(data)) replies.push(parseReply(line));
  }
  if (replies.length < count) throw new ConnectionLost("the response ended before all replies");
}

async function* chunks(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it has ended already
  }
}

/**
 * A subscription by HTTP: WATCH is a stream of server-sent events, whose messages become `EVENT`
 * lines; other lines are asked by POST. Their replies come in the order of the lines.
 */
class EventStream implements Subscription {
  readonly endpoint: Endpoint;
  lineReceived: ((line: string | undefined) => void) | undefined;
  readonly #channel: HttpChannel;
  readonly #replyS: number;
  readonly #closing = new AbortController();
  #lines: string[] = [];
  #wake: (() => void) | undefined;
  #ending: Error | undefined;
  #sent: Promise<void> = Promise.resolve();

  constructor(channel: HttpChannel, endpoint: Endpoint, replyS: number) {
    this.#channel = channel;
    this.endpoint = endpoint;
    this.#replyS = replyS;
  }

  send(text: string): void {
    if (this.#ending !== undefined) throw this.#ending;
    for (const line of text.split("\n").filter((one) => one !== "")) {
      this.#sent = this.#sent.then(() => this.#ask(line)).catch((error) => this.#ended(error));
    }
  }

  async #ask(line: string): Promise<void> {
    if (this.#ending !== undefined) return;
    if (line.startsWith("WATCH ")) {
      await this.#watch(line);
      return;
    }
    const replies: Reply[] = [];
    await this.#channel.exchange([line], now() + this.#replyS, replies, this.#closing.signal);
    for (const { word, rest } of replies) this.#push(rest === "" ? word : `${word} ${rest}`);
  }

  async #watch(line: string): Promise<void> {
    const [, device, ...options] = line.split(" ");
    const query = options.map((option) => {
      const [, name, value] = /^([^=]+)=(.*)$/.exec(option) ?? ["", option, ""];
      return `${name}=${encodeURIComponent(value.startsWith('"') ? JSON.parse(value) : value)}`;
    });
    // The id is encoded already: the worker decodes a segment of the path once.
    const id = device === "*" ? device : encodeURIComponent(device);
    const path = `/v1/watch/${id}${query.length > 0 ? `?${query.join("&")}` : ""}`;
    const headers = { accept: "text/event-stream" };
    const until = now() + this.#replyS;
    let response: Response;
    let timer: ReturnType<typeof setTimeout>;
    try {
      [response, timer] = await this.#channel.fetch(
        this.endpoint,
        path,
        { headers },
        until,
        this.#closing.signal,
      );
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      this.#push(`ERR ${error.reply.rest}`);
      return;
    }
    clearTimeout(timer);
    this.#push("OK");
    this.#read(response).then(
      () => this.#ended(new ConnectionLost(`${this.endpoint}: the worker ended the stream`)),
      (error) => this.#ended(error),
    );
  }

  async #read(response: Response): Promise<void> {
    const buffer = new LineBuffer();
    let type = "";
    let data = "";
    const dead = () => this.#ended(new ConnectionLost(`${this.endpoint}: the stream is silent`));
    let silence = setTimeout(dead, timerMs(SILENT_S));
    try {
      for await (const bytes of chunks(response)) {
        clearTimeout(silence);
        silence = setTimeout(dead, timerMs(SILENT_S));
        for (const line of buffer.feed(bytes)) {
          if (line.startsWith("data: ")) data = line.slice(6);
          else if (line.startsWith("event: ")) type = line.slice(7);
          else if (line === "" && data !== "") {
            // The first message of a stream that is resumed too late.
            this.#push(`EVENT ${type === "begin" ? '{"type":"events.lost"}' : data}`);
            [type, data] = ["", ""];
          }
        }
      }
    } finally {
      clearTimeout(silence);
    }
  }

  #push(line: string): void {
    if (this.lineReceived !== undefined) {
      this.lineReceived(line);
      return;
    }
    this.#lines.push(line);
    this.#wake?.();
  }

  #ended(error: unknown): void {
    if (this.#ending !== undefined) return;
    const why = error instanceof Error ? error : new Error(String(error));
    this.#ending = why instanceof ConnectionLost ? why : lost(this.endpoint, why) as Error;
    this.#closing.abort(this.#ending);
    this.#wake?.();
    this.lineReceived?.(undefined);
  }

  async readLine(until: number, signal?: AbortSignal): Promise<string> {
    while (true) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#ending !== undefined) throw this.#ending;
      const more = new Promise<void>((resolve) => this.#wake = resolve);
      await within(more, until, () => new TimedOut(`${this.endpoint}: no reply in time`), signal);
    }
  }

  close(): void {
    this.#ended(new ConnectionLost("the subscription was closed"));
  }
}
