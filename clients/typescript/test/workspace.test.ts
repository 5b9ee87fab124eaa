// The workspace's browser side, with the routes of the Python package behind it.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import {
  provideSession,
  SessionApiClient,
  SessionApiError,
  SessionContext,
  type SessionContextOptions,
  type SessionStorage,
  useSession,
} from "../src/compat/workspace.ts";
import { errorOf, eventually, ROOT, Worker } from "./support.ts";

let worker: Worker;
let server: ChildProcess;
let origin = "";
let count = 0;

before(async () => {
  worker = await Worker.start("--threads", "1");
  const script = path.join(import.meta.dirname ?? ".", "workspace_routes.py");
  server = spawn("python3", ["-B", script], {
    env: {
      PATH: process.env.PATH,
      PYTHONPATH: path.join(ROOT, "clients/python/src"),
      LATCHKEY_TO: worker.to,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(server.stdout!)) {
    origin = `http://127.0.0.1:${line}`;
    break;
  }
});

after(async () => {
  server.kill();
  await worker.stop();
});

class Storage implements SessionStorage {
  items: Record<string, string> = {};
  getItem = (key: string): string | null => this.items[key] ?? null;
  setItem = (key: string, value: string): void => void (this.items[key] = value);
  removeItem = (key: string): void => void delete this.items[key];
}

/** A user's browser, whose network can be cut. */
class Browser {
  readonly storage = new Storage();
  readonly user = `ada-${count += 1}`;
  isOnline = true;
  requests: string[] = [];
  /** Called before a request is sent. */
  onRequest: (request: string) => void = () => undefined;
  readonly #contexts: SessionContext[] = [];

  api(): SessionApiClient {
    return new SessionApiClient({
      baseUrl: `${origin}/api/sessions`,
      getToken: () => this.user,
      pause: 1,
      fetch: (url, init) => {
        this.requests.push(`${init?.method} ${String(url).slice(origin.length)}`);
        this.onRequest(this.requests.at(-1)!);
        if (!this.isOnline) return Promise.reject(new TypeError("there is no network"));
        return fetch(url, init);
      },
    });
  }

  /** The application, opened or reloaded. */
  open(options: Partial<SessionContextOptions> = {}): SessionContext {
    const made = new SessionContext({ api: this.api(), storage: this.storage, ...options });
    this.#contexts.push(made);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const context of this.#contexts) await context.dispose();
  }
}

test("the client calls each route", async () => {
  await using browser = new Browser();
  const sessionApi = browser.api();
  assert.equal(await sessionApi.getActiveSession(), null);
  const { session } = await sessionApi.createSession({ name: "One" });
  assert.equal(session.user_id, browser.user);
  assert.equal((await sessionApi.getActiveSession())?.id, session.id);
  const updated = await sessionApi.updateSession(session.id, { session_metadata: { a: 1, b: 2 } });
  assert.deepEqual(updated.session_metadata, { a: 1, b: 2 });
  await sessionApi.autoSaveSession(session.id, { b: null });
  await sessionApi.autoSaveSession(session.id);
  await sessionApi.updateSessionActivity(session.id);
  assert.deepEqual((await sessionApi.getSession(session.id))?.session_metadata, { a: 1 });
  assert.equal((await sessionApi.linkMissionToSession(session.id, "m/1")).mission_id, "m/1");
  assert.equal((await sessionApi.completeSession(session.id)).status, "completed");
  assert.equal((await sessionApi.listSessions({ status: "completed" })).length, 1);
  assert.equal(await sessionApi.getSession("nothing"), null);
  const late = await errorOf(sessionApi.updateSession(session.id, { name: "x" }));
  assert.ok(late instanceof SessionApiError && late.status === 409);
});

test("a request whose response is lost is made once", async () => {
  await using browser = new Browser();
  await fetch(`${origin}/break`, { method: "POST", body: "2" });
  const { session } = await browser.api().initializeSession("One");
  assert.equal(browser.requests.length, 3);
  const found = await browser.api().listSessions();
  assert.deepEqual(found.map((one) => one.id), [session.id]);
});

test("a reload recovers the session, with metadata, mission and messages", async () => {
  await using browser = new Browser();
  const first = browser.open();
  const made = await first.recoverSession();
  assert.equal(made?.status, "active");
  await first.saveSessionState({ currentView: "mission-details" });
  await first.linkMissionToSession("m-1");
  assert.equal(first.getSnapshot().sessionError, null);
  const again = browser.open();
  const [recovered, same] = await Promise.all([again.recoverSession(), again.recoverSession()]);
  assert.equal(recovered, same);
  assert.equal(recovered?.id, made?.id);
  assert.equal(again.getSessionMetadata("currentView"), "mission-details");
  assert.equal(recovered?.mission_id, "m-1");
  // Another browser of the user finds it as the active one.
  browser.storage.items = {};
  assert.equal((await browser.open().recoverSession())?.id, made?.id);
});

test("a completed session is not recovered, a new one is made", async () => {
  await using browser = new Browser();
  const context = browser.open();
  const made = await context.initializeSession("One");
  await browser.api().completeSession(made.id);
  const recovered = await context.recoverSession();
  assert.notEqual(recovered?.id, made.id);
  await context.completeSession();
  assert.equal(context.getSnapshot().currentSession, null);
  assert.equal(browser.storage.getItem("currentSessionId"), null);
});

test("changes without a network wait, outlive a reload, and are saved once it is back", async () => {
  await using browser = new Browser();
  const context = browser.open();
  const made = await context.initializeSession();
  browser.isOnline = false;
  await context.saveSessionState({ a: 1 });
  await context.saveSessionState({ b: 2 });
  await context.linkMissionToSession("m-2");
  assert.equal(context.getSessionMetadata("b"), 2);
  assert.equal(context.getSnapshot().unsaved, 1);
  assert.match(context.getSnapshot().sessionError ?? "", /no network/);
  const reloaded = browser.open();
  assert.equal(await reloaded.recoverSession(), null);
  assert.notEqual(reloaded.getSnapshot().sessionError, null);
  browser.isOnline = true;
  const recovered = await reloaded.recoverSession();
  assert.deepEqual([recovered?.id, recovered?.mission_id], [made.id, "m-2"]);
  assert.deepEqual(recovered?.session_metadata, { a: 1, b: 2 });
  assert.equal(reloaded.getSnapshot().unsaved, 0);
  const stored = await browser.api().getSession(made.id);
  assert.deepEqual(stored?.session_metadata, { a: 1, b: 2 });
});

test("changes of an interval are one save, and many interactions one activity", async () => {
  await using browser = new Browser();
  const context = browser.open({ autoSaveInterval: 50, activityInterval: 20 });
  await context.initializeSession();
  browser.requests = [];
  for (let n = 0; n < 10; n += 1) context.setSessionMetadata({ n });
  await eventually(() => context.getSnapshot().unsaved === 0);
  assert.deepEqual(browser.requests.map((line) => line.split(" ")[0]), ["PUT"]);
  browser.requests = [];
  for (let n = 0; n < 10; n += 1) context.updateActivity();
  await eventually(() => browser.requests.length > 0);
  assert.match(browser.requests[0], /activity$/);
  assert.equal(browser.requests.length, 1);
});

test("a change that is made while a save is under way is saved after it", async () => {
  await using browser = new Browser();
  const context = browser.open();
  const made = await context.initializeSession();
  const saving = context.saveSessionState({ a: 1, b: 1 });
  context.setSessionMetadata({ b: 2 });
  await saving;
  await context.flush();
  assert.deepEqual((await browser.api().getSession(made.id))?.session_metadata, { a: 1, b: 2 });
});

test("a change that is made when a save has looked at all is saved before a session ends", async () => {
  await using browser = new Browser();
  const context = browser.open({ activityInterval: 1 });
  const made = await context.initializeSession();
  const saved = new Promise<void>((resolve, reject) => {
    browser.onRequest = (request) => {
      if (!request.endsWith("/activity")) return;
      browser.onRequest = () => undefined;
      context.setSessionMetadata({ late: 1 });
      context.completeSession().then(resolve, reject);
    };
  });
  context.updateActivity();
  await saved;
  const stored = await browser.api().getSession(made.id);
  assert.deepEqual([stored?.status, stored?.session_metadata], ["completed", { late: 1 }]);
});

test("what is refused for good is dropped and said, and the rest is saved", async () => {
  await using browser = new Browser();
  const context = browser.open();
  const ended = await context.initializeSession();
  context.setSessionMetadata({ a: 1 });
  await browser.api().completeSession(ended.id);
  const next = await context.initializeSession();
  context.setSessionMetadata({ b: 1 });
  await context.flush();
  assert.match(context.getSnapshot().sessionError ?? "", /completed/);
  assert.equal(context.getSnapshot().unsaved, 0);
  await context.saveSessionState({ big: "x".repeat(300_000) });
  assert.match(context.getSnapshot().sessionError ?? "", /queue is full/);
  await context.saveSessionState({ small: 1 });
  assert.deepEqual((await browser.api().getSession(next.id))?.session_metadata, { b: 1, small: 1 });
});

test("two tabs lose nothing of each other, and a storage that is full is done without", async () => {
  await using browser = new Browser();
  const tabs = [browser.open(), browser.open()];
  const made = await tabs[0].recoverSession();
  await tabs[1].recoverSession();
  browser.isOnline = false;
  await tabs[0].saveSessionState({ a: 1, both: "first" });
  await tabs[1].saveSessionState({ b: 2, both: "second" });
  browser.isOnline = true;
  await tabs[0].flush();
  const stored = await browser.api().getSession(made!.id);
  assert.deepEqual(stored?.session_metadata, { a: 1, b: 2, both: "second" });
  browser.storage.setItem = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  browser.isOnline = false;
  await tabs[0].saveSessionState({ c: 3 });
  assert.equal(tabs[0].getSnapshot().unsaved, 1);
  browser.isOnline = true;
  await tabs[0].flush();
  assert.equal((await browser.api().getSession(made!.id))?.session_metadata.c, 3);
});

test("what waits for a user is not sent as another user's of the same browser", async () => {
  await using browser = new Browser();
  const ada = browser.open({ user: "ada" });
  const made = await ada.initializeSession();
  browser.isOnline = false;
  await ada.saveSessionState({ a: 1 });
  browser.isOnline = true;
  const eve = browser.open({ user: "eve" });
  assert.equal(eve.getSnapshot().unsaved, 0);
  assert.notEqual((await eve.initializeSession()).id, made.id);
  assert.equal(browser.open({ user: "ada" }).getSnapshot().unsaved, 1);
  assert.equal((await browser.open({ user: "ada" }).recoverSession())?.session_metadata.a, 1);
});

for (const seed of [1, 2, 3]) {
  test(`tabs whose network comes and goes save the last value of each member (seed ${seed})`, async () => {
    await using browser = new Browser();
    const random = generator(seed);
    const tabs = [browser.open({ autoSaveInterval: 7 }), browser.open({ autoSaveInterval: 11 })];
    const made = await tabs[0].recoverSession();
    await tabs[1].recoverSession();
    const expected: Record<string, unknown> = {};
    for (let step = 0; step < 60; step += 1) {
      const tab = tabs[random(2)];
      const name = `m${random(4)}`;
      const value = random(5) === 0 ? null : step;
      switch (random(6)) {
        case 0:
          browser.isOnline = !browser.isOnline;
          break;
        case 1:
          await fetch(`${origin}/break`, { method: "POST", body: `${random(4)}` });
          break;
        case 2:
          await tab.flush();
          break;
        case 3:
          await tab.saveSessionState({ [name]: value });
          expected[name] = value;
          break;
        default:
          tab.setSessionMetadata({ [name]: value });
          expected[name] = value;
      }
    }
    browser.isOnline = true;
    await fetch(`${origin}/break`, { method: "POST", body: "0" });
    await eventually(async () => {
      await Promise.all(tabs.map((tab) => tab.flush()));
      return browser.storage.getItem("sessionQueue") === null;
    });
    const kept = Object.fromEntries(Object.entries(expected).filter(([, one]) => one !== null));
    assert.deepEqual((await browser.api().getSession(made!.id))?.session_metadata, kept);
  });
}

/** Whole numbers below a bound, the same ones for a seed. */
function generator(seed: number): (below: number) => number {
  let state = seed * 2654435761 % 4294967296;
  return (below) => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return Math.floor(state / 4294967296 * below);
  };
}

test("a component uses the provided context and can switch to an earlier session", async () => {
  await using browser = new Browser();
  assert.throws(useSession, /provideSession/);
  const context = browser.open();
  provideSession(context);
  let changes = 0;
  const end = context.subscribe(() => changes += 1);
  const { initializeSession, listSessions, switchToSession, saveSessionState } = useSession();
  const first = await initializeSession("First");
  const second = await initializeSession("Second");
  await saveSessionState({ of: "second" });
  assert.equal(useSession().currentSession?.id, second.id);
  assert.deepEqual((await listSessions()).map((one) => one.name), ["Second", "First"]);
  await switchToSession(first.id);
  assert.equal(useSession().currentSession?.name, "First");
  assert.equal(useSession().getSessionMetadata("of"), undefined);
  assert.equal(context.getSnapshot(), context.getSnapshot());
  assert.ok(changes > 0);
  end();
  provideSession(undefined);
});
