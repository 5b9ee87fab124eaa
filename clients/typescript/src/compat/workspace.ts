// The workspace's browser side: SessionApiClient, which calls the routes of the service, and
// SessionContext, which recovers a session, saves it, and keeps changes while there is no network.
//
// Nothing here speaks to a worker: the routes are those of `latchkey.compat.workspace_routes`.

export type SessionStatus = "active" | "completed" | "abandoned" | "archived";

// deno-lint-ignore no-explicit-any
type Metadata = Record<string, any>;

export interface ChatMessage {
  seq: number;
  at: string;
  // deno-lint-ignore no-explicit-any
  [member: string]: any;
}

/** A session as the routes show it; times are ISO 8601. */
export interface UserSession {
  id: string;
  user_id: number | string;
  name: string | null;
  status: SessionStatus;
  chat_id: string | null;
  mission_id: string | null;
  session_metadata: Metadata;
  created_at: string;
  updated_at: string;
  last_activity_at: string;
  /** The newest messages, oldest first, where a session was read with them. */
  chat_messages?: ChatMessage[];
}

export interface CreateUserSessionRequest {
  name?: string;
  session_metadata?: Metadata;
}

export interface CreateUserSessionResponse {
  session: UserSession;
}

/** Metadata is merged; null removes a member. */
export interface UpdateUserSessionRequest {
  name?: string;
  session_metadata?: Metadata;
  status?: SessionStatus;
  mission_id?: string;
}

/** A response that is no success; `status` is 0 if none came. */
export class SessionApiError extends Error {
  override readonly name = "SessionApiError";
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.status = status;
  }

  /** True if the same request may succeed when it is sent again. */
  get canRetry(): boolean {
    return [0, 502, 503, 504].includes(this.status);
  }
}

export interface SessionApiOptions {
  /** Where the routes are; `/api/sessions`. */
  baseUrl?: string;
  /** The user's bearer token, asked for at each request. */
  getToken?: () => string | null | Promise<string | null>;
  /** Milliseconds for an attempt; 5,000. */
  timeout?: number;
  /** Attempts of a request; 3. */
  attempts?: number;
  /** Milliseconds before the second attempt, then twice as long each time; 200. */
  pause?: number;
  fetch?: typeof fetch;
}

/** Calls the routes. Each request is made once, however often it is sent. */
export class SessionApiClient {
  readonly #options: SessionApiOptions;

  constructor(options: SessionApiOptions = {}) {
    this.#options = options;
  }

  /** A new session. Throws SessionApiError. */
  createSession(request: CreateUserSessionRequest): Promise<CreateUserSessionResponse> {
    return this.#ask("POST", "/", request);
  }

  /** As `createSession`. */
  initializeSession(name?: string): Promise<CreateUserSessionResponse> {
    return this.createSession({ name });
  }

  /** The session that was active last, with its messages; null without a live one. */
  getActiveSession(): Promise<UserSession | null> {
    return this.#ask("GET", "/active");
  }

