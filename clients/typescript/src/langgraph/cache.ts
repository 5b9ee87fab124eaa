// LangGraph's cache of tasks' results as documents: each namespace is a session of its own.

import { Adapter, type AdapterOptions, type Base, bound, digest, part } from "../adapting.ts";
import { Quota } from "../errors.ts";
import * as verbs from "../verbs.ts";
import { pack, type Packed, unpack } from "./checkpoints.ts";
import type { SaverBase } from "./saver.ts";

/** A key within its namespace. */
export type CacheFullKey = [namespace: string[], key: string];

/** Options of the cache. */
export interface CacheOptions extends Omit<AdapterOptions, "name"> {
  /** Caches with another name have nothing in common. */
  cache?: string;
  /** A serializer of LangGraph's, else its own. */
  serde?: unknown;
}

/** The methods of the cache. */
export interface CacheMethods<V = unknown> {
  /** The values of the keys that are there. */
  get(keys: CacheFullKey[]): Promise<{ key: CacheFullKey; value: V }[]>;
  /** Writes values, each with its TTL in seconds; a full namespace is emptied before. */
  set(pairs: { key: CacheFullKey; value: V; ttl?: number }[]): Promise<void>;
  /** Removes the values of exactly these namespaces; with none of them, of all. */
  clear(namespaces: string[][]): Promise<void>;
  /** Closes the cache's own client. */
  close(): Promise<void>;
}

const LINK = "langgraph-cache-js";
const KEY_BYTES = 400;
const KEYS_MAX = 1000;

/** A cache that is a subclass of LangGraph's `BaseCache`. */
export function cache<B extends Base<object>>(
  BaseCache: B,
): new (options?: CacheOptions) => InstanceType<B> & CacheMethods {
  class Made extends (BaseCache as unknown as new (serde?: unknown) => SaverBase)
    implements CacheMethods {
    readonly #adapter: Adapter;
    readonly #ref: string;

    constructor(options: CacheOptions = {}) {
      const { cache: name = "default", serde, link, ...opening } = options;
      super(serde);
      this.#ref = part(name);
      this.#adapter = new Adapter({ ...opening, link: { ...link, [LINK]: this.#ref } });
    }

    async get(keys: CacheFullKey[]): Promise<{ key: CacheFullKey; value: unknown }[]> {
      const found: { key: CacheFullKey; value: unknown }[] = [];
      for (const [device, own] of await this.#devices(keys, (key) => key)) {
        const names = [...own.keys()];
        for (let at = 0; at < names.length; at += KEYS_MAX) {
          const asked = verbs.take(device, names.slice(at, at + KEYS_MAX));
          const page = await this.#adapter.ifThere(device, asked);
          for (const document of page?.documents ?? []) {
            const key = document && own.get(document.key);
            if (!key || !Array.isArray(document.value)) continue;
            const value = await this.serde.loadsTyped(...unpack(document.value as Packed));
            found.push({ key, value });
          }
        }
      }
      return found;
    }

    async set(pairs: { key: CacheFullKey; value: unknown; ttl?: number }[]): Promise<void> {
      for (const [device, own] of await this.#devices(pairs, ({ key }) => key)) {
        for (const [name, { value, ttl }] of own) {
          const packed = pack(await this.serde.dumpsTyped(value));
          const put = () => this.#adapter.changed(device, verbs.put(device, name, packed, { ttl }));
          try {
            await put();
          } catch (error) {
            if (!(error instanceof Quota)) throw error;
            await this.#remove(device);
            await put();
          }
        }
      }
    }

    async clear(namespaces: string[][]): Promise<void> {
      const devices = namespaces.length > 0
        ? namespaces.map((namespace) => this.#device(namespace))
        : (await this.#adapter.linked(LINK, this.#ref)).map((record) => record.device);
      for (const device of new Set(devices)) await this.#remove(device);
    }

    close(): Promise<void> {
      return this.#adapter.close();
    }

    async #remove(device: string): Promise<void> {
      const where = { device, session: "current" };
      await this.#adapter.ifThere(where, bound(verbs.delete(where), device));
    }

    #device(namespace: readonly string[]): string {
      return `langgraph-cache-js:${this.#ref}/${namespace.map(part).join("/")}`;
    }

    /** Things by their devices and the keys of their documents. */
    async #devices<T>(
      things: readonly T[],
      keyOf: (thing: T) => CacheFullKey,
    ): Promise<Map<string, Map<string, T>>> {
      const devices = new Map<string, Map<string, T>>();
      for (const thing of things) {
        const [namespace, key] = keyOf(thing);
        const device = this.#device(namespace);
        const own = devices.get(device) ?? new Map<string, T>();
        devices.set(device, own.set(await documentKey(key), thing));
      }
      return devices;
    }
  }
  return Made as unknown as new (options?: CacheOptions) => InstanceType<B> & CacheMethods;
}

/** The key of a document: a long one is hashed. */
async function documentKey(key: string): Promise<string> {
  const { length } = new TextEncoder().encode(key);
  return length > 0 && length <= KEY_BYTES && !key.startsWith("#") ? key : `#${await digest(key)}`;
}
