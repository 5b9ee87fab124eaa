// The receiver's side of webhooks: is a request from the workers, and what does it say?
//
// It sends nothing, needs no client, and runs wherever there is Web Crypto.

import { InvalidSignature } from "./errors.ts";
import { decodeId } from "./names.ts";
import * as results from "./results.ts";
import type { Event } from "./results.ts";

const HEADER = "Latchkey-Signature";
const SIGNATURES_MAX = 16;

/**
 * An event as it is delivered, by CloudEvents 1.0. `id` is the same at each attempt: handle each once.
 * `subject` is the device, `time` the `at` of `data` by RFC 3339, and `data` the event as
 * `client.events` gives it.
 */
export interface CloudEvent {
  specversion: string;
  id: string;
  source: string;
  type: string;
  subject?: string;
  time?: string;
  datacontenttype?: string;
  traceparent?: string;
  data: Event;
}

/** Options of `verifyWebhook`. */
export interface VerifyOptions {
  /** How far the time of the signature may be from this host's clock, either way; 300 seconds. */
  toleranceS?: number;
  /** That clock, in Unix milliseconds, in place of `Date.now()`. */
  now?: number;
}

/**
 * The event that a request brings.
 *
 * `body`: the bytes as they came, since JSON that was read and written again may have others.
 * `header`: the value of `Latchkey-Signature`, if there is one. `secret`: that of the hook; while it
 * is being replaced, the old and the new one.
 *
 * Throws InvalidSignature: answer 401 or 403, and the worker tries again. Throws TypeError if the body
 * is no bytes, RangeError if a secret is empty.
 */
export async function verifyWebhook(
  body: Uint8Array | ArrayBuffer,
  header: string | null | undefined,
  secret: string | Uint8Array | readonly (string | Uint8Array)[],
  options: VerifyOptions = {},
): Promise<CloudEvent> {
  const isBuffer = Object.prototype.toString.call(body) === "[object ArrayBuffer]";
  if (!isBuffer && !ArrayBuffer.isView(body)) {
    throw new TypeError("body: give the bytes as they came, not text or what was read from them");
  }
  const raw = isBuffer ? new Uint8Array(body as ArrayBuffer) : body as Uint8Array;
  const secrets = typeof secret === "string" || ArrayBuffer.isView(secret) ? [secret] : secret;
  const keys = (secrets as readonly (string | Uint8Array)[]).map((one) =>
    typeof one === "string" ? new TextEncoder().encode(one) : one
  );
  if (keys.length === 0 || keys.some((key) => key.length === 0)) {
    throw new RangeError("secret: it is empty");
  }
  const { moment, signatures } = parts(header);
  const prefix = new TextEncoder().encode(`${moment}.`);
  const signed = new Uint8Array(prefix.length + raw.length);
  signed.set(prefix);
  signed.set(raw, prefix.length);
  if (!await isSigned(signed, signatures, keys)) {
    throw new InvalidSignature("no signature is by this secret");
  }
  const { toleranceS = 300, now = Date.now() } = options;
  const ageS = now / 1000 - Number(moment);
  if (Math.abs(ageS) > toleranceS) {
    const side = ageS > 0
      ? `${ageS.toFixed()} s old`
      : `${(-ageS).toFixed()} s ahead of this host's clock`;
    throw new InvalidSignature(`the signature is ${side}, and ${toleranceS} s are allowed`);
  }
  return eventOf(raw);
}

/** The time's digits, and the signatures of the version that is known. */
function parts(header: string | null | undefined): { moment: string; signatures: string[] } {
  if (!header) throw new InvalidSignature(`there is no header ${HEADER}: has the hook a secret?`);
  const moments: string[] = [];
  const signatures: string[] = [];
  for (const part of header.split(",")) {
    const [, name, value] = /^\s*([^=]*)=(.*?)\s*$/.exec(part) ?? [];
    if (name === "t") moments.push(value);
    else if (name === "v1") signatures.push(value);
  }
  const isWhole = moments.length === 1 && signatures.length > 0 &&
    signatures.length <= SIGNATURES_MAX;
  if (!isWhole || !/^[0-9]{1,15}$/.test(moments[0])) {
    throw new InvalidSignature(`the header ${HEADER} is malformed: t=SECONDS,v1=HEX is expected`);
  }
  return { moment: moments[0], signatures };
}

/** True if one of the signatures is by one of the keys. All are compared, each in constant time. */
async function isSigned(
  signed: Uint8Array<ArrayBuffer>,
  signatures: readonly string[],
  keys: readonly Uint8Array[],
): Promise<boolean> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const found: boolean[] = [];
  for (const key of keys) {
    const imported = await crypto.subtle.importKey("raw", key.slice(), algorithm, false, [
      "verify",
    ]);
    for (const signature of signatures) {
      const bytes = /^[0-9a-f]{64}$/.test(signature)
        ? Uint8Array.from(signature.match(/../g) ?? [], (digits) => parseInt(digits, 16))
        : new Uint8Array(32);
      found.push(await crypto.subtle.verify("HMAC", imported, bytes, signed));
    }
  }
  return found.includes(true);
}

function eventOf(raw: Uint8Array): CloudEvent {
  try {
    const found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
    found.data = results.event(JSON.stringify(found.data));
    if (found.subject !== undefined) found.subject = decodeId(found.subject);
    return found;
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new InvalidSignature(`the signature is valid, but the body no event: ${why}`);
  }
}