  /** A session in any state, with its messages, or null. */
  async getSession(sessionId: string): Promise<UserSession | null> {
    try {
      return await this.#ask("GET", `/${encodeURIComponent(sessionId)}`);
    } catch (error) {
      if (error instanceof SessionApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** The user's sessions, newest first. */
  async listSessions(
    options: { status?: SessionStatus; limit?: number } = {},
  ): Promise<UserSession[]> {
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
    const page = await this.#ask<{ sessions: UserSession[] }>("GET", `/?${query}`);
    return page.sessions;
  }

  updateSession(sessionId: string, request: UpdateUserSessionRequest): Promise<UserSession> {
    return this.#ask("PUT", `/${encodeURIComponent(sessionId)}`, request);
  }

  completeSession(sessionId: string): Promise<UserSession> {
    return this.#ask("POST", `/${encodeURIComponent(sessionId)}/complete`);
  }

  linkMissionToSession(sessionId: string, missionId: string): Promise<UserSession> {
    const path = `/${encodeURIComponent(sessionId)}/link-mission/${encodeURIComponent(missionId)}`;
    return this.#ask("POST", path);
  }

  /** Records activity; an abandoned session is active again. */
  async updateSessionActivity(sessionId: string): Promise<void> {
    await this.#ask("POST", `/${encodeURIComponent(sessionId)}/activity`);
  }

  /** Saves metadata, which is activity as well; without any records activity alone. */
  async autoSaveSession(sessionId: string, metadata?: Metadata): Promise<void> {
    if (metadata === undefined) return await this.updateSessionActivity(sessionId);
    await this.updateSession(sessionId, { session_metadata: metadata });
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const key = crypto.randomUUID();
    const { attempts = 3, pause = 200 } = this.#options;
    for (let attempt = 1;; attempt += 1) {
      try {
        return await this.#attempt<T>(method, path, key, body);
      } catch (error) {
        const canRetry = error instanceof SessionApiError && error.canRetry;
        if (!canRetry || attempt >= attempts) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pause * 2 ** (attempt - 1)));
    }
  }

  async #attempt<T>(method: string, path: string, key: string, body?: unknown): Promise<T> {
    const { baseUrl = "/api/sessions", getToken, timeout = 5000 } = this.#options;
    const headers: Record<string, string> = { "content-type": "application/json" };
    const token = await getToken?.();
    if (token != null) headers.authorization = `Bearer ${token}`;
    if (method !== "GET") headers["idempotency-key"] = key;
    let response: Response;
    let text: string;
    try {
      response = await (this.#options.fetch ?? fetch)(`${baseUrl}${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(timeout),
      });
      text = await response.text();
    } catch (error) {
      throw new SessionApiError(0, `${method} ${path}: ${error}`);
    }
    if (!response.ok) throw new SessionApiError(response.status, detailOf(text));
    return JSON.parse(text) as T;
  }
}

function detailOf(text: string): string {
  try {
    return String(JSON.parse(text).detail);
  } catch {
    return text;
  }
}

/** The part of `localStorage` that is used. */
export interface SessionStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
}

/** What a component sees; a new object after each change. */
export interface SessionState {
  readonly currentSession: UserSession | null;
  readonly isSessionLoading: boolean;
  readonly sessionError: string | null;
  /** How many sessions have changes that wait to be saved. */
  readonly unsaved: number;
}

export interface SessionContextType extends SessionState {
  initializeSession: (name?: string) => Promise<UserSession>;
  loadSession: (sessionId: string) => Promise<UserSession | null>;
  linkMissionToSession: (missionId: string) => Promise<void>;
  saveSessionState: (metadata?: Metadata) => Promise<void>;
  recoverSession: () => Promise<UserSession | null>;
  updateActivity: () => void;
  completeSession: () => Promise<void>;
  listSessions: () => Promise<UserSession[]>;
  switchToSession: (sessionId: string) => Promise<UserSession | null>;
  // deno-lint-ignore no-explicit-any
  getSessionMetadata: (key: string) => any;
  setSessionMetadata: (metadata: Metadata) => void;
}

export interface SessionContextOptions {
  api: SessionApiClient;
  /** Where the session's id and what waits are kept; `localStorage` where there is one. */
  storage?: SessionStorage;
  /** Behind the keys in it, where several users have one browser: each has what is its own. */
  user?: string;
  /** Milliseconds between two saves; 30,000. */
  autoSaveInterval?: number;
  /** Milliseconds for which interactions are counted as one; 5,000. */
  activityInterval?: number;
}

/** Changes of one session that wait to be saved. */
interface Waiting {
  metadata?: Metadata;
  mission_id?: string;
}

const QUEUED_SESSIONS_MAX = 20;
const QUEUED_CHARS_MAX = 256 * 1024;

/**
 * A user's session in a browser. Make it once the user is known, and `dispose` it at logout.
 *
 * Its methods may be taken out of it. `subscribe` and `getSnapshot` are those that React's
 * `useSyncExternalStore` wants.
 */
export class SessionContext {
  readonly #api: SessionApiClient;
  readonly #storage: Shelf;
  readonly #current: string;
  readonly #queue: string;
  readonly #activityMs: number;
  readonly #listeners = new Set<() => void>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #methods: Omit<SessionContextType, keyof SessionState>;
  #state: SessionState;
  #activity: ReturnType<typeof setTimeout> | undefined;
  #wasActive = false;
  #saving: Promise<void> | undefined;
  /** The flush behind the one that runs. */
  #next: Promise<void> | undefined;
  #recovering: Promise<UserSession | null> | undefined;

