// Where the workers are, and what a client is configured with.

import { dump, type Duration, seconds, word } from "./names.ts";

/** A text, or a function that returns it. */
export type Secret = string | (() => string | Promise<string>);

/** The files of TLS, in PEM: paths, or their texts. Files are read again when they have changed. */
export interface TLS {
  /** The authorities of the workers' certificates; without it those of the system. */
  ca?: string;
  /** The caller's certificate, where the workers want one (`--tls-client-ca`). */
  cert?: string;
  /** Its private key. */
  key?: string;
}

/** The parameters of a client. */
export interface ClientOptions {
  /**
   * `HOST:PORT,...`, or URLs of workers' HTTP (`https://HOST:PORT`) where there are no sockets; else
   * LATCHKEY_TO, else 127.0.0.1:5282.
   */
  to?: string | readonly string[];
  /**
   * A principal's secret for AUTH, or a function that returns it: called for each new connection, so
   * also when a token has expired. Else LATCHKEY_SECRET, else none. What the function throws, the
   * call throws.
   */
  secret?: Secret;
  /** In place of a secret: a JWT, for `AUTH jwt`. */
  jwt?: Secret;
  /** In place of a secret: a ticket, for `AUTH ticket`. */
  ticket?: Secret;
  /** TLS to the workers, or its files; else LATCHKEY_TLS and its like, else plain connections. */
  tls?: boolean | TLS;
  /** For a call with all its attempts (5 s), without the time of `wait`. */
  timeout?: Duration;
  /** For each attempt (1 s): more than the workers' `--request-timeout`. */
  replyTimeout?: Duration;
  /**
   * A connection that was idle for longer (60 s) is not used again: less than the workers'
   * `--idle-timeout`, and than what a network between forgets.
   */
  idle?: Duration;
  /** In place of the platform's `fetch`, for URLs. */
  fetch?: typeof fetch;
}

export const DEFAULT = "127.0.0.1:5282";
const DEFAULT_PORT = 5282;

/** A worker, or a balancer in front of workers. */
export class Endpoint {
  readonly host: string;
  readonly port: number;
  /** The origin of its HTTP, without a slash at the end; undefined for lines over a socket. */
  readonly origin: string | undefined;

  constructor(host: string, port: number, origin?: string) {
    this.host = host;
    this.port = port;
    this.origin = origin;
  }

  toString(): string {
    if (this.origin !== undefined) return this.origin;
    return this.host.includes(":") ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }
}

/**
 * `HOST:PORT,...` or several; the port is 5282 unless given. Or URLs, `http://` or `https://`.
 *
 * Throws RangeError if there is none, or one is malformed.
 */
export function parseEndpoints(given: string | readonly string[]): Endpoint[] {
  const parts = typeof given === "string" ? given.split(",") : given;
  const found = parts.map((part) => part.trim()).filter((part) => part !== "").map(parse);
  if (found.length === 0) {
    throw new RangeError("LATCHKEY_TO, or to, names no worker: HOST:PORT,...");
  }
  return found;
}

function parse(text: string): Endpoint {
  if (/^https?:\/\//.test(text)) {
    const url = new URL(text);
    const path = url.pathname.replace(/\/+$/, "");
    return new Endpoint(url.hostname, Number(url.port), url.origin + path);
  }
  const [, inBrackets, bare, digits] =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text) ?? [];
  const host = inBrackets ?? bare;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (host === undefined || port < 1 || port > 65535) {
    const advice = text.split(":").length > 2 ? ": an IPv6 address stands in brackets" : "";
    throw new RangeError(`${JSON.stringify(text)} is not HOST:PORT${advice}`);
  }
  return new Endpoint(host, port);
}

/** The workers in order, and the one that new connections go to. */
export class Endpoints {
  readonly #found: readonly Endpoint[];
  #current: number;

  constructor(found: readonly Endpoint[], first: number) {
    this.#found = found;
    this.#current = first % found.length;
  }

  get length(): number {
    return this.#found.length;
  }

  /** The one that is tried next. */
  get current(): Endpoint {
    return this.#found[this.#current];
  }

