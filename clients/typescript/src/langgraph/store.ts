// LangGraph's long-term memory as documents: each namespace is a session of its own.
//
// A session is linked to all prefixes of its namespace, so that a search looks at those alone whose
// namespaces begin as it asks.

import {
  Adapter,
  type AdapterOptions,
  type Base,
  batches,
  canonical,
  part,
  unpart,
} from "../adapting.ts";
import type { Document, Json, Members } from "../results.ts";
import * as verbs from "../verbs.ts";

/** An item of the store. */
export interface Item {
  value: Members;
  key: string;
  namespace: string[];
  createdAt: Date;
  updatedAt: Date;
}

interface MatchCondition {
  matchType: string;
  path: string[];
}

/** An operation of a batch: a get, a put (with null a removal), a search, or a list of namespaces. */
export interface Operation {
  namespace?: string[];
  key?: string;
  value?: Members | null;
  namespacePrefix?: string[];
  filter?: Members;
  limit?: number;
  offset?: number;
  matchConditions?: MatchCondition[];
  maxDepth?: number;
}

/** Options of the store. */
export interface StoreOptions extends Omit<AdapterOptions, "name"> {
  /** Stores with another name have nothing in common. */
  store?: string;
}

/** The method that LangGraph's class builds its others on. */
export interface StoreMethods {
  /** The results of operations; reads come before writes. */
  batch(operations: Operation[]): Promise<Json>;
  /** Closes the store's own client. */
  close(): Promise<void>;
}

const LINK = "langgraph-store-js";
const PAGE = 100;
const KEYS_MAX = 1000;

/** What a document has: `created` is missing in its first version, whose time it has. */
interface Stored {
  value: Members;
  created?: number;
}

/**
 * A store that is a subclass of LangGraph's `BaseStore`. Semantic search is not supported: a `query`
 * and an `index` are not looked at.
 */
export function store<B extends Base<object>>(
  BaseStore: B,
): new (options?: StoreOptions) => InstanceType<B> & StoreMethods {
  class Made extends (BaseStore as unknown as new () => object) implements StoreMethods {
    readonly #adapter: Adapter;
    readonly #name: string;
    readonly #links: verbs.Links;

    constructor(options: StoreOptions = {}) {
      super();
      const { store: name = "default", link = {}, ...opening } = options;
      this.#name = part(name);
      this.#links = link;
      this.#adapter = new Adapter(opening);
    }

    async batch(operations: Operation[]): Promise<Json> {
      const results: unknown[] = operations.map(() => undefined);
      const puts = new Map<string, Operation & { namespace: string[]; key: string }>();
      for (const [at, operation] of operations.entries()) {
        const { namespace, key } = operation;
        if (namespace !== undefined && key !== undefined) {
          if ("value" in operation) {
            puts.set(JSON.stringify([namespace, key]), { ...operation, namespace, key });
          } else {
            const [found] = await this.#take(namespace, [key]);
            results[at] = found === undefined ? null : item(namespace, found);
          }
        } else if (operation.namespacePrefix !== undefined) {
          results[at] = await this.#search(operation.namespacePrefix, operation);
        } else {
          results[at] = await this.#namespaces(operation);
        }
      }
      for (const [namespace, own] of grouped(puts.values())) await this.#put(namespace, own);
      return results;
    }

    close(): Promise<void> {
      return this.#adapter.close();
    }

    async #take(namespace: string[], keys: string[]): Promise<Document[]> {
      const device = this.#device(namespace);
      const page = await this.#adapter.ifThere(device, verbs.take(device, keys));
      return (page?.documents ?? []).filter((one): one is Document => Boolean(one?.value?.value));
    }

    async #search(prefix: string[], options: Operation): Promise<Item[]> {
      const { filter, limit = 10, offset = 0 } = options;
      const found: Item[] = [];
      let skipped = 0;
      for (const namespace of await this.#under(prefix)) {
        const device = this.#device(namespace);
        let cursor: string | undefined;
        do {
          if (found.length >= limit) return found;
          const asked = verbs.keys(device, { values: true, limit: PAGE, cursor });
          const page = await this.#adapter.ifThere(device, asked);
          for (const document of page?.documents ?? []) {
            if (!document.value?.value || !passes(document.value.value, filter)) continue;
            if (skipped < offset) skipped += 1;
            else if (found.length < limit) found.push(item(namespace, document));
          }
          cursor = page?.cursor ?? undefined;
        } while (cursor !== undefined);
      }
      return found;
    }

    /** The namespaces that begin with a prefix, in their order; empty ones too. */
    async #under(prefix: string[]): Promise<string[][]> {
      const records = await this.#adapter.linked(LINK, this.#ref(prefix));
      const start = this.#device([]).length;
      const paths = new Set(records.map((record) => record.device.slice(start)));
      return [...paths].sort().map((path) => path.split("/").map(unpart));
    }

    async #namespaces(options: Operation): Promise<string[][]> {
      const { matchConditions = [], maxDepth, limit = 100, offset = 0 } = options;
      const prefixes = matchConditions.filter(({ matchType }) => matchType === "prefix")
        .map(({ path }) => path.includes("*") ? path.slice(0, path.indexOf("*")) : path);
      const longest = prefixes.reduce((a, b) => b.length > a.length ? b : a, []);
      const shown = new Map<string, string[]>();
      for (const namespace of await this.#under(longest)) {
        if (!matchConditions.every((condition) => fulfils(namespace, condition))) continue;
        const device = this.#device(namespace);
        const page = await this.#adapter.ifThere(device, verbs.keys(device, { limit: 1 }));
        if (!page?.documents.length) continue;
        const short = namespace.slice(0, maxDepth);
        shown.set(JSON.stringify(short), short);
      }
      return [...shown.values()].slice(offset, offset + limit);
    }

    async #put(namespace: string[], puts: readonly (Operation & { key: string })[]): Promise<void> {
      const device = this.#device(namespace);
      const keys = puts.map(({ key }) => key);
      const before = new Map<string, Document>();
      for (let at = 0; at < keys.length; at += KEYS_MAX) {
        const some = await this.#take(namespace, keys.slice(at, at + KEYS_MAX));
        for (const one of some) before.set(one.key, one);
      }
      const stored: Record<string, Stored> = {};
      const dropped: string[] = [];
      for (const { key, value } of puts) {
        const there = before.get(key);
        if (value) {
          const created = there && ((there.value as Stored).created ?? there.at);
          stored[key] = { value, ...(created === undefined ? {} : { created }) };
        } else if (there !== undefined) dropped.push(key);
      }
      const refs = Array.from(
        { length: namespace.length + 1 },
        (_, depth) => this.#ref(namespace.slice(0, depth)),
      );
      const link = { ...this.#links, [LINK]: refs };
      for (const put of batches(stored)) {
        await this.#adapter.changed(device, verbs.apply(device, { put }), {}, { link });
      }
      for (let at = 0; at < dropped.length; at += KEYS_MAX) {
        const some = dropped.slice(at, at + KEYS_MAX);
        await this.#adapter.ifThere(device, verbs.drop(device, some));
      }
    }

    #device(namespace: readonly string[]): string {
      return `langgraph-store-js:${this.#name}/${namespace.map(part).join("/")}`;
    }

    #ref(namespace: readonly string[]): string {
      return `${this.#name}/${namespace.map(part).join("/")}`;
    }
  }
  return Made as unknown as new (options?: StoreOptions) => InstanceType<B> & StoreMethods;
}

