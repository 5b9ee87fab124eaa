// The interfaces of the frameworks that have adapters, written from their documentation: what a
// program with the framework would check the adapters against, and the least of their classes.

// deno-lint-ignore no-explicit-any -- as the frameworks have it
type Any = any;

// --- @openai/agents-core 0.20

export interface AgentInputItem {
  type?: string;
  role?: string;
  content?: unknown;
}

export interface Session {
  getSessionId(): Promise<string>;
  getItems(limit?: number): Promise<AgentInputItem[]>;
  addItems(items: AgentInputItem[]): Promise<void>;
  popItem(): Promise<AgentInputItem | undefined>;
  clearSession(): Promise<void>;
}

export type SessionHistoryTransaction =
  | { type: "append_items"; items: AgentInputItem[] }
  | { type: "replace_suffix"; expectedSuffix: AgentInputItem[]; replacement: AgentInputItem[] };

export interface SessionHistoryTransactionAwareSession extends Session {
  applyHistoryTransaction(args: {
    operationId: string;
    transaction: SessionHistoryTransaction;
  }): Promise<void>;
}

// --- @langchain/langgraph-checkpoint 1

export interface RunnableConfig {
  configurable?: Record<string, Any>;
  tags?: string[];
}

export interface Checkpoint {
  v: number;
  id: string;
  ts: string;
  channel_values: Record<string, unknown>;
  channel_versions: Record<string, number | string>;
  versions_seen: Record<string, Record<string, number | string>>;
}

export interface CheckpointMetadata {
  source: "input" | "loop" | "update" | "fork";
  step: number;
  parents: Record<string, string>;
}

export interface CheckpointTuple {
  config: RunnableConfig;
  checkpoint: Checkpoint;
  metadata?: CheckpointMetadata;
  parentConfig?: RunnableConfig;
  pendingWrites?: [string, string, unknown][];
}

export interface SerializerProtocol {
  dumpsTyped(data: Any): Promise<[string, Uint8Array]>;
  loadsTyped(type: string, data: Uint8Array | string): Promise<Any>;
}

/** As the default serializer, for values that are JSON or bytes. */
class Serializer implements SerializerProtocol {
  dumpsTyped(data: Any): Promise<[string, Uint8Array]> {
    return Promise.resolve(
      data instanceof Uint8Array
        ? ["bytes", data]
        : ["json", new TextEncoder().encode(JSON.stringify(data))],
    );
  }

  loadsTyped(type: string, data: Uint8Array | string): Promise<Any> {
    if (type === "bytes") return Promise.resolve(data);
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    return Promise.resolve(JSON.parse(text));
  }
}

export abstract class BaseCheckpointSaver<V extends string | number = number> {
  serde: SerializerProtocol = new Serializer();

  constructor(serde?: SerializerProtocol) {
    this.serde = serde || this.serde;
  }

  async get(config: RunnableConfig): Promise<Checkpoint | undefined> {
    return (await this.getTuple(config))?.checkpoint;
  }

  abstract getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined>;
  abstract list(
    config: RunnableConfig,
    options?: { limit?: number; before?: RunnableConfig; filter?: Record<string, Any> },
  ): AsyncGenerator<CheckpointTuple>;
  abstract put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions: Record<string, number | string>,
  ): Promise<RunnableConfig>;
  abstract putWrites(
    config: RunnableConfig,
    writes: [string, unknown][],
    taskId: string,
  ): Promise<void>;
  abstract deleteThread(threadId: string): Promise<void>;

  getNextVersion(current: V | undefined): V {
    return (typeof current === "number" ? current + 1 : 1) as V;
  }
}

export abstract class BaseCache<V = unknown> {
  serde: SerializerProtocol = new Serializer();

  constructor(serde?: SerializerProtocol) {
    this.serde = serde || this.serde;
  }

  abstract get(keys: [string[], string][]): Promise<{ key: [string[], string]; value: V }[]>;
  abstract set(pairs: { key: [string[], string]; value: V; ttl?: number }[]): Promise<void>;
  abstract clear(namespaces: string[][]): Promise<void>;
}

export interface StoreItem {
  value: Record<string, Any>;
  key: string;
  namespace: string[];
  createdAt: Date;
  updatedAt: Date;
}

