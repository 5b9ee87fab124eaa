// How checkpoints lie in the documents of a session.
//
// A checkpoint and its writes stand under adjoining keys, the newest checkpoint last, so that one
// request reads a checkpoint with its writes, however many others the thread has. The key of a
// checkpoint is `checkpoint/NAMESPACE/ID/c0000`, those of its writes `…/wTASK` and `…/xTASK/N`.

import { digest, part, unpart } from "../adapting.ts";
import { encodeId } from "../names.ts";
import type { Document, Json } from "../results.ts";

/** The beginning of all keys. Those of the Python adapter are others: its values are msgpack. */
export const ROOT = "checkpoint-js/";
/** Characters of a document, each of three bytes at most: a longer checkpoint has several. */
export const PIECE = 80_000;
/** Documents of the first page of a search for the latest checkpoint: it and its writes. */
export const NEWEST = 4;
/** Documents of other pages. */
export const PAGE = 100;

/** A namespace that takes more bytes is hashed in keys, which have 512 at most. */
const SPACE_BYTES = 250;

/** The beginning of the keys of a namespace, or of one of its checkpoints. */
export async function place(space: string, id?: string): Promise<string> {
  const isLong = space !== "" && encodeId(space).length > SPACE_BYTES;
  const name = isLong ? `#${await digest(space)}` : part(space);
  return `${ROOT}${name}/${id === undefined ? "" : `${part(id)}/`}`;
}

/** A serializer's output as JSON: its type, and the text, or bytes in base64. */
export type Packed = [type: string, text: string, coding?: "base64"];

/** What a checkpoint's document has. */
export interface Content {
  space: string;
  parent: string | null;
  checkpoint: Packed;
  metadata: Packed;
}

/** A write of a task: its index, its channel, and the value. */
export type Write = [task: string, index: number, channel: string, value: Packed];

/** A checkpoint. */
export interface Stored {
  id: string;
  content: Content;
  writes: Write[];
}

/** A serializer's output as JSON. */
export function pack([type, data]: [string, Uint8Array]): Packed {
  if (type === "json") {
    try {
      return [type, new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data)];
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it is no text: as bytes
    }
  }
  let text = "";
  for (let at = 0; at < data.length; at += 0x8000) {
    text += String.fromCharCode(...data.subarray(at, at + 0x8000));
  }
  return [type, btoa(text), "base64"];
}

/** The reverse of `pack`. */
export function unpack([type, text, coding]: Packed): [string, Uint8Array] {
  if (coding === undefined) return [type, new TextEncoder().encode(text)];
  return [type, Uint8Array.from(atob(text), (one) => one.charCodeAt(0))];
}

/** Documents of a checkpoint. The first piece, which makes it one, is the last of them. */
export function pieces(key: string, content: Content): Record<string, Json> {
  const text = JSON.stringify(content);
  if (text.length <= PIECE) return { [`${key}c0000`]: content };
  const put: Record<string, Json> = {};
  const count = Math.ceil(text.length / PIECE);
  for (let n = 1; n < count; n++) {
    put[`${key}c${String(n).padStart(4, "0")}`] = text.slice(n * PIECE, (n + 1) * PIECE);
  }
  put[`${key}c0000`] = { pieces: count, text: text.slice(0, PIECE) };
  return put;
}

function groupOf(key: string): string {
  return key.slice(0, key.indexOf("/", key.indexOf("/", ROOT.length) + 1) + 1);
}

/**
 * The checkpoints among documents that come newest first, and the documents of the last group if its
 * first piece, which ends it, is not among them. Writes without a checkpoint are passed over: it is
 * not there yet.
 */
export function grouped(found: readonly Document[]): { groups: Stored[]; rest: Document[] } {
  const groups: Stored[] = [];
  let rest: Document[] = [];
  for (const one of found) {
    if (rest.length > 0 && groupOf(rest[0].key) !== groupOf(one.key)) rest = [];
    rest.push(one);
    if (one.key.endsWith("/c0000")) {
      const stored = whole(rest);
      if (stored !== undefined) groups.push(stored);
      rest = [];
    }
  }
  return { groups, rest };
}

/** A checkpoint from its documents, or undefined if one is corrupt in Redis. */
function whole(group: readonly Document[]): Stored | undefined {
  const start = groupOf(group[0].key);
  const values = new Map(group.map((one) => [one.key.slice(start.length), one.value]));
  let content = values.get("c0000");
  if (content?.pieces !== undefined) {
    const texts = [content.text];
    for (let n = 1; n < content.pieces; n++) {
      texts.push(values.get(`c${String(n).padStart(4, "0")}`));
    }
    if (texts.some((text) => typeof text !== "string")) return undefined;
    content = JSON.parse(texts.join(""));
  }
  if (content === null || typeof content !== "object") return undefined;
  const writes = [...values].filter(([name, value]) => /^[wx]/.test(name) && Array.isArray(value))
    .flatMap(([, value]) => value as Write[]);
  const id = unpart(start.split("/").at(-2) ?? "");
  return { id, content, writes };
}
