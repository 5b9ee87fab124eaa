// Workers for tests: a real one, and one that replays a transcript. Needs Node, Deno or Bun.
//
// A transcript is written as the examples of the manual are, so each of them is one:
//
//     > LOCK dev-1 scheduling
//     < HELD {"agent":"billing","ttl_ms":1500}
//
// `>` marks a request. Its options may come in any order, durations in any unit, and a `req=` counts
// only if it is written down. `<` marks the reply, or an `EVENT` that follows it. Placeholders are
// those of the manual: in a reply they become values, and `<text>` the members that a result has
// besides; in a request they match what came.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { createInterface } from "node:readline";

import { Client } from "./client.ts";
import type { ClientOptions } from "./endpoints.ts";
import { seconds } from "./names.ts";
import type { Json, Members } from "./results.ts";
import { LocalSession } from "./stateless.ts";

/** Options of `startWorker`. */
export interface WorkerOptions {
  /** Further flags of `latchkey serve`. */
  options?: readonly string[];
  /** The URL of a Redis, else the worker starts one of its own, which ends with it. */
  redis?: string;
  /** The program, else LATCHKEY_BINARY, else `latchkey` on the PATH. */
  binary?: string;
}

/** A real worker in a temporary folder. Use `await using`, or call `stop`. */
export class TestWorker {
  /** HOST:PORT, for `new Client`; the same after `restart`. */
  to = "127.0.0.1:0";
  readonly #folder: string = fs.mkdtempSync(path.join(os.tmpdir(), "latchkey-"));
  readonly #given: WorkerOptions;
  readonly #onExit = () => {
    this.#process?.kill("SIGKILL");
    fs.rmSync(this.#folder, { recursive: true, force: true });
  };
  #process: ChildProcess | undefined;

