// The session managers of earlier systems, called as their callers called them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, Forbidden, IllegalState, NotFound, Quota, Unavailable } from "../src/index.ts";
import { type Chat, type Session, SessionManagerImpl } from "../src/compat/chat-sdk.ts";
import { type SessionChange, SessionManager } from "../src/compat/proposal-editor.ts";
import { errorOf, eventually, ScriptedWorker, Worker } from "./support.ts";

let worker: Worker;
let client: Client;
let count = 0;

before(async () => {
  worker = await Worker.start("--threads", "1");
  client = worker.client();
});

after(async () => {
  await client.close();
  await worker.stop();
});

/** A user that no other test has, with characters that no id has on the wire. */
const newUser = () => `ada/${count += 1} ü`;

// --- the proposal editor

test("an editing session is made, updated, paused, resumed and closed", async () => {
  const sessionManager = new SessionManager({ client });
  const userId = newUser();
  const sessionId = await sessionManager.createSession("p-17", userId);
  await sessionManager.recordActivity(sessionId);
  const updated = await sessionManager.updateSession(sessionId, {
    currentPhase: "section_generation",
    currentStep: "problem_statement",
    state: "running",
    draft: { title: "Roof" },
  });
  assert.equal(updated.currentPhase, "section_generation");
  assert.equal(updated.currentStep, "problem_statement");
  assert.equal(updated.state, "running");
  assert.deepEqual(updated.draft, { title: "Roof" });
  assert.equal(updated.proposalId, "p-17");
  assert.equal(updated.userId, userId);
  const pausesIn = updated.pausesAt!.getTime() - updated.lastActivity.getTime();
  const endsIn = updated.endsAt!.getTime() - updated.createdAt.getTime();
  assert.deepEqual([pausesIn, endsIn], [30 * 60_000, 24 * 3600_000]);
  const paused = await sessionManager.pauseSession(sessionId, "User asked for it");
  assert.equal(paused.state, "paused");
  assert.equal((await sessionManager.pauseSession(sessionId)).state, "paused");
  assert.equal((await sessionManager.resumeSession(sessionId)).state, "running");
  const closed = await sessionManager.closeSession(sessionId, "completed");
  assert.equal(closed.state, "completed");
  assert.ok(await errorOf(sessionManager.recoverSession(sessionId)) instanceof IllegalState);
  const found = await sessionManager.sessionsOfProposal("p-17");
  assert.ok(found.some((one) => one.sessionId === sessionId));
});

test("a session that failed has its details, and one that is unknown is not found", async () => {
  const sessionManager = new SessionManager({ client });
  const sessionId = await sessionManager.createSession("p-1", newUser());
  await sessionManager.closeSession(sessionId, "error", "the model is away");
  const metadata = await sessionManager.getSession(sessionId);
  assert.deepEqual([metadata?.state, metadata?.errorDetails], ["error", "the model is away"]);
  const missing = sessionId.replace(/.{4}$/, "0000");
  assert.ok(
    await errorOf(sessionManager.updateSession(missing, { state: "paused" })) instanceof NotFound,
  );
  assert.ok(await errorOf(sessionManager.recordActivity("nonsense")) instanceof NotFound);
  const fixed = await errorOf(sessionManager.updateSession(sessionId, { userId: "eve" }));
  assert.match(fixed.message, /userId/);
});

test("changes are followed again after an error has ended that", async () => {
  const event = '{"id":"1-0","type":"session.paused","device":"ada","at":1,"reason":"idle",' +
    '"session":"01K0000000000000000000000A","links":{"proposal":["p-1"]}}';
  await using scripted = await ScriptedWorker.start([
    "ERR forbidden no",
    `OK {"events":[${event}]}`,
  ]);
  await using other = new Client(scripted.to);
  const ended = Promise.withResolvers<unknown>();
  const found = Promise.withResolvers<SessionChange>();
  const manager = new SessionManager({
    client: other,
    onChange: found.resolve,
    onError: ended.resolve,
  });
  manager.start();
  assert.ok(await ended.promise instanceof Forbidden);
  manager.start();
  assert.equal((await found.promise).what, "paused");
  await manager.stop();
});

