// A turn of this process: what is to be said is collected until its end.

import type { Client } from "./client.ts";
import { LatchkeyError, NotFound, Refused, Stale, TurnLost } from "./errors.ts";
import { Keeper, Lease } from "./lease.ts";
import { dump } from "./names.ts";
import type { Request } from "./request.ts";
import type { Begun, Ended, Members, Message } from "./results.ts";
import { Session } from "./session.ts";
import { Moment } from "./time.ts";
import * as verbs from "./verbs.ts";

/**
 * A turn that has begun. It is renewed until it ends.
 *
 * `say` and `set` collect what `done` applies in one step with the turn's end. With `await using` a
 * turn that was not ended by `done` is ended at the end of the block, and what was collected is not
 * applied: so it is after an error, too.
 */
export class Turn {
  readonly device: string;
  /**
   * True if the message was joined to a turn that was running already, `policy: 'join'`. That turn
   * answers it; this one has nothing to do, and cannot say anything.
   */
  readonly isJoined: boolean;
  /** The turn's number, a fencing token: send it with writes to other systems. */
  readonly number: number;
  /** The token of the device's lock, if there was an `agent`. */
  readonly token: number | undefined;
  /**
   * The newest messages of the chat, the one of this turn included; after `done`, those that were
   * joined meanwhile.
   */
  messages: Message[];
  readonly fields: Members;
  readonly phase: string | null;
  readonly step: string | null;
  /** The reply to TURN, with `session`, `chat`, `seq`, `how` and `waited_ms`. */
  readonly begun: Begun;
  /** How many messages were joined and not shown yet, by the latest renewal or end. */
  joined = 0;
  /**
   * What an error in a block does: end the turn, so that the next may begin; or leave it to expire,
   * so that the same event, delivered again with the same `req`, goes on with it meanwhile. In either
   * case nothing is said.
   */
  onError: "end" | "abandon" = "end";
  readonly #client: Client;
  readonly #lease: Lease;
  readonly #keeper: Keeper;
  #say: Members[] = [];
  #changes: verbs.Changes = {};

  /** `asked`: the moment before the request was sent. */
  constructor(client: Client, device: string, begun: Begun, asked: Moment) {
    this.#client = client;
    this.device = device;
    this.begun = begun;
    this.isJoined = begun.joined !== undefined;
    this.number = begun.joined ?? begun.turn ?? 0;
    this.token = begun.token;
    this.messages = begun.messages ?? [];
    this.fields = begun.fields ?? {};
    this.phase = begun.phase ?? null;
    this.step = begun.step ?? null;
    const ttlMs = this.isJoined ? 0 : begun.ttl_ms;
    // It was granted when the request had waited, not when it was sent.
    this.#lease = new Lease(ttlMs + (begun.waited_ms ?? 0), asked);
    this.#lease.isReleased = this.isJoined || !begun.ttl_ms;
    this.#keeper = new Keeper(this.#lease);
    if (!this.isOver) this.#keeper.start(this);
  }

  /** True if the turn has ended, or may have, other than by `done`. */
  get lost(): boolean {
    return this.#lease.isLost(new Moment());
  }

  /**
   * True once `done` has ended the turn; and from the beginning if the message was joined to another
   * turn, or if the same request, by its `req`, had begun a turn that is over.
   */
  get isOver(): boolean {
    return this.#lease.isReleased;
  }

  /** Throws TurnLost if the turn is lost. */
  check(): void {
    if (this.lost) throw this.#lost();
  }

