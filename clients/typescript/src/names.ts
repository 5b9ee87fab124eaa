// How JavaScript values become parts of a request line, and parts of a reply become values.
//
// Ids are percent-encoded, so that any text may name a device, an agent, a user or a link.

/** Seconds, or a text such as `'30s'`, `'500ms'`, `'24h'`. */
export type Duration = number | string;

/**
 * An id that is sent as it is, without percent-encoding.
 *
 * Replies contain one where another client has chosen an id that no text encodes to, such as
 * `caf%c3%a9` with lower-case digits. It is an object: compare it by `String(id)`.
 */
export class RawId extends String {}

/** The type of `ALL`. */
export interface All {
  readonly all: true;
}

/** Stands for all devices (`*` on the wire), where a device is meant otherwise. */
export const ALL: All = Object.freeze({ all: true });

/** True for `ALL`. */
export function isAll(value: unknown): value is All {
  return typeof value === "object" && value !== null && (value as All).all === true;
}

/**
 * A session or a chat of a device.
 *
 * `session` and `chat` may be `'current'`; without them the current one is meant, too. A chat is a
 * number, or its name behind an `@`.
 */
export interface Address {
  device: string;
  session?: string | null;
  chat?: number | string | null;
}

/** A device's id, any text; or the address of a session or a chat. */
export type Where = string | Address;

const UNSAFE = /[^A-Za-z0-9._:@+~!*'()-]/gu;
const WORD = /^[A-Za-z0-9._:@+%~!*'()/,-]+$/;
const ENCODED = /(?:%[0-9A-F]{2})+/g;
const LONE_SURROGATE = /%ED%([AB][0-9A-F])%([89AB][0-9A-F])/g;
const DURATION = /^([0-9]+)(ms|s|m|h|d)?$/;
const encoder = new TextEncoder();

/**
 * An id for the wire: all bytes but `A-Z a-z 0-9 . _ : @ + - ~ ! * ' ( )` percent-encoded.
 *
 * Throws TypeError for what is no text, and RangeError for an empty text.
 */
export function encodeId(text: string): string {
  const given: unknown = text;
  if (given instanceof RawId) {
    const raw = String(given);
    if (raw === "" || raw.replaceAll("%", "").search(UNSAFE) >= 0) {
      throw new RangeError(`${JSON.stringify(raw)} cannot be sent without percent-encoding`);
    }
    return raw;
  }
  if (typeof given !== "string") throw new TypeError(`an id is a string, not ${typeof given}`);
  if (text === "") throw new RangeError("an id has at least one character");
  return text === "*" ? "%2A" : text.replace(UNSAFE, encodeCharacter);
}

function encodeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  // A lone surrogate has no UTF-8: its three bytes are what other clients send, too.
  const bytes = code >= 0xd800 && code <= 0xdfff
    ? [0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)]
    : [...encoder.encode(character)];
  return bytes.map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

/** The text of an id from the wire; `encodeId` returns the same id again. */
export function decodeId(encoded: string): string {
  if (!encoded.includes("%") && encoded !== "*") return encoded;
  try {
    const text = encoded.replace(ENCODED, decodeBytes);
    if (text !== "" && encodeId(text) === encoded) return text;
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  return new RawId(encoded) as unknown as string;
}

function decodeBytes(bytes: string): string {
  let text = "";
  let at = 0;
  for (const found of bytes.matchAll(LONE_SURROGATE)) {
    const low = Number.parseInt(found[1], 16) & 63;
    text += decodeURIComponent(bytes.slice(at, found.index));
    text += String.fromCharCode(0xd000 | (low << 6) | (Number.parseInt(found[2], 16) & 63));
    at = found.index + found[0].length;
  }
  return text + decodeURIComponent(bytes.slice(at));
}

/** An address for the wire; a plain text is a device, whatever characters it has. */
export function address(where: Where): string {
  const given: unknown = where;
  if (typeof given === "string" || given instanceof RawId) return encodeId(where as string);
  const { device, session, chat } = where as Address;
  if (session == null && chat == null) return encodeId(device);
  const parts = [encodeId(device), session == null ? "current" : encodeId(session)];
  if (chat != null) parts.push(typeof chat === "number" ? integer(chat) : encodeId(chat));
  return parts.join("/");
}

/** The device of an address. */
export function deviceOf(where: Where): string {
  return typeof where === "object" && !((where as unknown) instanceof RawId)
    ? where.device
    : where as string;
}

/** An integer for the wire. Throws TypeError for anything else. */
export function integer(value: number): string {
  if (!Number.isSafeInteger(value)) {
    throw new TypeError(`an integer is needed, not ${String(value)}`);
  }
  return String(value);
}

/** A text for the wire: as it is if it is bare, else as a JSON string. */
export function word(text: string): string {
  if (typeof text !== "string") throw new TypeError(`a string is needed, not ${typeof text}`);
  return WORD.test(text) ? text : JSON.stringify(text);
}

/** One or several words, separated by commas. */
export function words(values: string | readonly string[]): string {
  return word(typeof values === "string" ? values : values.join(","));
}

/** `yes` or `no`. */
export function flag(value: boolean): string {
  return value ? "yes" : "no";
}

/**
 * A duration for the wire: seconds as a number, or a text such as `'30s'`.
 *
 * Throws RangeError for a negative or an infinite one, and for a text of another form.
 */
export function duration(value: Duration): string {
  if (typeof value === "string") {
    if (!DURATION.test(value)) {
      throw new RangeError(`${JSON.stringify(value)} is no duration: digits and ms, s, m, h or d`);
    }
    return value;
  }
  const milliseconds = Math.round(seconds(value) * 1000);
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}

const UNIT_S: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };

/** A duration in seconds. Throws RangeError as `duration` does; TypeError for another type. */
export function seconds(value: Duration): number {
  if (typeof value === "string") {
    const [, digits, unit] = DURATION.exec(duration(value)) ?? [];
    return Number(digits) * (UNIT_S[unit ?? "s"] ?? 1);
  }
  if (typeof value !== "number") {
    throw new TypeError(`a duration is a number of seconds, not ${typeof value}`);
  }
  if (!(value >= 0 && value < 1e12)) throw new RangeError(`${value} is no duration in seconds`);
  return value;
}

/** Compact JSON. Throws TypeError or RangeError for what JSON cannot express, NaN included. */
export function dump(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`${typeof value} cannot be expressed as JSON`);
  // What is no number becomes null without a word: look at the values only where there is one.
  if (text.includes("null")) JSON.stringify(value, refuseNaN);
  return text;
}

function refuseNaN(_name: string, value: unknown): unknown {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new RangeError(`${value} cannot be expressed as JSON`);
  }
  return value;
}

/** A JSON object. Throws TypeError for another value. */
export function dumpObject(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError("an object is needed");
  }
  return dump(value);
}

/** A line that UTF-8 can express: a lone surrogate is escaped, as JSON does. */
export function wellFormed(line: string): string {
  return line.replace(/\p{Surrogate}/gu, (one) => `\\u${one.charCodeAt(0).toString(16)}`);
}

/** A new idempotency key. */
export function newReq(): string {
  return crypto.randomUUID().replaceAll("-", "");
}
