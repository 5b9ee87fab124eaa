// What the tests share: workers of their own, real and scripted, and one way to wait.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { createInterface } from "node:readline";

import { Client, type ClientOptions } from "../src/index.ts";

export const ROOT: string = path.resolve(import.meta.dirname ?? ".", "../../..");

for (const name of Object.keys(process.env)) {
  if (/^LATCHKEY_(TO$|SECRET|TLS)/.test(name)) delete process.env[name];
}

/** The worker's program. */
export const BINARY: string = process.env.LATCHKEY_BINARY ??
  path.join(ROOT, ".build/debug/latchkey");

const atExit: (() => void)[] = [];
process.on("exit", () => atExit.forEach((clean) => clean()));

/** A folder that is removed at the end of the process. */
export function folder(): string {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), "latchkey-ts-"));
  atExit.push(() => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

/** The first true value of a function that is asked again and again. */
export async function eventually<T>(what: () => T | Promise<T>, withinS = 10): Promise<T> {
  const deadline = Date.now() + withinS * 1000;
  while (true) {
    const value = await what();
    if (value) return value;
    if (Date.now() > deadline) throw new Error("it did not become true in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A real worker with a Redis of its own. Use it with `await using`, or call `stop`. */
export class Worker {
  to = "127.0.0.1:0";
  /** The origin of its HTTP, with the option `--http`. */
  http = "";
  readonly #folder = folder();
  readonly #options: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(options: readonly string[]) {
    this.#options = options;
    atExit.unshift(() => this.#process?.kill("SIGKILL"));
  }

  static async start(...options: string[]): Promise<Worker> {
    const worker = new Worker(["--data", "data", ...options]);
    await worker.restart();
    return worker;
  }

  /** Starts it; after its end on the same ports and data. */
  async restart(): Promise<void> {
    const log = fs.openSync(path.join(this.#folder, "worker.log"), "a");
    const known = this.http.slice("http://".length);
    const options = this.#options.map((option, at) =>
      this.#options[at - 1] === "--http" ? known || option : option
    );
    const words = ["serve", "--listen", this.to, "--admin", "127.0.0.1:0", ...options];
    const env = Object.fromEntries(
      Object.entries(process.env).filter(([name]) => !/^(LATCHKEY_|REDIS_URL)/.test(name)),
    );
    const started = spawn(BINARY, words, {
      cwd: this.#folder,
      env,
      stdio: ["ignore", "pipe", log],
    });
    fs.closeSync(log);
    this.#process = started;
    for await (const line of createInterface(started.stdout!)) {
      this.to = /listen=(\S+)/.exec(line)?.[1] ?? "";
      const http = /http=(\S+)/.exec(line)?.[1];
      if (http !== undefined) this.http = `http://${http}`;
      if (this.to !== "") return;
    }
    throw new Error(fs.readFileSync(path.join(this.#folder, "worker.log"), "utf8").slice(-2000));
  }

  client(options: ClientOptions = {}): Client {
    return new Client(this.to, options);
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  /** Ends it by a signal, and waits until it is gone. */
  async end(name: NodeJS.Signals): Promise<void> {
    const ended = this.#process;
    this.#process = undefined;
    if (ended === undefined || ended.exitCode !== null) return;
    const gone = new Promise((resolve) => ended.once("exit", resolve));
    ended.kill(name);
    if (name === "SIGTERM") ended.kill("SIGCONT");
    await gone;
  }

  kill(): Promise<void> {
    return this.end("SIGKILL");
  }

  stop(): Promise<void> {
    return this.end("SIGTERM");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A reply; null for a connection that ends without one; undefined for no reply at all. */
export type Scripted = string | null | undefined;

/**
 * A worker of the test's own, which answers as it is scripted to, over any number of connections.
 * AUTH is answered by `auth`.
 */
export class ScriptedWorker {
  to = "";
  connections = 0;
  /** How many connections the client has ended. */
  ended = 0;
  /** The lines that came, AUTH included. */
  readonly lines: string[] = [];
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();

  private constructor(script: Scripted[], auth: string[]) {
    this.#server = net.createServer((socket) => {
      this.connections += 1;
      this.#open.add(socket);
      socket.on("error", () => undefined).on("close", () => {
        this.ended += 1;
        this.#open.delete(socket);
      });
      // `createInterface` also knows U+2028 as the end of a line.
      let text = "";
      socket.setEncoding("utf8").on("data", (data) => {
        const lines = (text + data).split("\n");
        text = lines.pop() ?? "";
        for (const line of lines) {
          this.lines.push(line);
          const reply = line.startsWith("AUTH ") ? auth.shift() : script.shift();
          if (reply === null) socket.destroy();
          else if (reply !== undefined) socket.write(`${reply}\n`);
        }
      });
    });
  }

  static async start(script: Scripted[], auth: string[] = []): Promise<ScriptedWorker> {
    const worker = new ScriptedWorker([...script], [...auth]);
    await new Promise<void>((resolve) => worker.#server.listen(0, "127.0.0.1", resolve));
    worker.to = `127.0.0.1:${(worker.#server.address() as net.AddressInfo).port}`;
    return worker;
  }

  /** Sends a line on each connection. */
  push(line: string): void {
    for (const socket of this.#open) socket.write(`${line}\n`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** A relay to HOST:PORT that can cut all its connections, in the middle of whatever they carry. */
export class Relay {
  to = "";
  cuts = 0;
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();

  private constructor(to: string) {
    const [host, port] = to.split(":");
    this.#server = net.createServer((near) => {
      const far = net.connect(Number(port), host);
      for (const [one, other] of [[near, far], [far, near]]) {
        this.#open.add(one);
        one.on("error", () => one.destroy());
        one.on("close", () => {
          this.#open.delete(one);
          other.destroy();
        });
      }
      near.pipe(far);
      // One byte at first: a reply may be cut in its middle.
      far.on("data", (data: Uint8Array) => {
        near.write(data.subarray(0, 1));
        setImmediate(() => near.write(data.subarray(1)));
      });
    });
  }

  static async start(to: string): Promise<Relay> {
    const relay = new Relay(to);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    relay.to = `127.0.0.1:${(relay.#server.address() as net.AddressInfo).port}`;
    return relay;
  }

  cut(): void {
    this.cuts += this.#open.size;
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** What a promise throws. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

/** The next entries of an iterator, which stays open. */
export async function next<T>(events: AsyncGenerator<T, void>, count: number): Promise<T[]> {
  const found: T[] = [];
  while (found.length < count) {
    const { done, value } = await events.next();
    if (done) break;
    found.push(value as T);
  }
  return found;
}

/** Runs a program to its end. */
export function run(program: string, words: string[], options: object = {}): string {
  const done = spawnSync(program, words, { encoding: "utf8", ...options });
  if (done.status !== 0) {
    throw new Error(`${program} ${words.join(" ")}: ${done.error ?? done.stdout + done.stderr}`);
  }
  return done.stdout;
}

/** The program that a page's blocks are, with imports at its top. */
export function program(page: string): string {
  const text = fs.readFileSync(path.join(ROOT, page), "utf8");
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((found) => found[1]).join("\n");
  // Frameworks are not installed: what stands for them has their interfaces.
  const framework = JSON.stringify(path.join(ROOT, "clients/typescript/test/frameworks.ts"));
  const defaults = blocks.includes('from "express-session"')
    ? `import { ExpressStore } from ${framework};\nconst session_ = { Store: ExpressStore };\n`
    : blocks.includes('from "express"')
    ? `import { express } from ${framework};\n`
    : "";
  const imports = [...blocks.matchAll(/^import \{([^}]*)\} from "([^"]+)";\n/gm)];
  const named = new Map<string, Set<string>>();
  for (const [, names, from] of imports) {
    const known = named.get(from) ?? new Set<string>();
    for (const name of names.split(",")) known.add(name.trim());
    named.set(from, known);
  }
  const top = [...named].map(([from, names]) => {
    const file = from.replace(/^latchkey(\/|$)/, "");
    const source = path.join(ROOT, "clients/typescript/src", `${file || "index"}.ts`);
    const where = from.startsWith("latchkey") ? JSON.stringify(source) : framework;
    return `import { ${[...names].join(", ")} } from ${where};\n`;
  });
  const rest = blocks.replace(/^import (\{[^}]*\}|session_|express) from .*\n/gm, "");
  return top.join("") + defaults + rest;
}
