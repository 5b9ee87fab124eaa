// The adapters with a real worker. The frameworks are not there: the tests hold the adapters to
// interfaces written from their documentation, and do what the frameworks do.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { chatStore, resumableStreams } from "../src/ai-sdk.ts";
import { store as expressStore } from "../src/express-session.ts";
import { Busy, Client, Conflict, LatchkeyError, Stale } from "../src/index.ts";
import { cache, saver, store } from "../src/langgraph.ts";
import { storage } from "../src/m365.ts";
import { LatchkeySession } from "../src/openai-agents.ts";
import { Fake } from "../src/testing.ts";
import * as frameworks from "./frameworks.ts";
import type { SessionHistoryTransactionAwareSession } from "./frameworks.ts";
import { errorOf, eventually, Worker } from "./support.ts";

let worker: Worker;
let client: Client;
before(async () => {
  worker = await Worker.start("--threads", "1");
  client = worker.client();
});
after(async () => {
  await client.close();
  await worker.stop();
});

// --- OpenAI Agents SDK

test("openai: items are a chat, appended in batches, popped and cleared", async () => {
  const session: SessionHistoryTransactionAwareSession = new LatchkeySession("o1", { client });
  assert.equal(await session.getSessionId(), "o1");
  assert.deepEqual(await session.getItems(), []);
  assert.equal(await session.popItem(), undefined);
  await session.clearSession();
  await session.addItems([]);
  assert.equal(await client.get("o1"), null);
  await session.addItems([{ role: "user", content: "é" }, { role: "assistant" }]);
  await session.addItems([{ role: "user", content: null }]);
  assert.deepEqual(await session.getItems(2), [{ role: "assistant" }, {
    role: "user",
    content: null,
  }]);
  assert.deepEqual(await session.getItems(0), []);
  assert.deepEqual(await session.popItem(), { role: "user", content: null });
  assert.equal((await session.getItems()).length, 2);
  await session.clearSession();
  assert.deepEqual(await session.getItems(), []);
});

test("openai: a transaction is applied once, and only to what it expects", async () => {
  const session = new LatchkeySession("o2", { client });
  const [a, b, c] = ["a", "b", "c"].map((content) => ({ role: "user", content }));
  const append = {
    operationId: "op 1",
    transaction: { type: "append_items", items: [a, b] },
  } as const;
  const apply = (args: object) => session.applyHistoryTransaction(args as never);
  await Promise.all([apply(append), apply(append), apply(append)]);
  await apply(append);
  assert.deepEqual(await session.getItems(), [a, b]);
  const replace = {
    operationId: "op 2",
    transaction: { type: "replace_suffix", expectedSuffix: [b], replacement: [c, c] },
  };
  await apply(replace);
  await apply(replace);
  assert.deepEqual(await session.getItems(), [a, c, c]);
  // The order of an object's members means nothing.
  const [mixed] = [{ content: "c", role: "user" }];
  await apply({
    operationId: "op 3",
    transaction: { type: "replace_suffix", expectedSuffix: [mixed, mixed], replacement: [] },
  });
  assert.deepEqual(await session.getItems(), [a]);
  const other = { operationId: "op 2", transaction: { type: "append_items", items: [a] } };
  assert.ok(await errorOf(apply(other)) instanceof Conflict);
  const wrong = {
    operationId: "op 4",
    transaction: { type: "replace_suffix", expectedSuffix: [b], replacement: [] },
  };
  assert.ok(await errorOf(apply(wrong)) instanceof Conflict);
  // Other writers in between lose nothing.
  await Promise.all([1, 2, 3, 4].flatMap((n) => [
    session.addItems([{ n }]),
    apply({ operationId: `op 5 ${n}`, transaction: { type: "append_items", items: [{ n: -n }] } }),
  ]));
  const numbers = (await session.getItems()).slice(1).map((one) => one.n);
  assert.deepEqual(numbers.sort((x, y) => x - y), [-4, -3, -2, -1, 1, 2, 3, 4]);
  await session.replaceHistoryWithCompaction([c]);
  assert.deepEqual(await session.getItems(), [c]);
});

