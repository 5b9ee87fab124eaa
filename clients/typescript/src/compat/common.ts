// What the modules for earlier systems share: session ids that have their device, and the client.

import { Client } from "../client.ts";
import { NotFound } from "../errors.ts";
import { type Address, encodeId } from "../names.ts";
import type { SessionRecord } from "../results.ts";

const ULID = /^[0-9A-Z]{26}$/;

/** States in which a session can go on. */
export const LIVE: readonly string[] = ["active", "paused"];

/** The kind of the link that the sessions of one adapter have, with its name as the reference. */
export const STORE = "store";

/**
 * The id of a session for callers who know no devices: the device's, a dot and the session's.
 *
 * It has no character that a segment of a URL has to encode, except for `%`.
 */
export function sessionIdOf(record: Pick<SessionRecord, "device" | "session">): string {
  return `${encodeId(record.device)}.${record.session}`;
}

/** The address of such an id. Throws NotFound for a text that is none. */
export function addressOf(id: string): Address {
  const dot = id.lastIndexOf(".");
  if (dot < 1 || !ULID.test(id.slice(dot + 1))) {
    throw new NotFound(`no session has the id ${JSON.stringify(id)}`, "NONE");
  }
  return { device: decodeURIComponent(id.slice(0, dot)), session: id.slice(dot + 1) };
}

/** The given client, which stays open, or one of the adapter's own, which `close` ends. */
export class OwnedClient {
  readonly client: Client;
  readonly #isOwn: boolean;

  constructor(client: Client | undefined) {
    this.client = client ?? new Client();
    this.#isOwn = client === undefined;
  }

  async close(): Promise<void> {
    if (this.#isOwn) await this.client.close();
  }
}

/** Milliseconds as a duration of the client. */
export function ms(value: number): string {
  return `${Math.round(value)}ms`;
}