  #lost(): TurnLost {
    const { cause } = this.#lease;
    const why = cause?.message ?? "its TTL ended before a renewal";
    const text = `the turn of ${JSON.stringify(this.device)} was lost: ${why}`;
    return new TurnLost(text, "", {}, { cause });
  }

  /** The turn's session: its changes are applied at once, and only while the turn runs. */
  get session(): Session {
    const where = { device: this.device, session: this.begun.session };
    return new Session(this.#client, where, { turn: this.isJoined ? undefined : this.number });
  }

  /** Has the end of the turn say a message, or several. Throws for what JSON cannot express. */
  say(message: Members | readonly Members[]): void {
    this.#open();
    const added: readonly Members[] = Array.isArray(message) ? message : [message];
    // A copy: what the caller changes later is not said.
    this.#say.push(...JSON.parse(dump(added)));
  }

  /** The messages that the end of the turn is to say. */
  get unsaid(): readonly Members[] {
    return [...this.#say];
  }

  /** The oldest of these have been said otherwise. */
  forgetUnsaid(count: number): void {
    this.#say.splice(0, count);
  }

  /** Has the end of the turn merge members into the session's fields; null removes one. */
  set(fields?: Members | null, options: { phase?: string; step?: string } = {}): void {
    this.#open();
    if (fields != null) {
      this.#changes.set = { ...this.#changes.set, ...JSON.parse(dump(fields)) };
    }
    if (options.phase !== undefined) this.#changes.phase = options.phase;
    if (options.step !== undefined) this.#changes.step = options.step;
  }

  /** Has the end of the turn write documents, by their keys. */
  put(documents: Members): void {
    this.#open();
    this.#changes.put = { ...this.#changes.put, ...JSON.parse(dump(documents)) };
  }

  #open(): void {
    if (this.isOver) {
      throw new LatchkeyError("the turn is over: look at isOver before there is more to say");
    }
  }

  /**
   * Applies what was collected, and ends the turn. True if it is over; false if messages were joined
   * to it meanwhile, which `messages` has then: the turn goes on.
   *
   * `seen` is the number of the last joined message that was taken in already; with `last` the turn
   * ends all the same. Throws TurnLost, and then nothing was said; Unavailable, UnknownOutcome,
   * Quota.
   */
  async done(options: { seen?: number; last?: boolean } = {}): Promise<boolean> {
    this.#open();
    this.check();
    const asked = new Moment();
    const changes = {
      ...this.#changes,
      ...(this.#say.length > 0 ? { say: this.#say } : {}),
    };
    const payload = Object.keys(changes).length > 0 ? changes : undefined;
    const under = { ...options, turn: this.number, last: options.last || undefined };
    let ended: Ended;
    try {
      ended = await this.#client.ask(verbs.done(this.device, payload, under));
    } catch (error) {
      // With a number it is about `seen`: the turn goes on.
      if (error instanceof Stale && error.seq !== undefined) throw error;
      throw this.#failed(error);
    }
    this.#say = [];
    this.#changes = {};
    this.joined = ended.joined ?? 0;
    if (ended.turn !== undefined) {
      this.messages = ended.messages ?? [];
      this.#lease.renewed(this.begun.ttl_ms, asked);
      return false;
    }
    this.#lease.isReleased = true;
    await this.#keeper.stop();
    return true;
  }

  /** Pushes a piece of the answer to those who watch with `changes`. Throws TurnLost, Quota. */
  async part(payload: Members): Promise<void> {
    this.#open();
    this.check();
    await this.#asked(verbs.part(this.device, payload, { turn: this.number }));
  }

  async #asked<R>(request: Request<R>): Promise<R> {
    try {
      return await this.#client.ask(request);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** The error of a change: it was refused because the turn does not run any more, say. */
  #failed(error: unknown): unknown {
    if (!isLoss(error)) return error;
    this.#lease.failed(error);
    return this.#lost();
  }

  /** For the keeper of the lease. */
  async renewLease(signal: AbortSignal, timeoutS: number): Promise<void> {
    const client = this.#client.within(Math.min(timeoutS, this.#client.options.timeoutS));
    const asked = new Moment();
    const request = verbs.touch(this.device, { turn: this.number, signal }).withoutReq();
    const touched = await client.ask(request);
    this.joined = touched.joined ?? 0;
    this.#lease.renewed(touched.ttl_ms ?? this.begun.ttl_ms, asked);
  }

  /** The end of a block that has returned: applies what was collected. */
  async finish(): Promise<void> {
    if (this.isOver) return;
    try {
      await this.done({ last: true });
    } catch (error) {
      // If it was refused nothing was applied, and the turn would last until its TTL ends.
      if (error instanceof Refused && this.onError === "end") await this.#abort(error);
      throw error;
    } finally {
      await this.#keeper.stop();
    }
  }

  /** The end of a block that threw an error: ends the turn, and nothing is said. */
  async abandon(error: unknown): Promise<void> {
    await this.#keeper.stop();
    if (!this.isOver && this.onError === "end") await this.#abort(error);
  }

  /** Ends the turn because of an error, which is the one to be thrown; a second one becomes its cause. */
  async #abort(error: unknown): Promise<void> {
    try {
      await this.#client.ask(verbs.done(this.device, null, { turn: this.number, last: true }));
      this.#lease.isReleased = true;
    } catch (second) {
      if (error instanceof Error) error.cause ??= second;
    }
  }

  /** The end of a block: ends the turn unless `done` has, and says nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper.stop();
    if (this.isOver || this.onError === "abandon") return;
    try {
      await this.#client.ask(verbs.done(this.device, null, { turn: this.number, last: true }));
    } catch (error) {
      if (!isLoss(error)) throw error; // if it was lost, it has ended
    }
    this.#lease.isReleased = true;
  }
}

function isLoss(error: unknown): boolean {
  return error instanceof NotFound || error instanceof Stale;
}