test("a user without access gets no session", async () => {
  const verifyAccess = (_proposal: string, user: string) => user !== "eve";
  const sessionManager = new SessionManager({ client, verifyAccess });
  assert.ok(await errorOf(sessionManager.createSession("p-1", "eve")) instanceof Forbidden);
  assert.equal((await client.list({ user: "eve" })).sessions.length, 0);
});

test("an unused session is paused and one too old is ended, and each is said once", async () => {
  const changes: SessionChange[] = [];
  const errors: unknown[] = [];
  const options = {
    client,
    warning: 0,
    onChange: (change: SessionChange) => {
      changes.push(change);
      if (changes.length === 1) throw new Error("of the listener");
    },
    onError: (error: unknown) => errors.push(error),
  };
  const managers = [1, 2].map(() => new SessionManager({ ...options, sessionTimeout: 50 }));
  const short = new SessionManager({
    ...options,
    sessionTimeout: 3600_000,
    maxSessionLifetime: 50,
  });
  for (const manager of managers) manager.start();
  const paused = await managers[0].createSession("p-2", newUser());
  await eventually(() => changes.some((change) => change.sessionId === paused));
  const ended = await short.createSession("p-2", newUser());
  await eventually(() => changes.some((change) => change.sessionId === ended));
  assert.deepEqual(changes.map(({ sessionId, what }) => [sessionId, what]), [
    [paused, "paused"],
    [ended, "ended"],
  ]);
  assert.match(String(errors), /of the listener/);
  assert.equal((await short.recoverSession(paused)).state, "running");
  assert.ok(await errorOf(short.recoverSession(ended)) instanceof IllegalState);
  for (const manager of managers) await manager.stop();
});

// --- the chat SDK

test("a session has chats with configurations, one of them current", async () => {
  const sessionManager = new SessionManagerImpl({
    client,
    maxActiveSessions: 9000,
    autoCleanup: true,
    sessionTimeout: 30 * 60 * 1000,
    maxChatsPerSession: 10,
  });
  const userId = newUser();
  const session = await sessionManager.createSession(userId, {
    sessionName: "My Work",
    metadata: { userAgent: "Browser/1.0", tags: ["work"] },
  });
  assert.equal(session.metadata.sessionName, "My Work");
  assert.deepEqual(session.metadata.custom, { userAgent: "Browser/1.0", tags: ["work"] });
  assert.equal(session.getStats().chatCount, 0);
  const openaiProvider = { chat: () => "unused" };
  const robotaConfig = {
    aiProviders: { openai: openaiProvider },
    currentProvider: "openai",
    currentModel: "small",
  };
  const chat1 = await session.createNewChat({ chatName: "General", robotaConfig });
  const chat2 = await session.createNewChat({
    chatName: "Review",
    robotaConfig: { ...robotaConfig, currentModel: "large" },
    systemPrompt: "You review code.",
  });
  assert.equal(chat1.config.aiProviders, robotaConfig.aiProviders);
  await session.switchToChat(chat1.metadata.chatId);
  assert.equal(await session.sendMessage("Hello!"), null);
  await session.switchToChat(chat2.metadata.chatId);
  await session.sendMessage("Please review this.");
  assert.deepEqual((await chat1.getHistory()).map((one) => one.content), ["Hello!"]);
  assert.deepEqual((await chat2.getHistory()).map((one) => one.content), ["Please review this."]);
  const stats = session.getStats();
  assert.deepEqual([stats.chatCount, stats.totalMessages, stats.isActive], [2, 2, true]);
  assert.equal(stats.userId, userId);
  await session.pause();
  assert.deepEqual([session.getStats().isActive, session.getStats().isPaused], [false, true]);
  await session.resume();
  assert.ok(session.getStats().isActive);
  // Another process has what JSON can express of the configuration.
  const elsewhere = await new SessionManagerImpl({ client }).getSession(session.metadata.sessionId);
  const [, review] = await elsewhere!.getChats();
  assert.deepEqual(review.config, {
    aiProviders: ["openai"],
    currentProvider: "openai",
    currentModel: "large",
    systemPrompt: "You review code.",
  });
  const other = await sessionManager.createSession(newUser());
  assert.ok(await errorOf(other.switchToChat(chat1.metadata.chatId)) instanceof NotFound);
});

