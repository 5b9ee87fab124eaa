// Changes that are sent in the background: written behind, or saved when they pause.
//
// What waits keeps the process, as a call does; it is lost when the process dies.

import type { Client } from "./client.ts";
import { LatchkeyError, Unavailable, UnknownOutcome } from "./errors.ts";
import { type Address, dump, type Duration, seconds } from "./names.ts";
import { Draft, type Outbox, Queue, unknown } from "./outbox.ts";
import type { Request } from "./request.ts";
import type { Members } from "./results.ts";
import type { Under } from "./session.ts";
import { Moment, now, timerMs } from "./time.ts";
import * as verbs from "./verbs.ts";
import { Backoff } from "./waiting.ts";

/** Called for each change that is refused. */
export type OnError = (error: LatchkeyError) => void;

/** Options of `client.writeBehind`. */
export interface WriteBehindOptions {
  /** Beyond so many changes (1,000) QueueFull is thrown. */
  countMax?: number;
  /** Beyond so many bytes (8 MiB) QueueFull is thrown. */
  bytesMax?: number;
  /** Without it the next call throws the error. */
  onError?: OnError;
}

/** Options of `session.autosave`. */
export interface AutoSaveOptions {
  /** Changes are saved when nothing changed for so long (2 s). */
  quiet?: Duration;
  /** And so long after the first of them at the latest (30 s). */
  longest?: Duration;
  /** Without it the next call throws the error. */
  onError?: OnError;
}

/** Sends what an outbox has, until it is closed. */
class Sender {
  readonly #client: Client;
  readonly #outbox: Outbox;
  readonly #onError: OnError | undefined;
  #errors: LatchkeyError[] = [];
  #isClosed = false;
  #flushes = 0;
  #running: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #settled: (() => void)[] = [];
  readonly #stopping = new AbortController();

  constructor(client: Client, outbox: Outbox, onError: OnError | undefined) {
    this.#client = client;
    this.#outbox = outbox;
    this.#onError = onError;
  }

  /** Adds to the outbox. Throws the error of an earlier change that was refused. */
  protected add(add: () => void): void {
    if (this.#isClosed) throw new LatchkeyError("this is closed");
    this.#throw();
    add();
    this.#start();
  }

  #throw(): void {
    const error = this.#errors.shift();
    if (error !== undefined) throw error;
  }

