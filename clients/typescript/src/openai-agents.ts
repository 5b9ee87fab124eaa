// A session of the OpenAI Agents SDK for JavaScript, whose items are a chat in Latchkey.
//
//     const session = new LatchkeySession("user-42", { client });
//     await session.turn({ wait: 30 }, () => run(agent, "Tuesday?", { session }));
//
// The interfaces are written from the SDK's documentation, version 0.20.

import {
  Adapter,
  type AdapterOptions,
  type AdapterTurnOptions,
  bound,
  canonical,
  digest,
} from "./adapting.ts";
import { Conflict, LatchkeyError, NotFound, Stale } from "./errors.ts";
import type { Address } from "./names.ts";
import type { Json, Members } from "./results.ts";
import type { Under } from "./session.ts";
import type { Turn } from "./turn.ts";
import * as verbs from "./verbs.ts";

/** A change of the history, as the SDK describes one. */
export type HistoryTransaction<Item = Json> =
  | { type: "append_items"; items: Item[] }
  | { type: "replace_suffix"; expectedSuffix: Item[]; replacement: Item[] };

/** What is known of a transaction that has begun. */
interface Operation {
  digest: string;
  /** The newest message when it was planned, and the one after which it replaces. */
  last: number;
  after?: number;
  isDone?: boolean;
}

/** Options of `LatchkeySession`. */
export interface LatchkeySessionOptions extends Omit<AdapterOptions, "chat">, Under {
  /** A chat of the session, else the current one. */
  chat?: number | string;
}

const KEPT = "7d"; // how long an operation is known
const REPLAYED_MS = 540_000; // how long the worker surely knows the key of a change

/**
 * Implements `Session`, and `applyHistoryTransaction` of the SDK.
 *
 * The session's id is the device. The conversation is its current session, made by the first items
 * that are added. A batch of items is one change: it is there as a whole and once.
 */
export class LatchkeySession<Item = Json> {
  readonly #id: string;
  readonly #where: Address;
  readonly #under: Under;
  readonly #adapter: Adapter;

  /** `token` or `turn`: the lock or turn under which each change happens, else that of the block. */
  constructor(sessionId: string, options: LatchkeySessionOptions = {}) {
    const { chat, token, turn, ...opening } = options;
    this.#id = sessionId;
    this.#where = chat === undefined ? { device: sessionId } : { device: sessionId, chat };
    this.#under = { token, turn };
    this.#adapter = new Adapter(opening);
  }

