// A reply line, taken apart; and the bytes of a connection, taken apart into lines.

import { type Body, ERRORS, type LatchkeyError, ProtocolError, Refused } from "./errors.ts";
import { decodeId } from "./names.ts";

/** The codes after which the same line may succeed; nothing was done, but for the last. */
export const RETRYABLE: ReadonlySet<string> = new Set([
  "unavailable",
  "overloaded",
  "draining",
  "unknown_outcome",
]);

/** The codes after which the next attempt uses a new connection. */
export const ENDING: ReadonlySet<string> = new Set([...RETRYABLE, "auth_required"]);

/** The codes of a request that was refused before its idempotency key was looked up. */
export const UNADMITTED: ReadonlySet<string> = new Set(["auth_required", "forbidden"]);

/** One line from the worker. */
export class Reply {
  /** `OK`, `HELD`, `BUSY`, `NONE`, `STALE`, `ERR` or `EVENT`. */
  readonly word: string;
  /** What follows the word, as it came: JSON, or for `ERR` a code and a text. */
  readonly rest: string;

  constructor(word: string, rest: string) {
    this.word = word;
    this.rest = rest;
  }

  /** The code of an `ERR`, else the word. */
  get code(): string {
    return this.word === "ERR" ? this.rest.split(" ", 1)[0] : this.word;
  }

  /** The JSON behind the word; `{}` where there is none. */
  get body(): Body {
    return load(this.rest);
  }

  /** The error for a reply that is not `OK`. */
  error(verb: string): LatchkeyError {
    if (this.word === "ERR") {
      const { code } = this;
      return new (ERRORS[code] ?? Refused)(this.rest.slice(code.length + 1), code);
    }
    const { body } = this;
    if (typeof body.agent === "string") body.agent = decodeId(body.agent);
    const text = sentence(this.word, verb, body);
    return new (ERRORS[this.word] ?? Refused)(text, this.word, body);
  }
}

function load(text: string): Body {
  if (text === "") return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new ProtocolError(`the reply has no JSON: ${JSON.stringify(text.slice(0, 40))}`);
  }
}

function sentence(word: string, verb: string, body: Body): string {
  const left = `${Number(body.ttl_ms ?? 0) / 1000} s more`;
  switch (word) {
    case "HELD":
      return `${verb}: the device is held by ${JSON.stringify(body.agent)} for ${left}`;
    case "BUSY":
      return `${verb}: another turn of the device is running, for ${left} at most`;
    case "NONE":
      return `${verb}: there is no such lock, session, chat or message`;
    default: {
      const members = Object.entries(body).map(([name, value]) =>
        `${name}=${JSON.stringify(value)}`
      );
      const known = members.join(", ") || "unknown";
      return `${verb}: the given token, turn, revision or number is not current: ${known}`;
    }
  }
}

/** AUTH was not answered with `OK`; what was sent behind it did nothing. */
export class Rejected extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(reply.rest);
    this.reply = reply;
  }
}

const WORDS: ReadonlySet<string> = new Set(["OK", "HELD", "BUSY", "NONE", "STALE", "ERR", "EVENT"]);

/** Takes a line apart. Throws ProtocolError if no worker of Latchkey can have sent it. */
export function parseReply(line: string): Reply {
  const end = line.indexOf(" ");
  const word = end < 0 ? line : line.slice(0, end);
  if (!WORDS.has(word)) {
    const shown = JSON.stringify(line.slice(0, 40));
    throw new ProtocolError(`the reply begins with ${shown}: is this a Latchkey worker?`);
  }
  return new Reply(word, end < 0 ? "" : line.slice(end + 1));
}

/** Bytes as they arrive, and the lines in them, without their ends. */
export class LineBuffer {
  #parts: Uint8Array[] = [];
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** True if no byte of an incomplete line is there. */
  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** Adds bytes; returns the lines that are complete now. Throws ProtocolError. */
  feed(data: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, from)) {
      lines.push(this.#line(data.subarray(from, end)));
      from = end + 1;
    }
    if (from < data.length) this.#parts.push(data.subarray(from));
    return lines;
  }

  #line(last: Uint8Array): string {
    let bytes = last;
    if (this.#parts.length > 0) {
      const parts = [...this.#parts, last];
      bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        bytes.set(part, at);
        at += part.length;
      }
      this.#parts = [];
    }
    try {
      const line = this.#decoder.decode(bytes);
      return line.endsWith("\r") ? line.slice(0, -1) : line;
    } catch {
      throw new ProtocolError("the reply is not UTF-8");
    }
  }
}
