// A storage of the Microsoft 365 Agents SDK for JavaScript, version 2 of its contract.
//
//     import { StorageV2 } from "@microsoft/agents-hosting";
//     class LatchkeyStorage extends storage(StorageV2) {}
//
// The interfaces are written from the SDK's documentation, version 1.8. The SDK recognizes a storage
// by its class, so that is a parameter: this package does not depend on the SDK.

import {
  Adapter,
  type AdapterOptions,
  type AdapterTurnOptions,
  type Base,
  bound,
  digest,
} from "./adapting.ts";
import { NotFound, Stale, Unavailable } from "./errors.ts";
import { encodeId } from "./names.ts";
import type { Document, Json, Members } from "./results.ts";
import type { Turn } from "./turn.ts";
import * as verbs from "./verbs.ts";

/** What became of one key: values of `StorageOperationStatus`. */
export type Status = "succeeded" | "notFound" | "conflict" | "conditionNotMet";

/** The result for one key. */
export interface StorageResult {
  key: string;
  status: Status;
  /** The document's revision. */
  version?: string;
}

/** The result of a read for one key. */
export interface StorageReadResult<T> extends StorageResult {
  value?: T;
}

/** Options of `write`. */
export interface StorageWriteOptions {
  /** `upsert`, `createOnly` or `replace`. */
  mode?: string;
  /** Writes only what has this version. */
  expectedVersion?: string;
  /** Seconds for which the items are kept. */
  ttl?: number;
}

/** Options of the storage. */
export interface StorageOptions extends Omit<AdapterOptions, "name"> {
  /** Storages with another name have nothing in common. */
  storage?: string;
}

/** The methods of the storage. */
export interface LatchkeyStorage {
  /** The items of the keys, each with its version. */
  read<T = Json>(keys: string[]): Promise<Record<string, StorageReadResult<T>>>;
  /** Writes items, each for itself. Throws RangeError for malformed options. */
  write<T extends object>(
    changes: Record<string, T>,
    options?: StorageWriteOptions,
  ): Promise<Record<string, StorageResult>>;
  /** Removes items, each for itself. */
  delete(
    keys: string[],
    options?: { expectedVersion?: string },
  ): Promise<Record<string, StorageResult>>;
  /** A turn of a key: in the function it is changed only while the turn runs. */
  turn<T>(
    key: string,
    options: AdapterTurnOptions,
    body: (turn: Turn) => T | Promise<T>,
  ): Promise<T>;
  /** Closes the storage's own client. */
  close(): Promise<void>;
}

const KEY = "item";
/** The longest id. */
const ID_BYTES = 512;
const TRIES = 1000;
const MODES = ["upsert", "createOnly", "replace"];

/** What is stored: a removed item is there for a moment, until its document expires. */
type Stored = { value: Json } | { removed: true };