test("openai: in a turn the session is changed by its run alone", async () => {
  const session = new LatchkeySession("o3", { client });
  await session.turn({ wait: 5 }, async () => {
    await session.addItems([{ n: 1 }]);
    assert.ok(await errorOf(session.turn({ policy: "reject" }, () => undefined)) instanceof Busy);
    await using _other = await client.turn("o3", null, { policy: "interrupt" });
    assert.ok(await errorOf(session.addItems([{ n: 2 }])) instanceof Stale);
  }).catch((error) => assert.match(String(error), /lost/));
  assert.deepEqual(await session.getItems(), [{ n: 1 }]);
});

test("openai: a run in a turn that collects takes two round trips", async () => {
  await using fake = await Fake.start(`
    > TURN o4 last=20 idle=0s abandon=0s life=0s
    < OK {"turn":<token>,"messages":[{"seq":7,"at":<at>,"message":{"n":7}}],"more":true,<text>}
    > DONE o4 turn=<token> last=yes {"say":[{"n":8},{"n":9},{"n":10}]}
    < OK {"seq":10,"rev":1}
  `);
  await using scripted = fake.client();
  const session = new LatchkeySession("o4", { client: scripted });
  await session.turn({ collect: true }, async () => {
    assert.deepEqual(await session.getItems(1), [{ n: 7 }]);
    await session.addItems([{ n: 8 }]);
    await session.addItems([{ n: 9 }, { n: 10 }]);
    assert.deepEqual(await session.getItems(3), [{ n: 8 }, { n: 9 }, { n: 10 }]);
  });
});

test("openai: what was collected is said before any other request, and not at all after an error", async () => {
  const session = new LatchkeySession("o5", { client });
  await session.addItems([{ n: 1 }]);
  await session.turn({ collect: true }, async (turn) => {
    await session.addItems([{ n: 2 }]);
    assert.deepEqual((await session.getItems()).map(({ n }) => n), [1, 2]);
    assert.equal((await client.history("o5")).last_seq, 1); // the client's own requests do not know
    assert.deepEqual(await session.popItem(), { n: 2 });
    await session.addItems([{ n: 3 }]);
    await session.applyHistoryTransaction({
      operationId: "op",
      transaction: { type: "replace_suffix", expectedSuffix: [{ n: 3 }], replacement: [{ n: 4 }] },
    });
    await session.addItems([{ n: 5 }, { text: "x".repeat(200_000) }]);
    await session.addItems([{ text: "y".repeat(200_000) }]);
    turn.say({ n: 6 });
  });
  const found = await session.getItems();
  assert.deepEqual(found.map(({ n, text }) => n ?? text[0]), [1, 4, 5, "x", "y", 6]);
  const failed = await errorOf(session.turn({ collect: true }, async () => {
    await session.addItems([{ n: 9 }]);
    throw new Error("the model is away");
  }));
  assert.equal(failed.message, "the model is away");
  assert.equal((await session.getItems()).length, 6);
});

// --- LangGraph

class LatchkeySaver extends saver(frameworks.BaseCheckpointSaver<number>) {}
class LatchkeyStore extends store(frameworks.BaseStore) {}

const checkpoint = (n: number, more: object = {}) => ({
  v: 4,
  id: `1f0${String(n).padStart(5, "0")}-0000-6000-8000-000000000000`,
  ts: "2026-01-01T00:00:00Z",
  channel_values: { n, ...more },
  channel_versions: {},
  versions_seen: {},
});