test("a responder answers with the configuration of the chat", async () => {
  const sessionManager = new SessionManagerImpl({
    client,
    respond: ({ config, messages }) => `${config.currentModel}: ${messages.at(-1)?.content}`,
  });
  const session = await sessionManager.createSession(newUser(), { sessionName: "Assistant" });
  const chat = await session.createNewChat({ robotaConfig: { currentModel: "small" } });
  assert.equal(await chat.sendMessage("Hi"), "small: Hi");
  await chat.sendMessage("Again");
  assert.equal(await chat.getLastResponse(), "small: Again");
  const stats = await chat.getStats();
  assert.equal(stats.chatId, chat.metadata.chatId);
  assert.equal(stats.messageCount, 4);
  assert.equal(stats.lastMessage?.content, "small: Again");
  assert.ok(stats.averageResponseTime >= 0 && stats.createdAt <= new Date());
  assert.equal(session.getStats().totalMessages, 4);
});

test("limits hold, also for callers at once", async () => {
  const userId = newUser();
  const name = `limits of ${userId}`;
  const ofUser = new SessionManagerImpl({ client, name, maxSessionsPerUser: 2 });
  await ofUser.createSession(userId);
  await ofUser.createSession(userId);
  const tooMany = await errorOf(ofUser.createSession(userId));
  assert.ok(tooMany instanceof Quota);
  assert.match(tooMany.message, /2 of 2 live sessions of user/);
  const inAll = new SessionManagerImpl({ client, name, maxActiveSessions: 4 });
  await Promise.allSettled(Array.from({ length: 8 }, () => inAll.createSession(newUser())));
  assert.ok((await inAll.getAllActiveSessions()).length <= 4);
  const chats = new SessionManagerImpl({ client, name: `${name} chats`, maxChatsPerSession: 1 });
  const session = await chats.createSession(newUser());
  await session.createNewChat({ chatName: "Main" });
  const fallback = await session.createNewChat({ chatName: "Second" }).catch((error) => error);
  assert.ok(fallback instanceof Quota);
  assert.equal(session.getStats().chatCount, 1);
  assert.throws(() => new SessionManagerImpl({ client, maxActiveSessions: 1e6 }), /--max-live/);
});

test("analytics of all sessions, and of a user's", async () => {
  const name = `analytics ${newUser()}`;
  const sessionManager = new SessionManagerImpl({ client, name, autoCleanup: false });
  const users = [newUser(), newUser(), newUser()];
  const sessions = await Promise.all(
    users.map((userId) => sessionManager.createSession(userId, { sessionName: `of ${userId}` })),
  );
  await Promise.all(sessions.map((session) => session.createNewChat({ chatName: "Default" })));
  const allSessions = await sessionManager.getAllActiveSessions();
  const stats = {
    totalActiveSessions: allSessions.length,
    totalActiveUsers: new Set(allSessions.map((s) => s.metadata.userId)).size,
    totalActiveChats: allSessions.reduce((sum, s) => sum + s.getStats().chatCount, 0),
    oldest: Math.min(...allSessions.map((s) => s.getStats().createdAt.getTime())),
  };
  assert.deepEqual([stats.totalActiveSessions, stats.totalActiveUsers, stats.totalActiveChats], [
    3,
    3,
    3,
  ]);
  assert.ok(stats.oldest > Date.now() - 60_000);
  const [chat] = await sessions[0].getChats();
  await chat.sendMessage("Hello");
  await sessions[0].pause();
  const userSessions = await sessionManager.getUserSessions(users[0]);
  const report = {
    totalSessions: userSessions.length,
    activeSessions: userSessions.filter((s) => s.getStats().isActive).length,
    totalChats: userSessions.reduce((sum, s) => sum + s.getStats().chatCount, 0),
    totalMessages: userSessions.reduce((sum, s) => sum + s.getStats().totalMessages, 0),
    lastActivity: Math.max(...userSessions.map((s) => s.getStats().lastActivity.getTime())),
  };
  assert.ok(report.lastActivity >= stats.oldest);
  assert.deepEqual({ ...report, lastActivity: 0 }, {
    totalSessions: 1,
    activeSessions: 0,
    totalChats: 1,
    totalMessages: 1,
    lastActivity: 0,
  });
  await Promise.all(sessions.map((session) => session.close()));
  await sessions[0].close();
  assert.equal((await sessionManager.getAllActiveSessions()).length, 0);
  assert.equal((await sessionManager.getUserSessions(users[0])).length, 0);
});