  private constructor(given: WorkerOptions) {
    this.#given = given;
    process.once("exit", this.#onExit);
  }

  /** Starts one, and returns once it can serve. Throws Error with its log if it cannot. */
  static async start(given: WorkerOptions = {}): Promise<TestWorker> {
    const worker = new TestWorker(given);
    await worker.restart();
    return worker;
  }

  /** A client of this worker. Close it. */
  client(options: ClientOptions = {}): Client {
    return new Client(this.to, options);
  }

  /** Starts it again on the same port and the same data, after `kill` or `stop`. */
  async restart(): Promise<void> {
    if (this.#process !== undefined) throw new Error("the worker is running");
    const { options = [], redis, binary = process.env.LATCHKEY_BINARY ?? "latchkey" } = this.#given;
    const store = redis === undefined ? ["--data", "data"] : ["--redis", redis];
    const words = ["serve", "--listen", this.to, "--admin", "127.0.0.1:0", ...store, ...options];
    // A worker of a test does not take its settings from the environment.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(LATCHKEY_|REDIS_URL$)/.test(name)),
    );
    const log = path.join(this.#folder, "worker.log");
    const to = fs.openSync(log, "a");
    const made = spawn(binary, words, { cwd: this.#folder, env, stdio: ["ignore", "pipe", to] });
    fs.closeSync(to);
    this.#process = made;
    const { stdout } = made;
    if (stdout === null) throw new Error(`${binary} has no standard output`);
    const failed = new Promise<never>((_resolve, reject) => made.once("error", reject));
    try {
      const lines = createInterface(stdout)[Symbol.asyncIterator]();
      const { value } = await Promise.race([lines.next(), failed]);
      const [, listen] = /^ready .*listen=(\S+)/.exec(value ?? "") ?? [];
      if (listen === undefined) throw new Error(fs.readFileSync(log, "utf8").slice(-2000));
      this.to = listen;
      stdout.resume();
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** Stops it as it is (SIGSTOP), and waits until it stands; its connections stay open. */
  async freeze(): Promise<void> {
    this.#process?.kill("SIGSTOP");
    for (let tried = 0; tried < 1000; tried++) {
      if (stands(this.#process?.pid)) return;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Lets a frozen worker go on. */
  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Kills it (SIGKILL), and waits until it is gone. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Ends it in an orderly way; nothing if it has ended. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const made = this.#process;
    this.#process = undefined;
    if (made === undefined || made.exitCode !== null || made.pid === undefined) return;
    const gone = new Promise((resolve) => made.once("exit", resolve));
    made.kill(signal);
    if (signal === "SIGTERM") made.kill("SIGCONT");
    await gone;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    process.off("exit", this.#onExit);
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** True if a process stands still, or is not there. */
function stands(pid: number | undefined): boolean {
  if (pid === undefined) return true;
  if (process.platform === "linux") {
    try {
      // The state stands behind the name, which is in parentheses and may have some.
      return / [TtZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\)/s, ""));
    } catch {
      return true; // it has ended
    }
  }
  const words = ["-o", "state=", "-p", String(pid)];
  const { stdout } = spawnSync("ps", words, { encoding: "utf8" });
  return !stdout || stdout.trim() === "" || stdout.includes("T");
}

const TOKEN = /(?:[^\s"]+=)?"(?:[^"\\]|\\.)*"|\S+/g;
const OPTION = /^([A-Za-z_][\w.-]*)=(.*)$/s;
const PLACEHOLDER = /<(token|id|at|ms|n|text)(\d*)>/g;
const DURATION = /^\d+(?:ms|s|m|h|d)?$/;
const RECORDS = "OPEN GET RECOVER PAUSE RESUME CLOSE ARCHIVE COPY IMPORT".split(" ");
const GRANTS = ["LOCK", "RENEW", "HANDOFF", "SEIZE"];

/** A request line, taken apart. */
interface Parts {
  verb: string;
  words: string[];
  options: Map<string, string>;
  payload: string;
}

/** A request, and what is sent when it comes. */
interface Step {
  request: string;
  replies: string[];
}

/**
 * A listener that replays a transcript to any number of connections in turn. Use `await using`: the end
 * of the block throws an error unless each request has come as it is written.
 *
 * A request that is not the next one is `ERR bad_request`. A PING that is not written down is answered.
 */
export class Fake {
  /** HOST:PORT, for `new Client`. */
  to = "";
  /** The requests that came. */
  readonly lines: string[] = [];
  readonly #steps: readonly Step[];
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();
  readonly #values = new Map<string, string>();
  #at = 0;
  #made = 0;
  #problem: string | undefined;

  private constructor(transcript: string) {
    this.#steps = parse(transcript);
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  /** Listens. Throws RangeError if the transcript does not begin with a request. */
  static async start(transcript: string): Promise<Fake> {
    const fake = new Fake(transcript);
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    fake.to = `127.0.0.1:${(fake.#server.address() as net.AddressInfo).port}`;
    return fake;
  }

  /** A client of it. Close it. */
  client(options: ClientOptions = {}): Client {
    return new Client(this.to, options);
  }

  /** What a placeholder has stood for, such as `value("token")`. */
  value(placeholder: string): string | undefined {
    return this.#values.get(placeholder);
  }

  /** Throws Error unless each request has come as it is written. */
  check(): void {
    if (this.#problem !== undefined) throw new Error(this.#problem);
    const left = this.#steps[this.#at];
    if (left !== undefined) throw new Error(`this request did not come: ${left.request}`);
  }

  /** Ends it, and its connections. */
  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    this.check();
  }

  #serve(socket: net.Socket): void {
    this.#open.add(socket);
    socket.on("error", () => socket.destroy()).on("close", () => this.#open.delete(socket));
    let text = "";
    socket.setEncoding("utf8").on("data", (data) => {
      const lines = (text + data).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        for (const reply of this.#answer(line)) socket.write(`${reply}\n`);
      }
    });
  }

  #answer(line: string): string[] {
    this.lines.push(line);
    const step = this.#steps[this.#at];
    if (step !== undefined && this.#matches(step.request, line)) {
      this.#at += 1;
      const { verb } = takeApart(line);
      return step.replies.map((reply) => this.#filled(reply, verb));
    }
    if (line === "PING") return ["OK"];
    const problem = `the transcript has ${step?.request ?? "nothing more"}, but ${line} came`;
    this.#problem ??= problem;
    return [`ERR bad_request ${problem}`];
  }

  // Requests.

  #matches(wanted: string, line: string): boolean {
    const [expected, came] = [takeApart(wanted), takeApart(line)];
    if (!expected.options.has("req")) came.options.delete("req");
    const isSame = expected.verb === came.verb && expected.words.length === came.words.length &&
      expected.options.size === came.options.size;
    if (!isSame) return false;
    const pairs = expected.words.map((word, at) => [word, came.words[at]]);
    for (const [name, value] of expected.options) {
      const other = came.options.get(name);
      if (other === undefined) return false;
      pairs.push([value, other]);
    }
    pairs.push([compact(expected.payload), compact(came.payload)]);
    const found = new Map<string, string>();
    if (!pairs.every(([mine, theirs]) => this.#fits(mine, theirs, found))) return false;
    for (const [name, value] of found) this.#values.set(name, value);
    return true;
  }

  /** Whether a part of a request is as written; placeholders get their values in `found`. */
  #fits(wanted: string, came: string, found: Map<string, string>): boolean {
    if (wanted === came) return true;
    if (DURATION.test(wanted) && DURATION.test(came)) return seconds(wanted) === seconds(came);
    const names: string[] = [];
    let [pattern, end] = ["", 0];
    for (const match of wanted.matchAll(PLACEHOLDER)) {
      const name = match[1] + match[2];
      const known = this.#values.get(name) ?? found.get(name);
      pattern += escaped(wanted.slice(end, match.index));
      pattern += known === undefined ? "(.*)" : `(${escaped(known)})`;
      names.push(name);
      end = match.index + match[0].length;
    }
    const matched = new RegExp(`^${pattern}${escaped(wanted.slice(end))}$`, "s").exec(came);
    if (matched === null) return false;
    for (const [at, name] of names.entries()) {
      if (/^(token|id|at)\d*$/.test(name)) found.set(name, matched[at + 1]);
    }
    return true;
  }

  // Replies.

  #filled(reply: string, verb: string): string {
    const filled = reply.replace(
      PLACEHOLDER,
      (_all, kind, number) => this.#standIn(kind, number),
    );
    const word = filled.split(" ", 1)[0];
    if (word === "ERR" || !filled.includes("<text>")) return filled.replaceAll("<text>", "…");
    const rest = filled.slice(word.length).replace(/:\s*<text>/g, ":null").replaceAll("<text>", "")
      .trim().replace(/([{[])\s*,/g, "$1").replace(/,\s*([}\],])/g, "$1");
    const given = closed(rest === "" ? "{}" : rest);
    const isObject = word === "OK" && !Array.isArray(given);
    return `${word} ${JSON.stringify(isObject ? { ...this.#members(verb), ...given } : given)}`;
  }

  /** The members that the results of a verb have. */
  #members(verb: string): Members {
    if (RECORDS.includes(verb)) {
      const { how: _how, stateless: _, ...record } = new LocalSession("dev-1").record();
      return { ...record, session: this.#next("id"), thread: null };
    }
    const ttl_ms = 60_000;
    if (GRANTS.includes(verb)) {
      const token = Number(this.#next("token"));
      return { agent: "a", token, ttl_ms, acquired_at: Date.now(), renewed: false };
    }
    if (verb !== "TURN") return {};
    const begun = { turn: Number(this.#next("token")), ttl_ms, chat: 1, seq: 1, messages: [] };
    const session = { session: this.#next("id"), how: "new", fields: {}, phase: null, step: null };
    return { ...begun, ...session, more: false, waited_ms: 0 };
  }

  #standIn(kind: string, number: string): string {
    if (kind === "text") return "<text>";
    if (kind === "ms" || kind === "n") return "1";
    const name = kind + number;
    const value = this.#values.get(name) ?? this.#next(kind);
    this.#values.set(name, value);
    return value;
  }

  /** A value that was not given out before. */
  #next(kind: string): string {
    this.#made += 1;
    if (kind === "token") return String(1_795_233_877_565_000 + this.#made);
    return kind === "id"
      ? `01KAZ0${String(this.#made).padStart(20, "0")}`
      : String(Date.now() + this.#made);
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** The value of JSON, to which the ends may be missing that a `<text>` stood for. */
function closed(text: string): Json {
  for (let missing = 0; missing < 8; missing++) {
    try {
      return JSON.parse(text + "}".repeat(missing));
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
  return JSON.parse(text);
}

function compact(payload: string): string {
  try {
    return payload === "" ? "" : JSON.stringify(JSON.parse(payload));
  } catch {
    return payload; // it has placeholders
  }
}

function takeApart(line: string): Parts {
  const tokens = [...line.matchAll(TOKEN)];
  const parts: Parts = {
    verb: tokens[0]?.[0].toUpperCase() ?? "",
    words: [],
    options: new Map(),
    payload: "",
  };
  for (const { 0: token, index } of tokens.slice(1)) {
    if (token.startsWith("{") || token.startsWith("[")) {
      parts.payload = line.slice(index);
      break;
    }
    const option = OPTION.exec(token);
    if (option !== null) parts.options.set(option[1].toLowerCase(), bare(option[2]));
    else parts.words.push(bare(token));
  }
  return parts;
}

function bare(token: string): string {
  try {
    return token.startsWith('"') ? JSON.parse(token) : token;
  } catch {
    return token; // a lone quote
  }
}

function parse(transcript: string): Step[] {
  const steps: Step[] = [];
  for (const line of transcript.split("\n").map((one) => one.trim())) {
    if (line.startsWith("> ")) steps.push({ request: line.slice(2), replies: [] });
    else if (line.startsWith("< ")) {
      const step = steps.at(-1);
      if (step === undefined) throw new RangeError("a transcript begins with a request, '> …'");
      step.replies.push(line.slice(2));
    }
  }
  if (steps.length === 0) throw new RangeError("the transcript has no request, '> …'");
  return steps;
}
