// The checkpoints of LangGraph as documents of a session, a thread being a device.

import {
  Adapter,
  type AdapterOptions,
  type AdapterTurnOptions,
  type Base,
  batches,
  bound,
  part,
} from "../adapting.ts";
import { NotFound, Stale, Unavailable } from "../errors.ts";
import type { DocumentPage, Json } from "../results.ts";
import type { Turn } from "../turn.ts";
import * as verbs from "../verbs.ts";
import {
  type Content,
  grouped,
  NEWEST,
  pack,
  type Packed,
  PAGE,
  pieces,
  place,
  ROOT,
  type Stored,
  unpack,
  type Write,
} from "./checkpoints.ts";

/** A config of LangGraph, as far as savers use it. */
export interface RunnableConfig {
  configurable?: Record<string, Json>;
}

/** A checkpoint, as far as savers use it. */
export interface Checkpoint {
  id: string;
}

/** A checkpoint with its writes. */
export interface CheckpointTuple {
  config: RunnableConfig;
  checkpoint: Json;
  metadata?: Json;
  parentConfig?: RunnableConfig;
  pendingWrites?: [task: string, channel: string, value: unknown][];
}

/** Options of `list`. */
export interface ListOptions {
  limit?: number;
  before?: RunnableConfig;
  /** Members that the metadata have. */
  filter?: Record<string, unknown>;
}

/** Options of the saver. */
export interface SaverOptions extends Omit<AdapterOptions, "name"> {
  /** Of the set of threads that `list` without a thread goes through. */
  saver?: string;
  /** A serializer of LangGraph's, else its own. */
  serde?: unknown;
}

/** The methods of the saver. */
export interface SaverMethods {
  /** The checkpoint that a config names, or the latest, with its writes. */
  getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined>;
  /** The checkpoints of a thread, or of all threads, the newest of each namespace first. */
  list(config: RunnableConfig, options?: ListOptions): AsyncGenerator<CheckpointTuple>;
  /** Stores a checkpoint in one step. Throws Stale if the turn was lost. */
  put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: object,
    newVersions?: object,
  ): Promise<RunnableConfig>;
  /** Stores a task's writes in one step; those that are there already stay as they are. */
  putWrites(
    config: RunnableConfig,
    writes: [channel: string, value: unknown][],
    taskId: string,
  ): Promise<void>;
  /** Removes a thread's session, with all that is in it. */
  deleteThread(threadId: string): Promise<void>;
  /** A turn of a thread, for a whole run. Throws Busy, after `wait`. */
  turn<T>(
    threadId: string,
    options: AdapterTurnOptions,
    body: (turn: Turn) => T | Promise<T>,
  ): Promise<T>;
  /** Closes the saver's own client. */
  close(): Promise<void>;
}

/** What LangGraph's classes have that these use. */
export interface SaverBase {
  serde: {
    dumpsTyped(value: unknown): Promise<[string, Uint8Array]> | [string, Uint8Array];
    loadsTyped(type: string, data: Uint8Array): unknown;
  };
}

const LINK = "langgraph";

/** Writes to these channels overwrite: there is one of each for a task. */
const SPECIAL = new Map([["__error__", 1], ["__scheduled__", 2], ["__interrupt__", 3], [
  "__resume__",
  4,
]]);

interface Chosen {
  thread: string;
  space: string;
  id: string | undefined;
}

function chosen(config: RunnableConfig): Chosen {
  const { thread_id, checkpoint_ns, checkpoint_id } = config.configurable ?? {};
  if (thread_id === undefined) throw new TypeError("the config has no configurable.thread_id");
  return {
    thread: String(thread_id),
    space: checkpoint_ns ?? "",
    id: checkpoint_id || undefined,
  };
}

function named(thread_id: string, checkpoint_ns: string, checkpoint_id: string): RunnableConfig {
  return { configurable: { thread_id, checkpoint_ns, checkpoint_id } };
}