test("copies are saved by the adapter, and a lost session is made again of one", async () => {
  const copies = new Map<string, string>();
  const adapter = {
    save: (id: string, data: string) => Promise.resolve(void copies.set(id, data)),
    load: (id: string) => Promise.resolve(copies.get(id)!),
    delete: (id: string) => Promise.resolve(void copies.delete(id)),
    getUserSessionIds: () => Promise.resolve([...copies.keys()]),
  };
  const sessionManager = new SessionManagerImpl({ client, persistenceAdapter: adapter });
  const userId = newUser();
  const session = await sessionManager.createSession(userId, { sessionName: "Kept" });
  const chat = await session.createNewChat();
  await chat.sendMessage("Hello");
  await session.pause();
  const { sessionId } = session.metadata;
  assert.deepEqual([...copies.keys()], [sessionId]);
  const there = await sessionManager.deserializeSession(userId, copies.get(sessionId)!);
  assert.equal(there.metadata.sessionId, sessionId);
  await client.delete(session.address);
  assert.equal(await sessionManager.getSession(sessionId), null);
  const restored = await sessionManager.deserializeSession(userId, copies.get(sessionId)!);
  assert.equal(restored.metadata.sessionName, "Kept");
  const [kept] = await restored.getChats();
  assert.deepEqual((await kept.getHistory()).map((one) => one.content), ["Hello"]);
  const stranger = sessionManager.deserializeSession(newUser(), copies.get(sessionId)!);
  assert.ok(await errorOf(stranger) instanceof NotFound);
});

test("a manager of many users, and one with copies, are written on it as before", async () => {
  class MultiUserSessionManager {
    readonly sessionManager = new SessionManagerImpl({
      client,
      maxActiveSessions: 9000,
      maxSessionsPerUser: 5,
      autoCleanup: true,
      cleanupInterval: 5 * 60 * 1000,
    });
    readonly userSessions = new Map<string, string[]>();

    async createUserSession(userId: string, options: object): Promise<Session> {
      const known = this.userSessions.get(userId) ?? [];
      const session = await this.sessionManager.createSession(userId, options);
      this.userSessions.set(userId, [...known, session.metadata.sessionId]);
      return session;
    }

    async getTotalActiveChats(): Promise<number> {
      let chats = 0;
      for (const userId of this.userSessions.keys()) {
        for (const session of await this.sessionManager.getUserSessions(userId)) {
          chats += session.getStats().chatCount;
        }
      }
      return chats;
    }

    async cleanupUserSessions(userId: string): Promise<void> {
      for (const session of await this.sessionManager.getUserSessions(userId)) {
        await session.close();
      }
      this.userSessions.delete(userId);
    }
  }
  const users = new MultiUserSessionManager();
  const [first, second] = [newUser(), newUser()];
  const session = await users.createUserSession(first, { sessionName: "One" });
  await session.createNewChat({ chatName: "Main" });
  await users.createUserSession(first, { sessionName: "Two" });
  await users.createUserSession(second, { sessionName: "Three" });
  assert.deepEqual([users.userSessions.size, await users.getTotalActiveChats()], [2, 1]);
  await users.cleanupUserSessions(first);
  assert.equal((await users.sessionManager.getUserSessions(first)).length, 0);
  assert.equal((await users.sessionManager.getUserSessions(second)).length, 1);

  const files = new Map<string, string>();
  class PersistentSessionManager {
    readonly sessionManager = new SessionManagerImpl({ client, maxActiveSessions: 9000 });

    async saveSession(sessionId: string): Promise<void> {
      const found = await this.sessionManager.getSession(sessionId);
      if (found !== null) files.set(sessionId, await found.serialize());
    }

    async recoverUserSessions(userId: string): Promise<Session[]> {
      const recovered: Session[] = [];
      for (const data of files.values()) {
        const made = await this.sessionManager.deserializeSession(userId, data).catch(() => null);
        if (made !== null) recovered.push(made);
      }
      return recovered;
    }
  }
  const persistent = new PersistentSessionManager();
  const kept = await persistent.sessionManager.createSession(first, { sessionName: "Kept" });
  await persistent.saveSession(kept.metadata.sessionId);
  await persistent.saveSession(session.metadata.sessionId);
  await client.delete(kept.address);
  const recovered = await persistent.recoverUserSessions(first);
  assert.deepEqual(recovered.map((one) => one.metadata.sessionName), ["Kept", "One"]);
  assert.deepEqual(await persistent.recoverUserSessions(second), []);
});