/** A storage that is a subclass of the SDK's `StorageV2`, or of any class. */
export function storage<B extends Base<object>>(
  StorageV2: B,
): new (options?: StorageOptions) => InstanceType<B> & LatchkeyStorage {
  class Made extends (StorageV2 as unknown as new () => object) implements LatchkeyStorage {
    readonly #adapter: Adapter;
    readonly #name: string;

    constructor(options: StorageOptions = {}) {
      super();
      const { storage: name = "m365", ...opening } = options;
      this.#name = name;
      this.#adapter = new Adapter(opening);
    }

    async read<T = Json>(keys: string[]): Promise<Record<string, StorageReadResult<T>>> {
      return await each(keys, async (key) => {
        const found = await this.#find(key);
        if (found === undefined) return { key, status: "notFound" };
        const { rev, value } = found;
        return { key, status: "succeeded", version: String(rev), value: value.value };
      });
    }

    async write<T extends object>(
      changes: Record<string, T>,
      options: StorageWriteOptions = {},
    ): Promise<Record<string, StorageResult>> {
      const { mode = "upsert", expectedVersion, ttl } = options;
      if (!MODES.includes(mode)) throw new RangeError(`mode is one of ${MODES.join(", ")}`);
      checkVersion(expectedVersion);
      return await each(Object.keys(changes), async (key) => {
        const item = { value: changes[key] };
        return await this.#written(() => this.#put(key, item, mode, expectedVersion, ttl));
      });
    }

    async delete(
      keys: string[],
      options: { expectedVersion?: string } = {},
    ): Promise<Record<string, StorageResult>> {
      checkVersion(options.expectedVersion);
      return await each(keys, async (key) => {
        if (options.expectedVersion === undefined) {
          const device = await this.#device(key);
          const removed = await this.#adapter.ifThere(device, verbs.drop(device, KEY));
          return { key, status: removed?.removed ? "succeeded" : "notFound" };
        }
        const gone = { removed: true } as const;
        const { status } = await this.#written(() =>
          this.#put(key, gone, "replace", options.expectedVersion, 0.01)
        );
        return { key, status };
      });
    }

    async turn<T>(
      key: string,
      options: AdapterTurnOptions,
      body: (turn: Turn) => T | Promise<T>,
    ): Promise<T> {
      return await this.#adapter.turn(await this.#device(key), options, body);
    }

    close(): Promise<void> {
      return this.#adapter.close();
    }

    async #written(attempt: () => Promise<StorageResult | undefined>): Promise<StorageResult> {
      for (let tried = 0; tried < TRIES; tried++) {
        const done = await attempt();
        if (done !== undefined) return done;
      }
      throw new Unavailable("others change the item all the time", "unavailable");
    }

    /** One attempt to write an item; undefined if another caller was in between. */
    async #put(
      key: string,
      item: Stored,
      mode: string,
      expected: string | undefined,
      ttl: number | undefined,
    ): Promise<StorageResult | undefined> {
      // Without a condition nothing has to be read before.
      let rev: number | undefined;
      if (mode !== "upsert" || expected !== undefined) {
        const found = await this.#find(key);
        const version = found && String(found.rev);
        if (mode === "createOnly" && found) return { key, status: "conflict", version };
        if (mode === "replace" && !found) return { key, status: "notFound" };
        if (expected !== undefined && expected !== version) {
          return { key, status: "conditionNotMet", version };
        }
        rev = found?.rev ?? 0;
      }
      const device = await this.#device(key);
      const request = verbs.put(device, KEY, item as Members, { rev, ttl });
      try {
        // Where there has to be an item there is a session, or neither of them any more.
        const asked = rev ? this.#adapter.ask(bound(request, device)) : undefined;
        const written = await (asked ?? this.#adapter.changed(device, request));
        return { key, status: "succeeded", version: String(written.rev) };
      } catch (error) {
        const isBetween = error instanceof NotFound ||
          error instanceof Stale && error.rev !== undefined;
        if (!isBetween || rev === undefined) throw error;
        return undefined;
      }
    }

    async #find(key: string): Promise<Document & { value: { value: Json } } | undefined> {
      const device = await this.#device(key);
      const page = await this.#adapter.ifThere(device, verbs.take(device, KEY));
      const document = page?.documents[0];
      return document?.value && "value" in document.value
        ? document as Document & { value: { value: Json } }
        : undefined;
    }

    async #device(key: string): Promise<string> {
      if (typeof key !== "string" || key === "") throw new TypeError("a key is a non-empty string");
      const device = `${this.#name}:${key}`;
      return encodeId(device).length > ID_BYTES ? `${this.#name}:#${await digest(key)}` : device;
    }
  }
  return Made as unknown as new (options?: StorageOptions) => InstanceType<B> & LatchkeyStorage;
}

function checkVersion(expected: string | undefined): void {
  if (expected === "") throw new RangeError("expectedVersion is not empty");
}

async function each<R>(
  keys: readonly string[],
  result: (key: string) => Promise<R>,
): Promise<Record<string, R>> {
  const unique = [...new Set(keys)];
  const results = await Promise.all(unique.map(result));
  return Object.fromEntries(unique.map((key, at) => [key, results[at]]));
}