test("langgraph: checkpoints with their writes, the latest, by id, and as lists", async () => {
  const made = new LatchkeySaver({ client });
  const base: frameworks.BaseCheckpointSaver = made;
  assert.ok(made instanceof frameworks.BaseCheckpointSaver);
  const thread = { configurable: { thread_id: "g 1" } };
  assert.equal(await base.getTuple(thread), undefined);
  let config: frameworks.RunnableConfig = thread;
  for (let n = 0; n < 12; n++) {
    const metadata = { source: "loop", step: n, parents: {} } as const;
    config = await base.put(config, checkpoint(n), metadata, {});
    await base.putWrites(config, [["a", n], ["__error__", "first"]], "task 1");
  }
  await base.putWrites(config, [["a", "late"], ["b", new Uint8Array([0, 255])]], "task 1");
  await base.putWrites(config, [["__error__", "second"]], "task 1");
  await Promise.all(
    ["t2", "t3"].map((task) => base.putWrites(config, [["c", task]], task)),
  );
  const latest = await base.getTuple(thread);
  assert.deepEqual(latest?.checkpoint, checkpoint(11));
  assert.deepEqual(latest?.pendingWrites, [
    ["t2", "c", "t2"],
    ["t3", "c", "t3"],
    ["task 1", "__error__", "second"],
    ["task 1", "a", 11],
    ["task 1", "b", new Uint8Array([0, 255])],
  ]);
  assert.equal(latest?.parentConfig?.configurable?.checkpoint_id, checkpoint(10).id);
  assert.deepEqual(latest?.config, config);
  const third = {
    configurable: { thread_id: "g 1", checkpoint_ns: "", checkpoint_id: checkpoint(3).id },
  };
  assert.equal((await base.get(third))?.channel_values.n, 3);

  // A namespace of its own, and a checkpoint of several documents.
  const inner = { configurable: { thread_id: "g 1", checkpoint_ns: "sub|1/é".repeat(40) } };
  const big = checkpoint(99, { text: "ü".repeat(450_000) });
  await base.put(inner, big, { source: "input", step: -1, parents: {} }, {});
  assert.deepEqual((await base.getTuple(inner))?.checkpoint, big);
  assert.equal((await base.get(thread))?.id, checkpoint(11).id);

  const ids = async (given: object, options?: object) => {
    const found = [];
    for await (const one of base.list(given, options)) found.push(one.checkpoint.channel_values.n);
    return found;
  };
  const root = { configurable: { thread_id: "g 1", checkpoint_ns: "" } };
  assert.deepEqual(await ids(root), [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  assert.deepEqual(await ids(root, { before: third, limit: 2 }), [2, 1]);
  assert.deepEqual(await ids(root, { filter: { step: 5 } }), [5]);
  assert.equal((await ids(thread)).length, 13);
  await base.put(
    { configurable: { thread_id: "g 2" } },
    checkpoint(50),
    latest?.metadata as never,
    {},
  );
  assert.ok((await ids({})).includes(50) && (await ids({})).includes(11));

  await made.turn("g 1", { wait: 5 }, async () => {
    await using _other = await client.turn("g 1", null, { policy: "interrupt" });
    assert.ok(await errorOf(base.putWrites(config, [["d", 1]], "t9")) instanceof Stale);
  }).catch((error) => assert.match(String(error), /lost/));
  await base.deleteThread("g 1");
  await base.deleteThread("g 1");
  assert.equal(await base.getTuple(thread), undefined);
});

test("langgraph: a store by namespaces, with filters, times and removals", async () => {
  const made = new LatchkeyStore({ client, store: "s1" });
  const base: frameworks.BaseStore = made;
  assert.equal(await base.get(["users", "ada"], "likes"), null);
  await base.put(["users", "ada"], "likes", { drink: "tea", n: 1 });
  await base.put(["users", "ada"], "likes", { drink: "coffee", n: 2 });
  await base.put(["users", "bob/é"], "likes", { drink: "tea", n: 3 });
  await base.put(["docs"], "a", { drink: null, n: 4 });
  const found = await base.get(["users", "ada"], "likes");
  assert.deepEqual([found?.value, found?.key, found?.namespace], [
    { drink: "coffee", n: 2 },
    "likes",
    ["users", "ada"],
  ]);
  assert.ok((found?.createdAt ?? 0) <= (found?.updatedAt ?? 0));
  const names = async (prefix: string[], options?: object) =>
    (await base.search(prefix, options)).map(({ value }) => value.n);
  assert.deepEqual(await names([]), [4, 2, 3]);
  assert.deepEqual(await names(["users"], { filter: { drink: "tea" } }), [3]);
  assert.deepEqual(await names([], { filter: { n: { $gte: 3, $ne: 4 } } }), [3]);
  assert.deepEqual(await names([], { filter: { drink: null } }), [4]);
  assert.deepEqual(await names([], { limit: 1, offset: 1 }), [2]);
  assert.ok(await errorOf(names([], { filter: { n: { $like: 1 } } })) instanceof RangeError);
  assert.deepEqual(await base.listNamespaces({ prefix: ["users"] }), [["users", "ada"], [
    "users",
    "bob/é",
  ]]);
  assert.deepEqual(await base.listNamespaces({ maxDepth: 1 }), [["docs"], ["users"]]);
  assert.deepEqual(await base.listNamespaces({ suffix: ["ada"] }), [["users", "ada"]]);
  await base.delete(["users", "ada"], "likes");
  await base.delete(["users", "ada"], "nothing");
  assert.equal(await base.get(["users", "ada"], "likes"), null);
  assert.deepEqual(await base.listNamespaces({ prefix: ["users"] }), [["users", "bob/é"]]);
  const results = await base.batch([
    { namespace: ["docs"], key: "a" },
    { namespace: ["docs"], key: "a", value: { n: 5 } },
    { namespacePrefix: ["docs"] },
  ]);
  assert.deepEqual([results[0].value.n, results[1], results[2][0].value.n], [4, undefined, 4]);
  assert.equal((await base.get(["docs"], "a"))?.value.n, 5);
  assert.equal(await new LatchkeyStore({ client, store: "s2" }).get(["docs"], "a"), null);
});

class LatchkeyCache extends cache(frameworks.BaseCache<unknown>) {}

test("langgraph: a cache by namespaces, with TTLs", async () => {
  const made = new LatchkeyCache({ client, cache: "c1" });
  const base: frameworks.BaseCache = made;
  const key = (name: string, ...namespace: string[]): [string[], string] => [namespace, name];
  const values = async (...keys: [string[], string][]) =>
    (await base.get(keys)).map(({ value }) => value);
  assert.deepEqual(await base.get([]), []);
  assert.deepEqual(await values(key("k", "a")), []);
  await base.set([
    { key: key("k", "a"), value: { n: 1 } },
    { key: key("", "a"), value: "empty" },
    { key: key("x".repeat(1000), "a"), value: new Uint8Array([1, 255]) },
    { key: key("k", "a", "b/é"), value: null },
    { key: key("short", "a"), value: 1, ttl: 0.05 },
  ]);
  await base.set([{ key: key("k", "a"), value: { n: 2 } }]);
  const found = await values(
    ...[key("k", "a"), key("no", "a"), key("", "a"), key("x".repeat(1000), "a")],
    key("k", "a", "b/é"),
  );
  assert.deepEqual(found, [{ n: 2 }, "empty", new Uint8Array([1, 255]), null]);
  await eventually(async () => (await values(key("short", "a"))).length === 0);
  await base.clear([["a"], ["none"]]);
  assert.deepEqual(await values(key("k", "a"), key("k", "a", "b/é")), [null]);
  await new LatchkeyCache({ client, cache: "c2" }).clear([]);
  assert.deepEqual(await values(key("k", "a", "b/é")), [null]);
  await base.clear([]);
  assert.deepEqual(await values(key("k", "a", "b/é")), []);
});

// --- AI SDK

test("ai-sdk: a chat has the messages that were saved, whatever was before", async () => {
  const chats = chatStore({ client });
  const id = await chats.createChat();
  assert.deepEqual(await chats.loadChat(id), []);
  const [a, b, c] = ["a", "b", "c"].map((name) => ({
    id: name,
    role: "user",
    parts: [{ type: "text", text: name }],
  }));
  for (const messages of [[a], [a, b], [a, b], [a, c], [c], [], [b, c, a]]) {
    await chats.saveChat({ chatId: id, messages });
    assert.deepEqual(await chats.loadChat(id), messages);
  }
  // What is there already is not said again.
  await chats.saveChat({ chatId: id, messages: [b, c, a, { ...a, id: "d" }] });
  const numbers = (await client.history(id)).messages.map(({ seq }) => seq);
  assert.equal((numbers.at(-1) ?? 0) - numbers[0], 3);
  await chats.turn(id, { wait: 1 }, () => chats.saveChat({ chatId: id, messages: [a] }));
  await chats.deleteChat(id);
  assert.deepEqual(await chats.loadChat(id), []);
});

test("ai-sdk: what a resumable stream asks of Redis", async () => {
  const { publisher, subscriber } = resumableStreams(client);
  await Promise.all([publisher.connect(), subscriber.connect()]);
  assert.equal(await publisher.get("rs:sentinel:1"), null);
  const counts = await Promise.all([1, 2, 3].map(() => publisher.incr("rs:sentinel:1")));
  assert.deepEqual(counts.sort(), [1, 2, 3]);
  assert.equal(await publisher.get("rs:sentinel:1"), "3");
  assert.equal(await publisher.set("rs:sentinel:1", "DONE", { EX: 60 }), "OK");
  const error = await errorOf(publisher.incr("rs:sentinel:1"));
  assert.match(String(error), /ERR value is not an integer or out of range/);

  const got: string[] = [];
  await subscriber.subscribe("rs:chunk:1", (message) => got.push(message));
  await publisher.publish("rs:chunk:1", "");
  await publisher.publish("rs:chunk:1", "é");
  const long = "日".repeat(40_000);
  await publisher.publish("rs:chunk:1", long);
  await publisher.publish("rs:chunk:2", "another channel");
  await eventually(() => got.join("").length === long.length + 1);
  assert.deepEqual([got[0], got[1], got.join("")], ["", "é", `é${long}`]);
  await subscriber.unsubscribe("rs:chunk:1");
  const { length } = got;
  await publisher.publish("rs:chunk:1", "late");
  await client.ping();
  assert.equal(got.length, length);
});

// --- Microsoft 365 Agents SDK

class LatchkeyStorage extends storage(frameworks.StorageV2) {}

test("m365: each key has a status and a version, in each mode", async () => {
  const made = new LatchkeyStorage({ client });
  const base: frameworks.StorageV2 = made;
  assert.ok(made instanceof frameworks.StorageV2);
  const key = "msteams/conversations/19:é%*{}";
  const status = async (call: Promise<Record<string, frameworks.StorageResult>>) =>
    (await call)[key].status;
  assert.equal(await status(base.read([key])), "notFound");
  assert.equal(await status(base.write({ [key]: { n: 0 } }, { mode: "replace" })), "notFound");
  const created = await base.write({ [key]: { n: 1 }, b: [2] }, { mode: "createOnly" });
  assert.deepEqual([created[key].status, created.b.status], ["succeeded", "succeeded"]);
  const again = await base.write({ [key]: { n: 9 } }, { mode: "createOnly" });
  assert.deepEqual(again[key], { key, status: "conflict", version: created[key].version });
  const read = await base.read<{ n: number }>([key, "missing", key]);
  assert.deepEqual(read[key], {
    key,
    status: "succeeded",
    version: created[key].version,
    value: { n: 1 },
  });
  assert.deepEqual(read.missing, { key: "missing", status: "notFound" });
  const expectedVersion = created[key].version;
  const [first, second] = await Promise.all(
    [1, 2].map((n) => status(base.write({ [key]: { n } }, { expectedVersion }))),
  );
  assert.deepEqual([first, second].sort(), ["conditionNotMet", "succeeded"]);
  assert.equal(await status(base.delete([key], { expectedVersion })), "conditionNotMet");
  const { version } = (await base.read([key]))[key];
  assert.equal(await status(base.delete([key], { expectedVersion: version })), "succeeded");
  assert.equal(await status(base.read([key])), "notFound");
  const made2 = await base.write({ [key]: { n: 3 } }, { mode: "createOnly" });
  assert.equal(made2[key].status, "succeeded");
  assert.notEqual(made2[key].version, expectedVersion);
  assert.equal(
    await status(base.write({ [key]: {} }, { expectedVersion: "x" })),
    "conditionNotMet",
  );
  await base.write({ short: { n: 1 } }, { ttl: 0.05 });
  await eventually(async () => (await base.read(["short"])).short.status === "notFound");
  const long = "k".repeat(5000);
  await base.write({ [long]: { n: 1 } });
  assert.equal((await base.read([long]))[long].status, "succeeded");
  assert.deepEqual(await base.delete(["missing", "b"]), {
    missing: { key: "missing", status: "notFound" },
    b: { key: "b", status: "succeeded" },
  });
  assert.ok(await errorOf(base.write({}, { mode: "no" })) instanceof RangeError);
  assert.ok(await errorOf(base.delete([], { expectedVersion: "" })) instanceof RangeError);
});

// --- express-session

class LatchkeySessionStore extends expressStore(frameworks.ExpressStore) {}

type Callback<T> = (error: unknown, result?: T) => void;

function called<T>(call: (callback: Callback<T>) => void): Promise<T | undefined> {
  return new Promise((resolve, reject) =>
    call((error, result) => error ? reject(error) : resolve(result))
  );
}

test("express-session: two requests at once overwrite none of each other's members", async () => {
  const made = new LatchkeySessionStore({ client });
  const base: frameworks.ExpressStore = made;
  const save = (sid: string, session: frameworks.SessionData) =>
    called<void>((done) => base.set(sid, session, done));
  const load = async (sid: string) => {
    const data = await called<frameworks.SessionData | null>((done) => base.get(sid, done));
    return data && base.createSession({}, data);
  };
  assert.equal(await load("s1"), null);
  const cookie = { expires: new Date(Date.now() + 60_000), originalMaxAge: 60_000 };
  await save("s1", { cookie, user: "ada", list: [1, 2], nothing: null });
  const [one, two] = [await load("s1"), await load("s1")];
  assert.ok(one && two);
  assert.deepEqual([one.user, one.list, one.nothing], ["ada", [1, 2], null]);
  assert.deepEqual(one.cookie.expires, cookie.expires);
  one.views = 1;
  delete one.list;
  two.cart = ["tea"];
  two.user = null;
  await Promise.all([save("s1", one), save("s1", two)]);
  const merged = await load("s1");
  assert.deepEqual(
    [merged?.views, merged?.cart, merged?.user, merged?.list, merged?.nothing],
    [1, ["tea"], null, undefined, null],
  );
  assert.deepEqual(await called((done) => made.ids(done)), ["s1"]);
  assert.equal(await called((done) => made.length(done)), 1);
  assert.equal((await called<object[]>((done) => made.all(done)))?.length, 1);

  // A request that was under way at the logout does not bring the session back.
  await called<void>((done) => base.destroy("s1", done));
  one.views = 2;
  await save("s1", one);
  await called<void>((done) => made.touch("s1", one, done));
  assert.equal(await load("s1"), null);

  // A session ends with its cookie, unless it is touched.
  const short = { cookie: { expires: new Date(Date.now() + 150), originalMaxAge: 150 }, n: 1 };
  await save("s2", short);
  short.cookie.expires = new Date(Date.now() + 400);
  await called<void>((done) => made.touch("s2", short, done));
  const from = Date.now();
  await eventually(() => Date.now() > from + 200);
  assert.equal((await load("s2"))?.n, 1);
  await eventually(async () => await load("s2") === null);
  await save("s2", { cookie, n: 2 });
  assert.equal((await load("s2"))?.n, 2);
  await called<void>((done) => made.clear(done));
  assert.deepEqual(await called((done) => made.ids(done)), []);
  assert.ok(
    await errorOf(called((done) => base.get("x".repeat(600), done))) instanceof LatchkeyError,
  );
});

test("an adapter's own client is closed with it, a given one is not", async () => {
  process.env.LATCHKEY_TO = worker.to;
  const own = new LatchkeySession("c1");
  await own.addItems([{ n: 1 }]);
  await own.close();
  assert.ok(await errorOf(own.getItems()) instanceof LatchkeyError);
  const given = new LatchkeySession("c1", { client });
  await given.close();
  assert.equal((await given.getItems()).length, 1);
});