  /** The device. */
  getSessionId(): Promise<string> {
    return Promise.resolve(this.#id);
  }

  /**
   * A turn of the session, for a whole run: others that ask for one wait, and adapters change it in
   * the function only while the turn runs. Throws Busy, after `wait`.
   */
  turn<T>(options: AdapterTurnOptions, body: (turn: Turn) => T | Promise<T>): Promise<T> {
    return this.#adapter.turn(this.#id, options, body);
  }

  /** The newest `limit` items, or all, oldest first. */
  async getItems(limit?: number): Promise<Item[]> {
    const found = await this.#adapter.messages(this.#where, limit);
    return found.map(({ message }) => message as Item);
  }

  /** Appends items in one step. Throws Stale if the lock or the turn was lost. */
  async addItems(items: Item[]): Promise<void> {
    if (items.length > 0) await this.#say(items);
  }

  async #say(
    items: readonly Item[],
    options: { after?: number; last?: number; seq?: number; req?: string } = {},
  ): Promise<void> {
    const request = verbs.say(this.#where, items as readonly Members[], options);
    await this.#adapter.changed(this.#id, request, this.#under);
  }

  /** Removes the newest item and returns it, undefined if there is none. */
  async popItem(): Promise<Item | undefined> {
    while (true) {
      const request = bound(verbs.pop(this.#where), this.#id, this.#under);
      const popped = await this.#adapter.ask(request);
      // An item that is corrupt in Redis is removed and hides no other.
      if (popped === null) return undefined;
      if (popped.message !== null) return popped.message as Item;
    }
  }

  /** Removes all items. */
  async clearSession(): Promise<void> {
    await this.#adapter.ifThere(this.#where, verbs.forget(this.#where), this.#under);
  }

  /** Replaces all items in one step. */
  async replaceHistoryWithCompaction(items: Item[]): Promise<void> {
    await this.#say(items, { after: 0 });
  }

  /**
   * Appends items, or replaces the newest ones if they are as expected, in one step and once for each
   * operation id, also when it is repeated days later.
   *
   * Throws Conflict if the id was used for another transaction, or the newest items are others.
   */
  async applyHistoryTransaction(
    args: { operationId: string; transaction: HistoryTransaction<Item> },
  ): Promise<void> {
    const { operationId, transaction } = args;
    const key = `openai-operation/${await digest(operationId)}`;
    const own = await digest(canonical(transaction));
    for (let tried = 0; tried < 100; tried++) {
      const there = await this.#operation(key);
      if (there !== undefined && there.value.digest !== own) {
        throw new Conflict(`the operation ${operationId} was another transaction`, "conflict");
      }
      if (there?.value.isDone) return;
      if (await this.#applied(key, own, transaction, there)) return;
    }
    throw new LatchkeyError(`the operation ${operationId}: others change the session all the time`);
  }

  async #operation(
    key: string,
  ): Promise<{ rev: number; at: number; value: Operation } | undefined> {
    const page = await this.#adapter.ifThere(this.#id, verbs.take(this.#id, key));
    const document = page?.documents[0];
    return document?.value ? { ...document, value: document.value } : undefined;
  }

  /** One attempt at an operation. False if others have changed something meanwhile. */
  async #applied(
    key: string,
    own: string,
    transaction: HistoryTransaction<Item>,
    there: { rev: number; at: number; value: Operation } | undefined,
  ): Promise<boolean> {
    const plan = there?.value ?? await this.#plan(own, transaction);
    const rev = there?.rev ?? await this.#note(key, plan, 0);
    if (rev === undefined) return false;
    const items = transaction.type === "append_items" ? transaction.items : transaction.replacement;
    const { last, after } = plan;
    const condition = after === undefined ? { seq: last } : { after, last };
    try {
      await this.#say(items, { ...condition, req: `${key}/${rev}` });
    } catch (error) {
      if (!(error instanceof Stale) || error.seq === undefined) throw error; // of the lock or turn
      // An attempt of long ago may have been applied, whose key the worker knows no more.
      const isOld = there !== undefined && Date.now() - there.at > REPLAYED_MS;
      if (!isOld || !await this.#begins(after ?? last, items)) {
        await this.#note(key, await this.#plan(own, transaction), rev);
        return false;
      }
    }
    return await this.#note(key, { ...plan, isDone: true }, rev) !== undefined;
  }

  /** At which messages the transaction is to be applied. Throws Conflict. */
  async #plan(own: string, transaction: HistoryTransaction<Item>): Promise<Operation> {
    const expected = transaction.type === "append_items" ? [] : transaction.expectedSuffix;
    const found = await this.#adapter.messages(this.#where, Math.max(1, expected.length));
    const last = found.at(-1)?.seq ?? 0;
    if (transaction.type === "append_items") return { digest: own, last };
    const suffix = expected.length === 0 ? [] : found.map(({ message }) => message);
    if (canonical(suffix) !== canonical(expected)) {
      throw new Conflict("the newest items are not those that the transaction expects", "conflict");
    }
    return { digest: own, last, after: expected.length === 0 ? last : found[0].seq - 1 };
  }

  /** Writes an operation; its revision, or undefined if another caller has written it meanwhile. */
  async #note(key: string, operation: Operation, rev: number): Promise<number | undefined> {
    const request = verbs.put(this.#id, key, operation as unknown as Members, { rev, ttl: KEPT });
    try {
      return (await this.#adapter.changed(this.#id, request, this.#under)).rev;
    } catch (error) {
      if (error instanceof NotFound) return undefined;
      if (error instanceof Stale && error.rev !== undefined) return undefined;
      throw error;
    }
  }

  /** True if the messages after a number begin with these. */
  async #begins(after: number, items: readonly Item[]): Promise<boolean> {
    const request = verbs.history(this.#where, { after, limit: Math.max(1, items.length) });
    const page = await this.#adapter.ifThere(this.#where, request);
    const found = (page?.messages ?? []).map(({ message }) => message);
    return canonical(found) === canonical(items);
  }

  /** Closes the session's own client. */
  close(): Promise<void> {
    return this.#adapter.close();
  }
}