export type StoreOperation =
  | { namespace: string[]; key: string }
  | {
    namespacePrefix: string[];
    filter?: Record<string, Any>;
    limit?: number;
    offset?: number;
    query?: string;
  }
  | {
    namespace: string[];
    key: string;
    value: Record<string, Any> | null;
    index?: false | string[];
  }
  | {
    matchConditions?: { matchType: "prefix" | "suffix"; path: string[] }[];
    maxDepth?: number;
    limit: number;
    offset: number;
  };

export abstract class BaseStore {
  abstract batch<Op extends StoreOperation[]>(operations: Op): Promise<Any>;

  async get(namespace: string[], key: string): Promise<StoreItem | null> {
    return (await this.batch([{ namespace, key }]))[0];
  }

  async search(
    namespacePrefix: string[],
    options: { filter?: Record<string, Any>; limit?: number; offset?: number } = {},
  ): Promise<StoreItem[]> {
    return (await this.batch([{ namespacePrefix, limit: 10, offset: 0, ...options }]))[0];
  }

  async put(namespace: string[], key: string, value: Record<string, Any>): Promise<void> {
    await this.batch([{ namespace, key, value }]);
  }

  async delete(namespace: string[], key: string): Promise<void> {
    await this.batch([{ namespace, key, value: null }]);
  }

  async listNamespaces(
    options: { prefix?: string[]; suffix?: string[]; maxDepth?: number } = {},
  ): Promise<string[][]> {
    const matchConditions = (["prefix", "suffix"] as const)
      .filter((matchType) => options[matchType] !== undefined)
      .map((matchType) => ({ matchType, path: options[matchType] ?? [] }));
    const { maxDepth } = options;
    return (await this.batch([{ matchConditions, maxDepth, limit: 100, offset: 0 }]))[0];
  }
}

// --- @microsoft/agents-hosting 1.8

export interface StorageResult {
  key: string;
  status: string;
  version?: string;
}

export abstract class StorageV2 {
  abstract read<T = Any>(keys: string[]): Promise<Record<string, StorageResult & { value?: T }>>;
  abstract write<T extends object>(
    changes: Record<string, T>,
    options?: { mode?: string; expectedVersion?: string; ttl?: number },
  ): Promise<Record<string, StorageResult>>;
  abstract delete(
    keys: string[],
    options?: { expectedVersion?: string },
  ): Promise<Record<string, StorageResult>>;
}

// --- express-session 1.19

export interface SessionData {
  cookie: { expires?: Date | null; originalMaxAge: number | null };
  [member: string]: Any;
}

export abstract class ExpressStore {
  /** The framework makes its own object of what a store has found. */
  createSession(_request: object, data: SessionData): SessionData {
    const { expires } = data.cookie;
    return { ...data, cookie: { ...data.cookie, expires: expires && new Date(expires) } };
  }

  abstract get(sid: string, callback: (error: Any, session?: SessionData | null) => void): void;
  abstract set(sid: string, session: SessionData, callback?: (error?: Any) => void): void;
  abstract destroy(sid: string, callback?: (error?: Any) => void): void;
}

// --- express 5, hono 4: routes with the bytes of a body

export interface ExpressRequest {
  body: Any;
  get(name: string): string | undefined;
}

export interface ExpressResponse {
  sendStatus(status: number): unknown;
}

type ExpressHandler = (request: ExpressRequest, response: ExpressResponse) => unknown;

/** An application that has one route: `handle` is what its server would call. */
export interface ExpressApp {
  post(path: string, parser: "raw", handler: ExpressHandler): void;
  handle: ExpressHandler;
}

export function express(): ExpressApp {
  const app: ExpressApp = {
    post: (_path, _parser, handler) => app.handle = handler,
    handle: () => undefined,
  };
  return app;
}

express.raw = (_options: { type: string; limit: string }): "raw" => "raw";

export interface HonoContext {
  req: { arrayBuffer(): Promise<ArrayBuffer>; header(name: string): string | undefined };
  body(data: null, status: number): Response;
}

export class Hono {
  #handler: (c: HonoContext) => Promise<Response> = () => Promise.reject(new Error("no route"));

  post(_path: string, handler: (c: HonoContext) => Promise<Response>): void {
    this.#handler = handler;
  }

  fetch(request: Request): Promise<Response> {
    return this.#handler({
      req: {
        arrayBuffer: () => request.arrayBuffer(),
        header: (name) => request.headers.get(name) ?? undefined,
      },
      body: (data, status) => new Response(data, { status }),
    });
  }
}