  #start(): void {
    this.#wake();
    this.#running ??= this.#run();
  }

  /** How many changes wait or are being sent. */
  get count(): number {
    return this.#outbox.count;
  }

  /**
   * Returns when all changes are applied.
   *
   * Throws the error of one that was refused; Unavailable if some are left after `timeout` (the
   * client's), which go on being sent.
   */
  async flush(timeout?: Duration): Promise<void> {
    const timeoutS = timeout === undefined ? this.#client.options.timeoutS : seconds(timeout);
    const deadline = now() + timeoutS;
    this.#flushes += 1;
    try {
      while (this.count > 0 && now() < deadline) {
        this.#start();
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timerMs(deadline - now()));
          this.#settled.push(() => {
            clearTimeout(timer);
            resolve();
          });
        });
      }
    } finally {
      this.#flushes -= 1;
    }
    this.#throw();
    if (this.count > 0) {
      throw new Unavailable(`${this.count} changes could not be sent yet`, "unavailable");
    }
  }

  /** Sends what is left, and ends. Throws as `flush`; what is left then is lost. */
  async close(timeout?: Duration): Promise<void> {
    if (this.#isClosed) return;
    try {
      await this.flush(timeout);
    } finally {
      this.#isClosed = true;
      this.#stopping.abort(new LatchkeyError("this is closed"));
      this.#wake();
      await this.#running;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run(): Promise<void> {
    const backoff = new Backoff(false);
    try {
      while (this.count > 0 && !this.#isClosed) {
        const then = now();
        const request = this.#outbox.next(then, this.#flushes > 0);
        if (request !== undefined) {
          this.#outbox.attempt(new Moment());
          await this.#send(request, backoff);
          continue;
        }
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, timerMs(this.#outbox.waitS(then)));
          this.#wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    } finally { // in the same step as the last look: what is added from now on begins anew
      this.#running = undefined;
    }
  }

  async #send(request: Request<unknown>, backoff: Backoff): Promise<void> {
    let refused: LatchkeyError | undefined;
    try {
      if (this.#outbox.isTooLate(new Moment())) throw unknown(request);
      await this.#client.ask(request);
      backoff.reset();
    } catch (error) {
      const isPassing = !(error instanceof LatchkeyError) || // of a function for the secret
        error instanceof Unavailable || error instanceof UnknownOutcome;
      if (isPassing && !this.#outbox.isTooLate(new Moment()) && !this.#client.isClosed) {
        await this.#rest(backoff.failed(error, 1, Math.random()));
        return;
      }
      refused = error instanceof LatchkeyError ? error : unknown(request);
    }
    this.#outbox.settle();
    if (refused !== undefined) this.#report(refused);
    for (const settled of this.#settled.splice(0)) settled();
  }

  async #rest(seconds: number): Promise<void> {
    try {
      await this.#client.rest(seconds, this.#stopping.signal);
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error; // it was closed, or its client
    }
  }

  #report(error: LatchkeyError): void {
    if (this.#onError === undefined) {
      this.#errors.push(error);
      return;
    }
    try {
      this.#onError(error);
    } catch (raised) { // the next call throws the change's error, with this one in it
      error.cause ??= raised;
      this.#errors.push(error);
    }
  }
}

/**
 * A queue of changes that are sent in order while the caller goes on, of `client.writeBehind`. Use
 * `await using`: the end of the block waits until all are applied.
 *
 * Each verb throws QueueFull, and the error of an earlier change that was refused.
 */
export class WriteBehind extends Sender {
  readonly #queue: Queue;

  constructor(client: Client, options: WriteBehindOptions = {}) {
    const { countMax = 1000, bytesMax = 8 << 20, onError } = options;
    const queue = new Queue(countMax, bytesMax);
    super(client, queue, onError);
    this.#queue = queue;
  }

  /** Adds a change, as one of the functions of `verbs` makes it. */
  put(request: Request<unknown>): void {
    this.add(() => this.#queue.put(request));
  }

  say(...given: Parameters<typeof verbs.say>): void {
    this.put(verbs.say(...given));
  }

  set(...given: Parameters<typeof verbs.set>): void {
    this.put(verbs.set(...given));
  }

  setChat(...given: Parameters<typeof verbs.setChat>): void {
    this.put(verbs.setChat(...given));
  }

  touch(...given: Parameters<typeof verbs.touch>): void {
    this.put(verbs.touch(...given));
  }

  link(...given: Parameters<typeof verbs.link>): void {
    this.put(verbs.link(...given));
  }

  unlink(...given: Parameters<typeof verbs.unlink>): void {
    this.put(verbs.unlink(...given));
  }
}

/**
 * Changes of a session's fields that are saved together, of `session.autosave`. Use `await using`: the
 * end of the block saves the rest.
 */
export class AutoSave extends Sender {
  readonly #draft: Draft;

  constructor(client: Client, address: Address, under: Under, options: AutoSaveOptions = {}) {
    const { quiet = 2, longest = 30, onError } = options;
    const draft = new Draft(
      (members) => verbs.set(address, members, under),
      seconds(quiet),
      seconds(longest),
    );
    super(client, draft, onError);
    this.#draft = draft;
  }

  /**
   * Changes members of the fields; null removes one. Returns at once.
   *
   * Throws the error of an earlier save that was refused, and what JSON cannot express.
   */
  set(fields: Members): void {
    const copy: Members = JSON.parse(dump(fields));
    this.add(() => this.#draft.change(copy, now()));
  }

  /** True if all changes are applied. */
  get isSaved(): boolean {
    return this.count === 0;
  }
}