  constructor(options: SessionContextOptions) {
    this.#api = options.api;
    this.#storage = new Shelf(options.storage ?? browserStorage());
    const user = options.user === undefined ? "" : `:${options.user}`;
    this.#current = `currentSessionId${user}`;
    this.#queue = `sessionQueue${user}`;
    this.#activityMs = options.activityInterval ?? 5000;
    this.#state = {
      currentSession: null,
      isSessionLoading: false,
      sessionError: null,
      unsaved: Object.keys(this.#readQueue()).length,
    };
    this.#timer = setInterval(() => void this.flush(), options.autoSaveInterval ?? 30_000);
    unref(this.#timer);
    globalThis.addEventListener?.("online", this.#online);
    this.#methods = {
      initializeSession: (name) => this.initializeSession(name),
      loadSession: (id) => this.loadSession(id),
      linkMissionToSession: (id) => this.linkMissionToSession(id),
      saveSessionState: (metadata) => this.saveSessionState(metadata),
      recoverSession: () => this.recoverSession(),
      updateActivity: () => this.updateActivity(),
      completeSession: () => this.completeSession(),
      listSessions: () => this.listSessions(),
      switchToSession: (id) => this.switchToSession(id),
      getSessionMetadata: (key) => this.getSessionMetadata(key),
      setSessionMetadata: (metadata) => this.setSessionMetadata(metadata),
    };
  }

  /** The state and the methods together, as a hook returns them. */
  get value(): SessionContextType {
    return { ...this.#state, ...this.#methods };
  }

  /** Calls a listener after each change of the state; returns what ends that. */
  subscribe = (listener: () => void): () => void => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** The state; the same object until it changes. */
  getSnapshot = (): SessionState => this.#state;

  // --- sessions

  /** A new session, now the current one. Throws SessionApiError. */
  async initializeSession(name?: string): Promise<UserSession> {
    return await this.#loading(async () => {
      const { session } = await this.#api.initializeSession(name);
      return this.#take(session);
    });
  }

