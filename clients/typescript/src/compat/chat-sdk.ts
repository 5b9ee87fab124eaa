// The chat SDK's SessionManagerImpl: sessions of users, each with several chats.
//
// A user's id is the device. Each change is stored when it is made, so there is nothing to save. The
// model is called by a function of the caller's, `respond`.

import type { Client } from "../client.ts";
import { IllegalState, NotFound, Quota } from "../errors.ts";
import { type Address, encodeId } from "../names.ts";
import type { Chat as ChatRecord, Members, Message, SessionRecord } from "../results.ts";
import * as verbs from "../verbs.ts";
import { addressOf, LIVE, ms, OwnedClient, sessionIdOf, STORE } from "./common.ts";

/** Where the caller keeps copies of sessions. */
export interface SessionPersistenceAdapter {
  save(sessionId: string, data: string): Promise<void>;
  load(sessionId: string): Promise<string>;
  delete(sessionId: string): Promise<void>;
  getUserSessionIds(userId: string): Promise<string[]>;
}

/** The part of a logger that is used. */
export interface Logger {
  info?(message: string): void;
  warn?(message: string): void;
}

/** Providers, tools and the model of a chat; what is no JSON stays in this process. */
export type RobotaConfig = Record<string, unknown>;

/** What a responder is given. */
export interface ChatTurn {
  session: Session;
  chat: Chat;
  /** The configuration with which this process has made the chat, or the part that was stored. */
  config: RobotaConfig;
  /** The newest messages, oldest first, the one to answer included. */
  messages: ChatMessage[];
}

/** The answer to a message. */
export type Respond = (turn: ChatTurn) => string | Promise<string>;

export interface SessionManagerConfig {
  /** Live sessions of all users together, 10,000 at most; beyond that use `--max-live`. */
  maxActiveSessions?: number;
  /** Live sessions of a user; the workers' `--max-user-sessions` (10) holds as well. */
  maxSessionsPerUser?: number;
  /** False: sessions never end by themselves. */
  autoCleanup?: boolean;
  /** Has no effect: a session ends at its deadline, and not at the next look. */
  cleanupInterval?: number;
  /** Milliseconds without activity after which a session is abandoned; 24 hours. */
  sessionTimeout?: number;
  /** Chats of a session; the workers' `--max-chats` (20) holds as well. */
  maxChatsPerSession?: number;
  /** Given a copy of each session that is paused or closed. */
  persistenceAdapter?: SessionPersistenceAdapter;
  logger?: Logger;
  /** It stays open; without it one is made, configured by LATCHKEY_TO. */
  client?: Client;
  /** Calls the model; without it messages are kept, and not answered. */
  respond?: Respond;
  /** Of the set of sessions that `getAllActiveSessions` shows. */
  name?: string;
}

export interface SessionCreateOptions {
  sessionName?: string;
  metadata?: Members;
  preferences?: Members;
  tags?: string[];
  expiresAt?: Date;
  /** Each change is stored when it is made, in any case. */
  autoSave?: true;
}

export interface ChatCreateOptions {
  chatName?: string;
  robotaConfig?: RobotaConfig;
  metadata?: Members;
  systemPrompt?: string;
  tags?: string[];
  /** A full chat drops its oldest messages. */
  maxMessages?: number;
}

export interface ChatMessage {
  role: string;
  content: string;
  at: Date;
  [member: string]: unknown;
}

export interface SessionMetadata {
  sessionId: string;
  userId: string;
  sessionName: string | null;
  tags: string[];
  preferences: Members;
  /** The metadata that the caller has given. */
  custom: Members;
}

export interface SessionStats {
  sessionId: string;
  userId: string;
  chatCount: number;
  totalMessages: number;
  createdAt: Date;
  lastActivity: Date;
  isActive: boolean;
  isPaused: boolean;
}

export interface ChatMetadata {
  chatId: string;
  chatName: string | null;
  tags: string[];
  /** The metadata that the caller has given. */
  custom: Members;
}

export interface ChatStats {
  chatId: string;
  messageCount: number;
  createdAt: Date;
  lastMessage: ChatMessage | null;
  /** Milliseconds, over the answers among the newest messages; 0 without one. */
  averageResponseTime: number;
}

/** The newest messages that a responder and the statistics of a chat look at. */
const NEWEST = 100;

const COUNTED_MAX = 10_000;

/** The most configurations that a process keeps; beyond it the oldest are as another process has them. */
const CONFIGS_MAX = 10_000;

/** What sessions and chats need of their manager. */
interface Shared {
  readonly client: Client;
  readonly config: SessionManagerConfig;
  /** Configurations that this process has made chats with, by the chat's id. */
  readonly configs: Map<string, RobotaConfig>;
}

