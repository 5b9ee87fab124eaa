// What programs with Vercel's AI SDK keep: chats, and streams that a reader may resume.
//
//     const chats = chatStore({ client });
//     await chats.saveChat({ chatId, messages });   // in `onFinish`
//
//     const streams = createResumableStreamContext({
//       waitUntil: after, ...resumableStreams(client),
//     });
//
// The AI SDK has no interface for a store: the functions have the names of its documentation
// (version 7). The publisher and the subscriber are those that resumable-stream 2.2 documents.

import { Adapter, type AdapterOptions, type AdapterTurnOptions, canonical } from "./adapting.ts";
import type { Client } from "./client.ts";
import { LatchkeyError, NotFound, Stale, Unavailable } from "./errors.ts";
import type { Members } from "./results.ts";
import type { Turn } from "./turn.ts";
import * as verbs from "./verbs.ts";

/** A message of a user interface, as far as this needs it. */
export interface UIMessage {
  id: string;
  role: string;
}

/** Chats, each a device. */
export interface ChatStore<M extends UIMessage> {
  /** Makes a chat, and returns its id. */
  createChat(): Promise<string>;
  /** The messages of a chat; none if there is no such chat. */
  loadChat(id: string): Promise<M[]>;
  /**
   * Has a chat have these messages. Those that it has already stay as they are, and the rest is
   * replaced in one step. Throws Stale if another caller has changed the chat meanwhile.
   */
  saveChat(chat: { chatId: string; messages: readonly M[] }): Promise<void>;
  /** Removes a chat. */
  deleteChat(id: string): Promise<void>;
  /** A turn of a chat: in the function it is changed only while the turn runs. Throws Busy. */
  turn<T>(
    id: string,
    options: AdapterTurnOptions,
    body: (turn: Turn) => T | Promise<T>,
  ): Promise<T>;
  /** Closes the store's own client. */
  close(): Promise<void>;
}

/** A store of chats; its options are those of `open` for new chats. */
export function chatStore<M extends UIMessage = UIMessage & Members>(
  options: AdapterOptions = {},
): ChatStore<M> {
  const adapter = new Adapter(options);
  return {
    async createChat() {
      const id = crypto.randomUUID();
      await adapter.changed(id, verbs.touch(id));
      return id;
    },
    async loadChat(id) {
      return (await adapter.messages(id)).map(({ message }) => message as unknown as M);
    },
    async saveChat({ chatId, messages }) {
      const found = await adapter.messages(chatId);
      let same = 0;
      while (
        same < Math.min(found.length, messages.length) &&
        canonical(found[same].message) === canonical(messages[same])
      ) same += 1;
      if (same === found.length && same === messages.length) return;
      const last = found.at(-1)?.seq ?? 0;
      const after = same > 0 ? found[same - 1].seq : 0;
      const rest = messages.slice(same) as unknown as readonly Members[];
      const request = same === found.length
        ? verbs.say(chatId, rest, { seq: last })
        : rest.length > 0
        ? verbs.say(chatId, rest, { after, last })
        : verbs.forget(chatId, { after });
      await adapter.changed<unknown>(chatId, request as never);
    },
    async deleteChat(id) {
      const where = { device: id, session: "current" };
      await adapter.ifThere(where, verbs.delete(where));
    },
    turn: (id, given, body) => adapter.turn(id, given, body),
    close: () => adapter.close(),
  };
}

/** A publisher of resumable-stream. */
export interface Publisher {
  connect(): Promise<unknown>;
  publish(channel: string, message: string): Promise<number>;
  set(key: string, value: string, options?: { EX?: number }): Promise<"OK">;
  get(key: string): Promise<string | null>;
  incr(key: string): Promise<number>;
}

/** A subscriber of resumable-stream. */
export interface Subscriber {
  connect(): Promise<unknown>;
  subscribe(channel: string, callback: (message: string) => void): Promise<void>;
  unsubscribe(channel: string): Promise<void>;
}

const KIND = "message";
const KEY = "value";
/** UTF-16 units of one push: with three bytes each, and the names around it, less than 64 KiB. */
const PIECE = 16_000;
const LIFE = "2d";

/** The publisher and the subscriber that `createResumableStreamContext` takes. */
export function resumableStreams(client: Client): { publisher: Publisher; subscriber: Subscriber } {
  return { publisher: publisher(client), subscriber: subscriber(client) };
}

function publisher(client: Client): Publisher {
  const adapter = new Adapter({ client, life: LIFE, keep: "1m" });
  const there = async (key: string) => {
    const page = await adapter.ifThere(key, verbs.take(key, KEY));
    return page?.documents[0] ?? undefined;
  };
  return {
    connect: () => Promise.resolve(),
    async publish(channel, message) {
      // An empty message is one, too. Requests are short; the text of a stream may be cut anywhere.
      for (let at = 0; at === 0 || at < message.length; at += PIECE) {
        await client.tell(channel, KIND, { message: message.slice(at, at + PIECE) });
      }
      return 1;
    },
    async set(key, value, options = {}) {
      await adapter.changed(key, verbs.put(key, KEY, value, { ttl: options.EX }));
      return "OK";
    },
    async get(key) {
      return (await there(key))?.value ?? null;
    },
    async incr(key) {
      for (let tried = 0; tried < 1000; tried++) {
        const document = await there(key);
        const value = Number(document?.value ?? "0");
        // The library looks for these words of Redis.
        if (!Number.isSafeInteger(value)) {
          throw new LatchkeyError("ERR value is not an integer or out of range");
        }
        const rev = document?.rev ?? 0;
        const request = verbs.put(key, KEY, String(value + 1), { rev, ttl: LIFE });
        try {
          await adapter.changed(key, request);
          return value + 1;
        } catch (error) {
          if (!(error instanceof Stale || error instanceof NotFound)) throw error;
        }
      }
      throw new Unavailable(`incr: ${key} is changed by others all the time`, "unavailable");
    },
  };
}

function subscriber(client: Client): Subscriber {
  const watching = new Map<string, AbortController>();
  return {
    connect: () => Promise.resolve(),
    async subscribe(channel, callback) {
      watching.get(channel)?.abort();
      const ending = new AbortController();
      watching.set(channel, ending);
      await new Promise<void>((resolve, reject) => {
        const types = [`custom.${KIND}`];
        const options = { changes: true, types, signal: ending.signal, onLive: resolve };
        const read = async () => {
          for await (const event of client.watch(channel, options)) {
            if (event.type === types[0]) callback(event.payload.message);
          }
        };
        // Once it is live, only its end is left to be noticed: the library has a timeout of its own.
        read().catch(reject);
      });
    },
    unsubscribe(channel) {
      watching.get(channel)?.abort();
      watching.delete(channel);
      return Promise.resolve();
    },
  };
}