  /** Goes on to the next, unless another call has done so. */
  failed(endpoint: Endpoint): void {
    if (this.current === endpoint) this.#current = (this.#current + 1) % this.#found.length;
  }
}

/** What a client is configured with, resolved. */
export interface Resolved {
  readonly endpoints: Endpoints;
  readonly secret: Secret | undefined;
  /** How AUTH calls the secret: `jwt`, `ticket`, or empty for a principal's. */
  readonly kind: string;
  readonly timeoutS: number;
  readonly replyS: number;
  readonly idleS: number;
  /** Undefined for plain connections. */
  readonly tls: TLS | undefined;
  readonly fetch: typeof fetch;
}

const ON = new Set(["1", "yes", "true", "on"]);
const OFF = new Set(["", "0", "no", "false", "off"]);

type Environment = Record<string, string | undefined>;

/** The variables of the process; none where there is no such thing. */
export function environment(): Environment {
  const { process } = globalThis as { process?: { env?: Environment } };
  return process?.env ?? {};
}

function tlsOf(given: boolean | TLS | undefined, env: Environment): TLS | undefined {
  if (given === false) return undefined;
  if (typeof given === "object") return given;
  const named = (env.LATCHKEY_TLS ?? "").toLowerCase();
  if (!ON.has(named) && !OFF.has(named)) {
    throw new RangeError(`LATCHKEY_TLS is yes or no, not ${JSON.stringify(named)}`);
  }
  const files: TLS = {
    ca: env.LATCHKEY_TLS_CA || undefined,
    cert: env.LATCHKEY_TLS_CLIENT_CERT || undefined,
    key: env.LATCHKEY_TLS_CLIENT_KEY || undefined,
  };
  return given || ON.has(named) || files.ca || files.cert ? files : undefined;
}

/**
 * What a client uses: what is not given comes from the environment.
 *
 * Throws RangeError if `to` is malformed, or there is more than one secret.
 */
export function resolve(options: ClientOptions, env: Environment = environment()): Resolved {
  const found = parseEndpoints(options.to ?? (env.LATCHKEY_TO || DEFAULT));
  if (new Set(found.map((one) => one.origin === undefined)).size > 1) {
    throw new RangeError("to names workers by HOST:PORT or by URLs, not by both");
  }
  const secrets = Object.entries({ "": options.secret, jwt: options.jwt, ticket: options.ticket })
    .filter((entry): entry is [string, Secret] => entry[1] !== undefined);
  if (secrets.length > 1) throw new RangeError("secret, jwt and ticket exclude each other");
  const [kind, secret] = secrets[0] ?? ["", env.LATCHKEY_SECRET || undefined];
  const isHttp = found[0].origin !== undefined;
  if (isHttp && typeof options.tls === "object") {
    throw new RangeError("tls has no files for URLs: the platform's fetch has its own authorities");
  }
  return {
    endpoints: new Endpoints(found, Math.floor(Math.random() * found.length)),
    secret,
    kind,
    timeoutS: seconds(options.timeout ?? 5),
    replyS: seconds(options.replyTimeout ?? 1),
    idleS: seconds(options.idle ?? 60),
    tls: isHttp ? undefined : tlsOf(options.tls, env),
    fetch: options.fetch ?? ((...given) => fetch(...given)),
  };
}

/** The secret of a connection that is made now. Throws TypeError for what is no text. */
export async function secretOf(options: Resolved): Promise<string | undefined> {
  const { secret } = options;
  if (secret === undefined) return undefined;
  const text: unknown = typeof secret === "function" ? await secret() : secret;
  if (typeof text !== "string" || text === "") {
    const name = options.kind || "secret";
    throw new TypeError(`${name} is a non-empty string, or a function that returns one`);
  }
  return text;
}

/** The line that authenticates a connection. */
export function authLine(secret: string, kind: string): string {
  return kind === "" ? `AUTH ${dump(secret)}` : `AUTH ${kind} ${word(secret)}`;
}

/** The longest text that is sent in one write with AUTH: before it, a worker takes 4 KiB. */
export const AUTH_PIPELINED_MAX = 1024;