  /** Loads a session with its messages, now the current one; null if there is none. */
  async loadSession(sessionId: string): Promise<UserSession | null> {
    return await this.#loading(async () => {
      const found = await this.#api.getSession(sessionId);
      return found === null ? null : this.#take(found);
    });
  }

  /**
   * The stored session if it can go on, else the active one, else a new one.
   *
   * Null if none can be had; `sessionError` has the reason. Calls at once share one recovery.
   */
  recoverSession(): Promise<UserSession | null> {
    this.#recovering ??= this.#recover().finally(() => this.#recovering = undefined);
    return this.#recovering;
  }

  async #recover(): Promise<UserSession | null> {
    await this.flush();
    try {
      return await this.#loading(async () => {
        const stored = this.#storage.getItem(this.#current);
        const found = stored === null ? null : await this.#api.getSession(stored);
        if (found !== null && ["active", "abandoned"].includes(found.status)) {
          await this.#api.updateSessionActivity(found.id);
          return this.#take({ ...found, status: "active" });
        }
        const active = await this.#api.getActiveSession();
        return this.#take(active ?? (await this.#api.initializeSession()).session);
      });
    } catch {
      return null; // the state has the error
    }
  }

  /** Loads another session of the user, which is active from now on. */
  async switchToSession(sessionId: string): Promise<UserSession | null> {
    await this.flush();
    const found = await this.loadSession(sessionId);
    if (found !== null) this.updateActivity();
    return found;
  }

  /** The user's sessions, newest first. Throws SessionApiError. */
  listSessions(): Promise<UserSession[]> {
    return this.#api.listSessions();
  }

  /** Saves what waits, and ends the current session. Throws SessionApiError. */
  async completeSession(): Promise<void> {
    const { currentSession } = this.#state;
    if (currentSession === null) return;
    await this.flush();
    await this.#api.completeSession(currentSession.id);
    this.#storage.removeItem(this.#current);
    this.#change({ currentSession: null });
  }

  // --- saving

  /**
   * Saves metadata of the current session at once, with what waits.
   *
   * It does not throw: what could not be saved waits, and `sessionError` has the reason.
   */
  async saveSessionState(metadata?: Metadata): Promise<void> {
    if (metadata === undefined) this.#wasActive = true;
    else if (!this.#add({ metadata })) return;
    await this.flush();
  }

  /** Changes metadata of the current session; saved with other changes at the next interval. */
  setSessionMetadata(metadata: Metadata): void {
    this.#add({ metadata });
  }

  /** A member of the current session's metadata, changes that wait included. */
  // deno-lint-ignore no-explicit-any
  getSessionMetadata(key: string): any {
    return this.#state.currentSession?.session_metadata[key];
  }

  /** Links a mission to the current session. It does not throw, as `saveSessionState`. */
  async linkMissionToSession(missionId: string): Promise<void> {
    if (this.#add({ mission_id: missionId })) await this.flush();
  }

  /** Records an interaction; many of them are one request. */
  updateActivity(): void {
    this.#wasActive = true;
    if (this.#activity !== undefined) return;
    this.#activity = setTimeout(() => {
      this.#activity = undefined;
      void this.flush();
    }, this.#activityMs);
    unref(this.#activity);
  }

  /** Saves what waits, of all sessions, in order; returns when it is saved or has failed. */
  flush(): Promise<void> {
    if (this.#saving === undefined) return this.#begin();
    // The one that runs may have looked at the queue before the latest change.
    this.#next ??= this.#saving.then(() => {
      this.#next = undefined;
      return this.#saving ?? this.#begin();
    });
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#saving = this.#alone(() => this.#save()).finally(() => this.#saving = undefined);
    return this.#saving;
  }

  /**
   * One tab at a time: a change that one of them sends again would come after a newer one of another.
   *
   * Browsers and Node 24 have locks for that; without them the tabs are not kept apart.
   */
  async #alone(save: () => Promise<void>): Promise<void> {
    const locks = globalThis.navigator?.locks;
    if (locks === undefined) return await save();
    await locks.request(`latchkey:${this.#queue}`, save);
  }

  /** Saves what waits, and ends the timers. */
  async dispose(): Promise<void> {
    clearInterval(this.#timer);
    clearTimeout(this.#activity);
    globalThis.removeEventListener?.("online", this.#online);
    await this.flush();
    this.#listeners.clear();
  }

  #online = (): void => void this.flush();

  async #save(): Promise<void> {
    try {
      let refused: string | null = null;
      let id: string | undefined;
      while ((id = Object.keys(this.#readQueue())[0]) !== undefined) {
        refused = await this.#saveOne(id) ?? refused;
      }
      const { currentSession } = this.#state;
      if (this.#wasActive && currentSession !== null) {
        this.#wasActive = false;
        await this.#api.updateSessionActivity(currentSession.id);
      }
      if (this.#state.sessionError !== refused) this.#change({ sessionError: refused });
    } catch (error) {
      this.#change({ sessionError: textOf(error) });
    }
  }

  /** Saves what waits of a session. Returns why it was refused for good, and is dropped. */
  async #saveOne(id: string): Promise<string | null> {
    const sent = this.#readQueue()[id];
    let refused: string | null = null;
    try {
      await this.#api.updateSession(id, {
        session_metadata: sent.metadata,
        mission_id: sent.mission_id,
      });
      if (id === this.#state.currentSession?.id) this.#wasActive = false; // a save is activity
    } catch (error) {
      const isFinal = error instanceof SessionApiError &&
        [404, 409, 413, 422].includes(error.status);
      if (!isFinal) throw error;
      refused = textOf(error); // it would be refused forever: the session has ended, say
    }
    // What was changed meanwhile, by another tab maybe, is not saved yet.
    const queue = this.#readQueue();
    const left = unsaved(queue[id], sent);
    if (left === undefined) delete queue[id];
    else queue[id] = left;
    this.#writeQueue(queue);
    return refused;
  }

  /** Adds changes of the current session to those that wait; false if they cannot be kept. */
  #add(change: Waiting): boolean {
    const { currentSession } = this.#state;
    if (currentSession === null) {
      this.#change({ sessionError: "there is no session to save: recover one first" });
      return false;
    }
    // Read anew: other tabs of the application have the same queue.
    const queue = this.#readQueue();
    const before = queue[currentSession.id];
    const metadata = { ...before?.metadata, ...change.metadata };
    queue[currentSession.id] = {
      metadata: Object.keys(metadata).length > 0 ? metadata : undefined,
      mission_id: change.mission_id ?? before?.mission_id,
    };
    if (
      Object.keys(queue).length > QUEUED_SESSIONS_MAX ||
      JSON.stringify(queue).length > QUEUED_CHARS_MAX
    ) {
      this.#change({ sessionError: "the queue is full: this change is not kept" });
      return false;
    }
    this.#writeQueue(queue);
    this.#change({
      currentSession: {
        ...currentSession,
        session_metadata: merged(currentSession.session_metadata, change.metadata),
        mission_id: change.mission_id ?? currentSession.mission_id,
      },
    });
    return true;
  }

  #readQueue(): Record<string, Waiting> {
    try {
      const found = JSON.parse(this.#storage.getItem(this.#queue) ?? "{}");
      return typeof found === "object" && found !== null ? found : {};
    } catch {
      return {}; // written by another program
    }
  }

  #writeQueue(queue: Record<string, Waiting>): void {
    const count = Object.keys(queue).length;
    if (count === 0) this.#storage.removeItem(this.#queue);
    else this.#storage.setItem(this.#queue, JSON.stringify(queue));
    this.#change({ unsaved: count });
  }

  // --- the state

  #take(session: UserSession): UserSession {
    const waiting = this.#readQueue()[session.id];
    const taken = {
      ...session,
      session_metadata: merged(session.session_metadata, waiting?.metadata),
      mission_id: waiting?.mission_id ?? session.mission_id,
    };
    this.#storage.setItem(this.#current, taken.id);
    this.#change({ currentSession: taken, sessionError: null });
    return taken;
  }

  async #loading<T>(load: () => Promise<T>): Promise<T> {
    this.#change({ isSessionLoading: true });
    try {
      return await load();
    } catch (error) {
      this.#change({ sessionError: textOf(error) });
      throw error;
    } finally {
      this.#change({ isSessionLoading: false });
    }
  }

  #change(changes: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...changes };
    for (const listener of [...this.#listeners]) listener();
  }
}