type Put = Operation & { namespace: string[]; key: string };

function grouped(puts: Iterable<Put>): [string[], Put[]][] {
  const found = new Map<string, [string[], Put[]]>();
  for (const put of puts) {
    const name = JSON.stringify(put.namespace);
    const own = found.get(name);
    if (own === undefined) found.set(name, [put.namespace, [put]]);
    else own[1].push(put);
  }
  return [...found.values()];
}

function item(namespace: string[], document: Document): Item {
  const { value, created } = document.value as Stored;
  return {
    namespace,
    key: document.key,
    value,
    createdAt: new Date(created ?? document.at),
    updatedAt: new Date(document.at),
  };
}

function fulfils(namespace: readonly string[], { matchType, path }: MatchCondition): boolean {
  if (path.length > namespace.length) return false;
  const own = matchType === "prefix"
    ? namespace.slice(0, path.length)
    : namespace.slice(namespace.length - path.length);
  return path.every((name, at) => name === "*" || name === own[at]);
}

const OPERATORS: Record<string, (own: Json, wanted: Json) => boolean> = {
  $eq: (own, wanted) => canonical(own) === canonical(wanted),
  $ne: (own, wanted) => canonical(own) !== canonical(wanted),
  $gt: (own, wanted) => own !== null && own > wanted,
  $gte: (own, wanted) => own !== null && own >= wanted,
  $lt: (own, wanted) => own !== null && own < wanted,
  $lte: (own, wanted) => own !== null && own <= wanted,
};

/** True if an item's value passes a filter. Throws RangeError for an operator that is none. */
function passes(value: Members, filter: Members = {}): boolean {
  return Object.entries(filter).every(([name, wanted]) => {
    const isObject = typeof wanted === "object" && wanted !== null && !Array.isArray(wanted);
    const operators = isObject ? Object.entries(wanted).filter(([one]) => one.startsWith("$")) : [];
    if (operators.length === 0) return canonical(value[name] ?? null) === canonical(wanted ?? null);
    return operators.every(([operator, operand]) => {
      const compare = OPERATORS[operator];
      if (compare === undefined) throw new RangeError(`${operator} is no operator of a filter`);
      return compare(value[name] ?? null, operand);
    });
  });
}