/** A saver that is a subclass of LangGraph's `BaseCheckpointSaver`. */
export function saver<B extends Base<object>>(
  BaseCheckpointSaver: B,
): new (options?: SaverOptions) => InstanceType<B> & SaverMethods {
  const Parent = BaseCheckpointSaver as unknown as new (serde?: unknown) => SaverBase;
  class Made extends Parent implements SaverMethods {
    readonly #adapter: Adapter;
    readonly #ref: string;

    constructor(options: SaverOptions = {}) {
      const { saver: name = "default", serde, link, ...opening } = options;
      super(serde);
      this.#ref = part(name);
      this.#adapter = new Adapter({ ...opening, link: { ...link, [LINK]: this.#ref } });
    }

    async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
      const { thread, space, id } = chosen(config);
      const prefix = await place(space, id);
      const { found } = await this.#page(thread, prefix, undefined, id ? PAGE : NEWEST);
      return found.length > 0 ? await this.#tuple(thread, found[0], id && config) : undefined;
    }

    async *list(
      config: RunnableConfig,
      options: ListOptions = {},
    ): AsyncGenerator<CheckpointTuple> {
      const { thread_id, checkpoint_ns: space, checkpoint_id: id } = config.configurable ?? {};
      const before = options.before?.configurable?.checkpoint_id;
      let left = options.limit ?? Infinity;
      const prefix = space === undefined ? ROOT : await place(space, id);
      for (const thread of thread_id === undefined ? await this.#threads() : [String(thread_id)]) {
        // Keys of one namespace are in the order of the ids.
        let to = space !== undefined && before ? await place(space, before) : undefined;
        do {
          if (left <= 0) return;
          const page = await this.#page(thread, prefix, to, PAGE);
          to = page.to;
          for (const one of page.found) {
            if ((before && one.id >= before) || (id && one.id !== id)) continue;
            const tuple = await this.#tuple(thread, one);
            if (!matches(tuple.metadata, options.filter)) continue;
            yield tuple;
            left -= 1;
            if (left <= 0) return;
          }
        } while (to !== undefined);
      }
    }

    async put(
      config: RunnableConfig,
      checkpoint: Checkpoint,
      metadata: object,
      _newVersions?: object,
    ): Promise<RunnableConfig> {
      const { thread, space, id } = chosen(config);
      const content: Content = {
        space,
        parent: id ?? null,
        metadata: await this.#dump(metadata),
        checkpoint: await this.#dump(checkpoint),
      };
      // The first piece is what makes the checkpoint one: the others are there before it.
      for (const put of batches(pieces(await place(space, checkpoint.id), content))) {
        await this.#adapter.changed(thread, verbs.apply(thread, { put }));
      }
      return named(thread, space, checkpoint.id);
    }

    async putWrites(
      config: RunnableConfig,
      writes: [channel: string, value: unknown][],
      taskId: string,
    ): Promise<void> {
      const { thread, space, id } = chosen(config);
      if (id === undefined) throw new TypeError("the config has no configurable.checkpoint_id");
      const key = await place(space, id);
      const ordinary: Write[] = [];
      const special: Record<string, Write[]> = {};
      for (const [at, [channel, value]] of writes.entries()) {
        const kind = SPECIAL.get(channel);
        const write: Write = [taskId, kind ? -kind : at, channel, await this.#dump(value)];
        if (kind) special[`${key}x${part(taskId)}/${kind}`] = [write];
        else ordinary.push(write);
      }
      if (Object.keys(special).length > 0) {
        await this.#adapter.changed(thread, verbs.apply(thread, { put: special }));
      }
      if (ordinary.length > 0) await this.#add(thread, `${key}w${part(taskId)}`, ordinary);
    }

    /** Adds the writes whose index is not there yet to the task's document. */
    async #add(thread: string, key: string, writes: readonly Write[]): Promise<void> {
      let known: readonly Write[] = [];
      let rev = 0;
      for (let tried = 0; tried < 100; tried++) {
        const indices = new Set(known.map(([, index]) => index));
        const added = writes.filter(([, index]) => !indices.has(index));
        if (added.length === 0) return;
        try {
          await this.#adapter.changed(
            thread,
            verbs.put(thread, key, [...known, ...added], { rev }),
          );
          return;
        } catch (error) {
          const isBetween = error instanceof NotFound ||
            error instanceof Stale && error.rev !== undefined;
          if (!isBetween) throw error; // of the turn
        }
        const page = await this.#adapter.ifThere(thread, verbs.take(thread, key));
        const there = page?.documents[0];
        known = there?.value ?? [];
        rev = there?.rev ?? 0;
      }
      throw new Unavailable("putWrites: others write all the time", "unavailable");
    }

    async deleteThread(threadId: string): Promise<void> {
      const where = { device: threadId, session: "current" };
      await this.#adapter.ifThere(where, bound(verbs.delete(where), threadId));
    }

    turn<T>(
      threadId: string,
      options: AdapterTurnOptions,
      body: (turn: Turn) => T | Promise<T>,
    ): Promise<T> {
      return this.#adapter.turn(threadId, options, body);
    }

    close(): Promise<void> {
      return this.#adapter.close();
    }

    /**
     * The next checkpoints below the key `to`, newest first; and where to go on, if anywhere.
     *
     * What a page cuts is read again with the next one, unless it is all that the page has.
     */
    async #page(
      thread: string,
      prefix: string,
      to: string | undefined,
      limit: number,
    ): Promise<{ found: Stored[]; to?: string }> {
      const read: DocumentPage["documents"] = [];
      let cursor: string | undefined;
      while (true) {
        const options = { prefix, to, newest: true, values: true, limit, cursor };
        const page = await this.#adapter.ifThere(thread, verbs.keys(thread, options));
        if (page === undefined) return { found: [] };
        read.push(...page.documents);
        cursor = page.cursor ?? undefined;
        limit = Math.max(limit, PAGE);
        const { groups, rest } = grouped(read);
        if (cursor === undefined) return { found: groups };
        if (groups.length > 0) return { found: groups, to: read.at(-rest.length - 1)?.key };
      }
    }

    async #threads(): Promise<string[]> {
      const records = await this.#adapter.linked(LINK, this.#ref);
      return [...new Set(records.map((record) => record.device))];
    }

    async #tuple(
      thread: string,
      { id, content, writes }: Stored,
      config?: RunnableConfig | "",
    ): Promise<CheckpointTuple> {
      const { space, parent } = content;
      writes.sort(([a, m], [b, n]) => a < b ? -1 : a > b ? 1 : m - n);
      const pendingWrites: CheckpointTuple["pendingWrites"] = [];
      for (const [task, , channel, value] of writes) {
        pendingWrites.push([task, channel, await this.#load(value)]);
      }
      return {
        config: config || named(thread, space, id),
        checkpoint: await this.#load(content.checkpoint),
        metadata: await this.#load(content.metadata),
        ...(parent === null ? {} : { parentConfig: named(thread, space, parent) }),
        pendingWrites,
      };
    }

    async #dump(value: unknown): Promise<Packed> {
      return pack(await this.serde.dumpsTyped(value));
    }

    async #load(value: Packed): Promise<unknown> {
      return await this.serde.loadsTyped(...unpack(value));
    }
  }
  return Made as unknown as new (options?: SaverOptions) => InstanceType<B> & SaverMethods;
}

function matches(metadata: Json, filter: Record<string, unknown> = {}): boolean {
  return Object.entries(filter).every(([name, value]) =>
    JSON.stringify(metadata?.[name]) === JSON.stringify(value)
  );
}