let provided: SessionContext | undefined;

/** Makes a context the one that `useSession` returns; at login, and undefined at logout. */
export function provideSession(context: SessionContext | undefined): void {
  provided = context;
}

/** The state and the methods of the provided context. Throws Error without one. */
export function useSession(): SessionContextType {
  if (provided === undefined) throw new Error("useSession: call provideSession first");
  return provided.value;
}

/** `localStorage`; undefined where there is none, or the browser's settings refuse it. */
function browserStorage(): SessionStorage | undefined {
  try {
    return globalThis.localStorage;
  } catch {
    return undefined; // asking for it throws
  }
}

/** A storage that goes on in memory where the browser has none, or refuses to write into it. */
class Shelf implements SessionStorage {
  readonly #storage: SessionStorage | undefined;
  readonly #memory = new Map<string, string | null>();

  constructor(storage: SessionStorage | undefined) {
    this.#storage = storage;
  }

  getItem(key: string): string | null {
    const kept = this.#memory.get(key);
    return kept === undefined ? this.#storage?.getItem(key) ?? null : kept;
  }

  setItem(key: string, value: string): void {
    this.#write(key, value, (storage) => storage.setItem(key, value));
  }

  removeItem(key: string): void {
    this.#write(key, null, (storage) => storage.removeItem(key));
  }

  #write(key: string, value: string | null, write: (storage: SessionStorage) => void): void {
    try {
      if (this.#storage === undefined) this.#memory.set(key, value);
      else write(this.#storage);
      if (this.#storage !== undefined) this.#memory.delete(key);
    } catch {
      this.#memory.set(key, value); // it is full, or the browser allows none
    }
  }
}

/** The part of a session's changes that was not sent. */
function unsaved(now: Waiting | undefined, sent: Waiting): Waiting | undefined {
  const metadata = Object.entries(now?.metadata ?? {}).filter(([name, value]) =>
    !(name in (sent.metadata ?? {})) ||
    JSON.stringify(value) !== JSON.stringify(sent.metadata?.[name])
  );
  const mission = now?.mission_id === sent.mission_id ? undefined : now?.mission_id;
  if (metadata.length === 0 && mission === undefined) return undefined;
  return {
    metadata: metadata.length > 0 ? Object.fromEntries(metadata) : undefined,
    mission_id: mission,
  };
}

/** Metadata with changes, of which null removes a member. */
function merged(metadata: Metadata, changes: Metadata | undefined): Metadata {
  const all = Object.entries({ ...metadata, ...changes });
  return Object.fromEntries(all.filter(([, value]) => value !== null));
}

/** A timer that keeps no process: Node has objects for timers, browsers have numbers. */
function unref(timer: unknown): void {
  (timer as { unref?: () => void }).unref?.();
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
