// What an adapter says in a turn that collects: it is known here, and applied when the turn ends.
//
// The messages that TURN has returned, and those that are said in the function, answer what the
// framework reads of the chat meanwhile. Any other request for the device first has what was collected
// said.

import { address, dump, encodeId, type Where } from "./names.ts";
import type { Request } from "./request.ts";
import type { Members, Message, Said } from "./results.ts";
import type { Turn } from "./turn.ts";
import * as verbs from "./verbs.ts";

/** More characters are not collected: DONE takes 1 MiB. */
const CHARS_MAX = 300_000;

const PLAIN = new Set(["req", "token", "turn"]);

/** What is known of a turn's chat, and what its end will say. */
export class Collected {
  readonly #turn: Turn;
  readonly #isWhole: boolean;
  readonly #seq: number;
  readonly #chats: ReadonlySet<string>;
  /** The newest messages as they are in Redis, or undefined if that is not known any more. */
  #known: readonly Message[] | undefined;
  #saying: Request<Said> | undefined;
  #count = 0;

  constructor(turn: Turn) {
    const device = encodeId(turn.device);
    this.#turn = turn;
    this.#known = [...turn.messages];
    this.#isWhole = !turn.begun.more;
    this.#seq = turn.messages.at(-1)?.seq ?? 0;
    this.#chats = new Set([device, `${device}/current`, `${device}/current/current`]);
  }

  /** The messages that wait for the end of the turn. */
  #pending(): readonly Members[] {
    const { unsaid } = this.#turn;
    if (unsaid.length < this.#count) this.#known = undefined; // the turn was ended, or went on
    this.#count = unsaid.length;
    return unsaid;
  }

  /** Collects a request that only says messages, and returns its result; else undefined. */
  takes(request: Request<unknown>): Said | undefined {
    const isPlain = request.verb === "SAY" && this.#chats.has(request.words[0]) &&
      [...request.options.keys()].every((name) => PLAIN.has(name));
    if (!isPlain || this.#turn.isOver || this.#saying !== undefined) return undefined;
    const payload = JSON.parse(request.payload ?? "[]");
    const said: Members[] = Array.isArray(payload) ? payload : [payload];
    if (dump([...this.#pending(), ...said]).length > CHARS_MAX) return undefined;
    this.#turn.check();
    this.#turn.say(said);
    this.#count += said.length;
    return { seq: this.#seq + this.#count, chat: this.#turn.begun.chat };
  }

  /** The newest `last` messages, or all; undefined if they have to be read. */
  messages(where: Where, last?: number): Message[] | undefined {
    if (!this.#chats.has(address(where)) || this.#turn.isOver) return undefined;
    const pending = this.#pending();
    if (this.#known === undefined || this.#known.some((one) => one.message === null)) {
      return undefined;
    }
    const at = Date.now();
    const added = pending.map((message, n) => ({
      seq: this.#seq + n + 1,
      at,
      message: JSON.parse(dump(message)),
    }));
    const found = [...this.#known, ...added];
    if (!this.#isWhole && (last === undefined || found.length < last)) return undefined;
    return last === undefined ? found : found.slice(-last);
  }

  /**
   * The request that says what was collected, before another one for the device: the same until
   * `said`, so that it is applied once.
   */
  saying(): Request<Said> | undefined {
    const pending = this.#pending();
    if (this.#saying === undefined && pending.length > 0 && !this.#turn.isOver) {
      this.#saying = verbs.say(this.#turn.device, pending, { turn: this.#turn.number });
    }
    return this.#saying;
  }

  /** That request, if it was sent and its outcome is not known. */
  get unknown(): Request<Said> | undefined {
    return this.#saying;
  }

  /** It was carried out, or there was nothing to say. What follows may change the chat. */
  said(): void {
    if (this.#saying !== undefined) this.#turn.forgetUnsaid(this.#count);
    this.#saying = undefined;
    this.#known = undefined;
    this.#count = 0;
  }
}