test("a session with an end to its use is made, paused, resumed and closed in any case", async () => {
  const sessionManager = new SessionManagerImpl({ client, autoCleanup: true });
  const said: unknown[] = [];
  try {
    const session = await sessionManager.createSession(newUser(), { sessionName: "Temporary" });
    const chat = await session.createNewChat({ chatName: "Quick", robotaConfig: {} });
    await session.pause();
    await session.pause();
    await session.resume();
    said.push(await chat.sendMessage("Hello").catch((error) => error));
    await session.close();
    said.push(await chat.sendMessage("late").catch((error) => error instanceof IllegalState));
  } finally {
    await sessionManager.shutdown();
  }
  assert.deepEqual(said, [null, true]);
});

test("options of a session and a chat are kept; its end and its bound hold", async () => {
  const lines: string[] = [];
  const logger = { info: (line: string) => lines.push(line) };
  const sessionManager = new SessionManagerImpl({ client, logger, cleanupInterval: 1000 });
  const session: Session = await sessionManager.createSession(newUser(), {
    sessionName: "Support",
    preferences: { language: "en-US" },
    tags: ["urgent"],
    expiresAt: new Date(Date.now() + 200),
    autoSave: true,
  });
  assert.equal(lines.length, 1);
  assert.deepEqual(session.metadata.tags, ["urgent"]);
  assert.deepEqual(session.metadata.preferences, { language: "en-US" });
  const chat: Chat = await session.createNewChat({
    metadata: { category: "technical" },
    tags: ["support"],
    maxMessages: 2,
  });
  assert.deepEqual([chat.metadata.tags, chat.metadata.custom], [["support"], {
    category: "technical",
  }]);
  for (const text of ["1", "2", "3"]) await chat.sendMessage(text);
  assert.deepEqual((await chat.getHistory()).map((one) => one.content), ["2", "3"]);
  await eventually(async () => {
    await session.refresh();
    return !session.getStats().isActive && !session.getStats().isPaused;
  });
  assert.ok(await errorOf(chat.sendMessage("late")) instanceof IllegalState);
  await sessionManager.shutdown();
  assert.equal(client.isClosed, false);
});

test("what cannot be counted is removed again", async () => {
  const userId = newUser();
  await using away = worker.client();
  const lost = new Unavailable("no worker answered", "unavailable");
  away.list = () => Promise.reject(lost);
  const limits = { maxSessionsPerUser: 5, maxChatsPerSession: 5 };
  const manager = new SessionManagerImpl({ client: away, ...limits });
  assert.equal(await errorOf(manager.createSession(userId)), lost);
  assert.deepEqual((await client.list({ user: userId })).sessions, []);

  const counted = new SessionManagerImpl({ client: away, maxChatsPerSession: 5 });
  const session = await counted.createSession(userId);
  const get = away.get.bind(away);
  away.get = () => {
    away.get = get;
    return Promise.reject(lost);
  };
  assert.equal(await errorOf(session.createNewChat()), lost);
  assert.equal((await client.list({ user: userId })).sessions[0].chats, 0);
  // If that fails too, the error says so by its cause.
  const second = new Unavailable("it is still away", "unavailable");
  away.get = () => Promise.reject(lost);
  away.delete = () => Promise.reject(second);
  assert.equal((await errorOf(session.createNewChat())).cause, second);
});