export class SessionManagerImpl {
  readonly #owned: OwnedClient;
  readonly #shared: Shared;
  readonly #name: string;

  /** Throws RangeError for a limit that cannot be held. */
  constructor(config: SessionManagerConfig = {}) {
    if ((config.maxActiveSessions ?? 0) > COUNTED_MAX) {
      throw new RangeError(
        `maxActiveSessions: ${COUNTED_MAX} at most; use the workers' --max-live`,
      );
    }
    this.#owned = new OwnedClient(config.client);
    this.#shared = { client: this.#owned.client, config, configs: new Map() };
    this.#name = config.name ?? "chat_sessions";
  }

  /**
   * A session of a user, without a chat.
   *
   * Throws Quota if a limit is reached. Of several callers at the limit each may be refused, but
   * no more sessions than the limit stay.
   */
  async createSession(userId: string, options: SessionCreateOptions = {}): Promise<Session> {
    const { client, config } = this.#shared;
    const ends = config.autoCleanup !== false;
    const { metadata, preferences, tags } = options;
    const record = await client.open(userId, { metadata, preferences, tags }, {
      user: userId,
      name: options.sessionName,
      link: { [STORE]: this.#name },
      chat: "none",
      idle: 0,
      abandon: ends ? ms(config.sessionTimeout ?? 24 * 3600_000) : 0,
      life: options.expiresAt === undefined ? 0 : undefined,
      expiresAt: options.expiresAt?.getTime(),
    });
    try {
      await this.#count({ user: userId }, config.maxSessionsPerUser, `of user ${userId}`);
      await this.#count({ [STORE]: this.#name }, config.maxActiveSessions, "in all");
    } catch (error) {
      await undone(error, () => client.delete(address(record)));
    }
    config.logger?.info?.(`session ${sessionIdOf(record)} of user ${userId} was created`);
    return new Session(this.#shared, record);
  }

  /** Throws Quota if there are too many live sessions. */
  async #count(
    of: Record<string, string>,
    max: number | undefined,
    whose: string,
  ): Promise<void> {
    if (max === undefined) return;
    const page = await this.#shared.client.list(of, {
      state: LIVE,
      count: true,
      limit: 1,
      fields: "none",
    });
    const total = page.total ?? COUNTED_MAX + 1;
    if (total > max) {
      throw new Quota(`quota exceeded: ${max} of ${max} live sessions ${whose}`, "quota");
    }
  }

  /** A session in any state, or null. */
  async getSession(sessionId: string): Promise<Session | null> {
    const record = await this.#shared.client.get(addressOf(sessionId));
    return record === null ? null : new Session(this.#shared, record);
  }

  /** The live sessions of a user, newest first. */
  getUserSessions(userId: string): Promise<Session[]> {
    return this.#all({ user: userId });
  }

  /** All live sessions of this manager's name, newest first. */
  getAllActiveSessions(): Promise<Session[]> {
    return this.#all({ [STORE]: this.#name });
  }

  async #all(of: Record<string, string>): Promise<Session[]> {
    const found: Session[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#shared.client.list(of, { state: LIVE, limit: 1000, cursor });
      found.push(...page.sessions.map((record) => new Session(this.#shared, record)));
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined);
    return found;
  }

  /**
   * A session of what `serialize` has returned: the one that is there, or one made again.
   *
   * Throws NotFound if it is another user's.
   */
  async deserializeSession(userId: string, data: string): Promise<Session> {
    const { client } = this.#shared;
    const given = JSON.parse(data) as { device?: unknown; session?: unknown };
    if (given.device !== encodeId(userId) || typeof given.session !== "string") {
      throw new NotFound(`this is no session of user ${userId}`, "NONE");
    }
    const there = await client.get({ device: userId, session: given.session });
    if (there !== null) return new Session(this.#shared, there);
    return new Session(this.#shared, await client.import(data));
  }

  /** Closes the client, if the manager has made it. Sessions stay. */
  async shutdown(): Promise<void> {
    this.#shared.configs.clear();
    await this.#owned.close();
  }
}

/** A session, with its record as it was after the last call. */
export class Session {
  readonly #shared: Shared;
  #record: SessionRecord;

  constructor(shared: Shared, record: SessionRecord) {
    this.#shared = shared;
    this.#record = record;
  }

  get metadata(): SessionMetadata {
    const { fields, links, device, name } = this.#record;
    return {
      sessionId: sessionIdOf(this.#record),
      userId: links.user?.[0] ?? device,
      sessionName: name,
      tags: fields.tags ?? [],
      preferences: fields.preferences ?? {},
      custom: fields.metadata ?? {},
    };
  }

  /** A chat, now the current one. Throws Quota, IllegalState. */
  async createNewChat(options: ChatCreateOptions = {}): Promise<Chat> {
    const { client, config, configs } = this.#shared;
    const { metadata, tags, maxMessages } = options;
    const { systemPrompt } = options;
    const robotaConfig = { ...options.robotaConfig, ...(systemPrompt && { systemPrompt }) };
    const stored = { metadata, tags, robotaConfig: storable(robotaConfig) };
    const where = address(this.#record);
    const made = await client.chat(where, stored, { name: options.chatName, maxMessages });
    try {
      await this.refresh();
      const max = config.maxChatsPerSession;
      if (max !== undefined && this.#record.chats > max) {
        throw new Quota(`quota exceeded: ${max} of ${max} chats in this session`, "quota");
      }
    } catch (error) {
      await undone(error, async () => {
        await client.delete({ ...where, chat: made.chat });
        await this.refresh();
      });
    }
    const chat = new Chat(this.#shared, this, made.chat, made.name, stored);
    const [oldest] = configs.keys();
    if (configs.size >= CONFIGS_MAX) configs.delete(oldest);
    configs.set(chat.metadata.chatId, robotaConfig);
    return chat;
  }

  /** Makes a chat the current one. Throws NotFound, IllegalState. */
  async switchToChat(chatId: string): Promise<Chat> {
    const where = { ...address(this.#record), chat: chatNumber(chatId, this.#record) };
    await this.#changed(verbs.switch(where));
    return await this.#chat(where.chat);
  }

  /** The chats, in the order in which they were made. */
  async getChats(): Promise<Chat[]> {
    const { chats } = await this.#shared.client.chats(address(this.#record));
    return chats.map((found) => this.#chatOf(found));
  }

  /** Says a message in the current chat; returns the answer, or null without a responder. */
  async sendMessage(content: string): Promise<string | null> {
    await this.refresh();
    if (this.#record.chat === null) return await (await this.createNewChat()).sendMessage(content);
    return await (await this.#chat(this.#record.chat)).sendMessage(content);
  }

  /** Pauses the session. Throws IllegalState if it has ended. */
  async pause(): Promise<void> {
    if (this.#record.state !== "paused") await this.#moved(verbs.pause(address(this.#record)));
    await this.#persist();
  }

  /** Makes the session active again. Throws IllegalState if it has ended. */
  async resume(): Promise<void> {
    await this.#moved(verbs.recover(address(this.#record)));
  }

  /** Ends the session; once more is no error. */
  async close(): Promise<void> {
    try {
      await this.#moved(verbs.close(address(this.#record)));
    } catch (error) {
      if (!(error instanceof IllegalState || error instanceof NotFound)) throw error;
      return; // it has ended in another way
    }
    await this.#persist();
  }

  /** The session with its chats and messages as a text, for `deserializeSession`. */
  serialize(): Promise<string> {
    return this.#shared.client.export(address(this.#record));
  }

  /** Figures as of the last call of this session or its chats. */
  getStats(): SessionStats {
    const { sessionId, userId } = this.metadata;
    return {
      sessionId,
      userId,
      chatCount: this.#record.chats,
      totalMessages: this.#record.messages,
      createdAt: new Date(this.#record.created_at),
      lastActivity: new Date(this.#record.active_at),
      isActive: this.#record.state === "active",
      isPaused: this.#record.state === "paused",
    };
  }

  /** Reads the record. Throws NotFound. */
  async refresh(): Promise<void> {
    this.#see(await this.#shared.client.get(address(this.#record)));
  }

  /** @internal */
  see(record: SessionRecord | null): void {
    this.#see(record);
  }

  #see(record: SessionRecord | null): void {
    if (record === null) throw new NotFound("the session is gone", "NONE");
    this.#record = record;
  }

  async #changed(change: ReturnType<typeof verbs.switch>): Promise<void> {
    const [, record] = await this.#shared.client.askAll([
      change,
      verbs.get(address(this.#record)),
    ]);
    this.#see(record);
  }

  async #moved(request: ReturnType<typeof verbs.pause>): Promise<void> {
    this.#see(await this.#shared.client.ask(request));
    this.#shared.config.logger?.info?.(
      `session ${sessionIdOf(this.#record)}: ${this.#record.state}`,
    );
  }

  async #persist(): Promise<void> {
    const adapter = this.#shared.config.persistenceAdapter;
    if (adapter !== undefined) await adapter.save(this.metadata.sessionId, await this.serialize());
  }

  async #chat(number: number): Promise<Chat> {
    const found = await this.#shared.client.getChat({ ...address(this.#record), chat: number });
    if (found === null) throw new NotFound(`the session has no chat ${number}`, "NONE");
    return this.#chatOf(found);
  }

  #chatOf(found: ChatRecord): Chat {
    return new Chat(this.#shared, this, found.chat, found.name, found.config ?? {});
  }

  /** @internal */
  get address(): Address {
    return address(this.#record);
  }
}

/** A chat of a session. */
export class Chat {
  readonly metadata: ChatMetadata;
  readonly #shared: Shared;
  readonly #session: Session;
  readonly #number: number;
  readonly #stored: Members;

  constructor(
    shared: Shared,
    session: Session,
    number: number,
    name: string | null,
    stored: Members,
  ) {
    this.#shared = shared;
    this.#session = session;
    this.#number = number;
    this.#stored = stored;
    this.metadata = {
      chatId: `${session.metadata.sessionId}.${number}`,
      chatName: name,
      tags: stored.tags ?? [],
      custom: stored.metadata ?? {},
    };
  }

  get #where(): Address {
    return { ...this.#session.address, chat: this.#number };
  }

  /** The configuration that this process has made the chat with, or the part that was stored. */
  get config(): RobotaConfig {
    return this.#shared.configs.get(this.metadata.chatId) ?? this.#stored.robotaConfig ?? {};
  }

  /**
   * Says a message; returns the answer, or null without a responder.
   *
   * The message stays said if the responder throws. Throws NotFound, IllegalState.
   */
  async sendMessage(content: string): Promise<string | null> {
    await this.#say({ role: "user", content });
    const respond = this.#shared.config.respond;
    if (respond === undefined) return null;
    const messages = await this.getHistory();
    const answer = await respond({
      session: this.#session,
      chat: this,
      config: this.config,
      messages,
    });
    await this.#say({ role: "assistant", content: answer });
    return answer;
  }

  /** The newest answer among the newest messages, or null. */
  async getLastResponse(): Promise<string | null> {
    const messages = await this.getHistory();
    return messages.findLast((message) => message.role !== "user")?.content ?? null;
  }

  /** The newest messages, oldest first. */
  async getHistory(last: number = NEWEST): Promise<ChatMessage[]> {
    const page = await this.#shared.client.history(this.#where, { last, limit: last });
    return page.messages.map(messageOf);
  }

  /** Figures of the chat. Throws NotFound if it is gone. */
  async getStats(): Promise<ChatStats> {
    const [found, page] = await this.#shared.client.askAll([
      verbs.getChat(this.#where),
      verbs.history(this.#where, { last: NEWEST, limit: NEWEST }),
    ]);
    if (found === null) throw new NotFound("the chat is gone", "NONE");
    const messages = page.messages.map(messageOf);
    return {
      chatId: this.metadata.chatId,
      messageCount: found.messages,
      createdAt: new Date(found.created_at),
      lastMessage: messages.at(-1) ?? null,
      averageResponseTime: meanAnswerMs(messages),
    };
  }

  async #say(message: Members): Promise<void> {
    const [, record] = await this.#shared.client.askAll([
      verbs.say(this.#where, message),
      verbs.get(this.#session.address),
    ]);
    this.#session.see(record);
  }
}

/**
 * Throws the error, after what was made before it has been removed again. If that fails too, what was
 * made stays, and the second error is the cause of the first.
 */
async function undone(error: unknown, undo: () => Promise<unknown>): Promise<never> {
  try {
    await undo();
  } catch (second) {
    if (error instanceof Error) error.cause ??= second;
  }
  throw error;
}

function address(record: SessionRecord): Address {
  return { device: record.device, session: record.session };
}

/** The number of a chat of this session. Throws NotFound for another id. */
function chatNumber(chatId: string, record: SessionRecord): number {
  const [, session, number] = /^(.+)\.([0-9]+)$/.exec(chatId) ?? [];
  if (session !== sessionIdOf(record)) {
    throw new NotFound(`the session has no chat ${chatId}`, "NONE");
  }
  return Number(number);
}

/** The part of a configuration that JSON can express; of what has functions, the names. */
function storable(config: RobotaConfig): Members {
  const kept: Members = {};
  for (const [name, value] of Object.entries(config)) {
    if (isJson(value)) kept[name] = value;
    else if (typeof value === "object" && value !== null) kept[name] = Object.keys(value);
  }
  return kept;
}

function isJson(value: unknown): boolean {
  if (value === null || ["string", "boolean"].includes(typeof value)) return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  return isPlain && Object.values(value).every(isJson);
}

function messageOf(found: Message): ChatMessage {
  const { role = "", content = "", ...others } = found.message ?? {};
  return { ...others, role, content, at: new Date(found.at) };
}

function meanAnswerMs(messages: ChatMessage[]): number {
  let asked: Date | undefined;
  const times: number[] = [];
  for (const { role, at } of messages) {
    if (role === "user") asked = at;
    else if (asked !== undefined) times.push(at.getTime() - asked.getTime());
  }
  return times.length === 0 ? 0 : times.reduce((sum, time) => sum + time, 0) / times.length;
}
