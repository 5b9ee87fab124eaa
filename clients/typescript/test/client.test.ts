// The client with a real worker: turns, locks, sessions, and what it does when a worker fails.

import assert from "node:assert/strict";
import * as net from "node:net";
import { after, before, test } from "node:test";

import {
  Busy,
  Client,
  Conflict,
  Forbidden,
  Held,
  LatchkeyError,
  LockLost,
  NotFound,
  Quota,
  RawId,
  Stale,
  TurnLost,
  Unavailable,
  UnknownOutcome,
  verbs,
} from "../src/index.ts";
import { decodeId, encodeId } from "../src/names.ts";
import { errorOf, eventually, run, ScriptedWorker, Worker } from "./support.ts";

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

const texts = async (device: string) =>
  (await client.history(device)).messages.map(({ message }) => message.text);

test("a turn as a block: its end says the answer; a second delivery has nothing to do", async () => {
  const device = "phone/7 (Ada's)";
  const handle = (id: string) =>
    client.turn(device, { text: "Tuesday?" }, { agent: "scheduling", req: id }, (turn) => {
      if (turn.isOver) return undefined;
      assert.equal(turn.messages.at(-1)?.message.text, "Tuesday?");
      turn.say({ text: "At ten." });
      turn.set({ answered: 1 }, { phase: "asking" });
      return "At ten.";
    });
  assert.equal(await handle("e1"), "At ten.");
  assert.equal(await handle("e1"), undefined);
  assert.deepEqual(await texts(device), ["Tuesday?", "At ten."]);
  const record = await client.get(device);
  assert.deepEqual([record?.fields, record?.phase], [{ answered: 1 }, "asking"]);
  assert.equal((await client.holder(device))?.agent, "scheduling");
});

test("a turn whose block throws ends, and says nothing", async () => {
  const failed = new Error("the model is away");
  const error = await errorOf(client.turn("t1", { text: "one" }, {}, (turn) => {
    turn.say({ text: "never" });
    throw failed;
  }));
  assert.equal(error, failed);
  await client.turn("t1", { text: "two" }, { policy: "reject" }, () => undefined); // it has ended
  assert.deepEqual(await texts("t1"), ["one", "two"]);
});

test("a turn whose answer is refused ends, and says nothing", async () => {
  const refused = await errorOf(client.turn("t1b", { text: "one" }, {}, (turn) => {
    turn.say({ text: "x".repeat(300_000) });
  }));
  assert.equal(refused.code, "too_large");
  await using turn = await client.turn("t1b", null, { policy: "reject" });
  assert.equal(turn.messages.length, 1);
  turn.onError = "abandon";
});

test("a turn that is left to expire goes on with a second delivery of its event", async () => {
  const options = { req: "e1", ttl: 30 };
  const failed = errorOf(client.turn("t1c", { text: "one" }, options, (turn) => {
    turn.onError = "abandon";
    throw new Error("out of memory");
  }));
  assert.equal((await failed).message, "out of memory");
  await client.turn("t1c", { text: "one" }, options, (turn) => turn.say({ text: "two" }));
  assert.deepEqual(await texts("t1c"), ["one", "two"]);
});

test("a turn by await using applies what done applies, and ends without it", async () => {
  {
    await using turn = await client.turn("t2", { text: "one" });
    turn.say({ text: "said" });
    assert.equal(await turn.done(), true);
    assert.equal(turn.isOver, true);
    assert.throws(() => turn.say({ text: "late" }), LatchkeyError);
  }
  {
    await using turn = await client.turn("t2", { text: "two" });
    turn.say({ text: "unsaid" });
    turn.put({ key: "unwritten" });
  }
  assert.equal(client.attach("t2").id, undefined);
  await using turn = await client.turn("t2", null, { policy: "reject" });
  assert.deepEqual(turn.messages.map(({ message }) => message.text), ["one", "said", "two"]);
  assert.deepEqual((await turn.session.keys()).documents, []);
});

test("a turn goes on with joined messages, and is lost when another interrupts it", async () => {
  await using turn = await client.turn("t3", { text: "one" });
  const joined = await client.turn("t3", { text: "two" }, { policy: "join" });
  assert.deepEqual([joined.isJoined, joined.isOver, joined.number], [true, true, turn.number]);
  turn.say({ text: "first" });
  assert.equal(await turn.done(), false);
  assert.deepEqual(turn.messages.map(({ message }) => message.text), ["two"]);
  await turn.part({ text: "sec" });
  assert.deepEqual((await client.history("t3")).draft, [{ text: "sec" }]);

  const busy = await errorOf(client.turn("t3", null, { policy: "reject" }));
  assert.ok(busy instanceof Busy && busy.ttlMs > 0 && busy.ahead === 0);
  await using other = await client.turn("t3", null, { policy: "interrupt" });
  assert.ok(await errorOf(turn.part({ text: "late" })) instanceof TurnLost);
  assert.equal(turn.lost, true);
  assert.ok(await errorOf(turn.session.say({ text: "late" })) instanceof Stale);
  assert.equal(other.check(), undefined);
});

test("turns of several callers are served in the order of asking", async () => {
  const said: number[] = [];
  await Promise.all([1, 2, 3, 4].map((n) =>
    client.turn("t4", { n }, { wait: 10 }, async (turn) => {
      said.push(n);
      await client.ping();
      turn.say({ answer: n });
    })
  ));
  assert.deepEqual(said, [1, 2, 3, 4]);
  const { messages } = await client.history("t4");
  assert.deepEqual(
    messages.map(({ message }) => message.n ?? -message.answer),
    [1, -1, 2, -2, 3, -3, 4, -4],
  );
});

test("a lock is renewed in its block, released at its end, and its loss is noticed", async () => {
  {
    await using lock = await client.lock("l1", "a", { ttl: "300ms" });
    const held = await errorOf(client.lock("l1", "b"));
    assert.ok(held instanceof Held && held.agent === "a" && held.ttlMs > 0);
    await eventually(async () => { // without a renewal it would have ended
      assert.equal((await client.holder("l1"))?.acquired_at, lock.acquiredAt);
      return Date.now() > lock.acquiredAt + 600;
    });
    lock.check();
  }
  assert.equal(await client.holder("l1"), null);

  const seized = await errorOf(client.lock("l1", "a", {}, async (lock) => {
    await client.seize("l1", "b");
    await lock.renew().catch(() => undefined);
    assert.equal(lock.lost, true);
    assert.throws(() => lock.check(), LockLost);
  }));
  assert.ok(seized instanceof LockLost && seized.cause instanceof Held);

  const lock = await client.lock("l2", "a", { renew: false });
  const grant = await lock.handoff("b", { invoice: 17 }, { return: 60 });
  assert.ok(grant.agent === "b" && grant.token > lock.token);
  assert.deepEqual((await client.holder("l2"))?.note, { invoice: 17 });
  await lock[Symbol.asyncDispose](); // it is the receiver's
  assert.equal((await client.holder("l2"))?.agent, "b");
});

test("sessions: verbs without the address, under a token, by chat", async () => {
  const session = await client.session("phone 10", { lang: "en" }, { user: "ada" });
  assert.equal(session.record?.state, "active");
  assert.deepEqual(await session.set({ lang: "de" }, { phase: "intake" }), { rev: 2 });
  assert.deepEqual(await session.say([{ role: "user" }, { role: "assistant" }]), {
    seq: 2,
    chat: 1,
  });
  assert.deepEqual(await session.chat({ model: "large" }, { name: "research" }), {
    chat: 2,
    name: "research",
  });
  assert.deepEqual((await session.at(1).history({ after: 1 })).messages.map(({ seq }) => seq), [2]);
  await session.at("@notes").say({ text: "made by name" });
  await session.put("run 1", { n: 1 });
  assert.equal((await session.take(["run 1", "run 2"])).documents[1], null);
  assert.equal((await session.drop(null, { prefix: "run" })).removed, 1);
  assert.deepEqual(
    await client.attach("phone 10", session.id).get({ fields: "none", as: "bob" }),
    null,
  );
  assert.equal((await client.list({ user: "ada" })).sessions[0].device, "phone 10");
  const exported = await session.export();
  assert.equal((await client.import(exported, { asNew: true })).device, "phone 10");
  assert.equal((await session.close("failed")).state, "failed");
  const fenced = client.attach("phone 10", session.id, { token: 1 });
  assert.ok(await errorOf(fenced.touch()) instanceof LatchkeyError);
  await session.delete();
  assert.ok(await errorOf(session.touch()) instanceof NotFound);
});

test("several requests are one round trip, in their order", async () => {
  const [record, said, history] = await client.askAll([
    verbs.recover("a1", { lang: "en" }),
    verbs.say("a1", { text: "Hi" }),
    verbs.history("a1"),
  ]);
  assert.deepEqual([record.how, said.seq, history.last_seq], ["new", 1, 1]);
  assert.deepEqual(await client.askAll([]), []);
  const error = await errorOf(
    client.askAll([verbs.say("a1", {}, { seq: 9 }), verbs.say("a1", {})]),
  );
  assert.ok(error instanceof Stale && error.seq === 1);
  assert.equal((await client.history("a1")).last_seq, 2);
});

test("parameters that cannot be sent are rejected before anything is", async () => {
  for (
    const call of [
      () => client.get(""),
      () => client.set("d", { n: NaN }),
      () => client.say("d", "text" as never),
      () => client.lock("d", "a", { ttl: -1 }),
      () => client.lock("d", "a", { ttl: "1 h" }),
      () => client.get({ device: "d", session: "current", chat: 1 }),
      () => client.list({ user: "a", tag: "b" }),
      () => client.import("a\nb"),
      () => client.holder(7 as never),
      () => client.put("d", "k", undefined as never),
      () => client.history("d", { last: 1.5 }),
    ]
  ) {
    const error = await errorOf(call());
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
  }
  for (const to of ["", "a:0", "::1", "a:b", "http://a,b:1"]) {
    assert.throws(() => new Client(to === "" ? [] : to), RangeError, to);
  }
  assert.throws(() => new Client({ secret: "a", jwt: "b" }), RangeError);
});

test("an id that no text encodes to is sent back as it came", async () => {
  const id = decodeId("caf%c3%a9");
  assert.ok((id as unknown) instanceof RawId);
  assert.equal(encodeId(id), "caf%c3%a9");
  await client.open(id);
  assert.equal(String((await client.get(id))?.device), "caf%c3%a9");
  assert.equal((await client.list(id)).sessions.length, 1);
  for (const text of ["a\ud800b", "\u{10ffff}", "é日", "%", "*", "a\u0000b"]) {
    assert.equal(decodeId(encodeId(text)), text);
  }
});

test("a call ends with its signal; the connection stays in step", async () => {
  const reason = new Error("enough");
  const aborting = new AbortController();
  await using turn = await client.turn("s1", { text: "one" });
  const waiting = errorOf(client.turn("s1", null, { wait: 60, signal: aborting.signal }));
  await eventually(async () => (await client.stats()).turns.waiting > 0);
  aborting.abort(reason);
  assert.equal(await waiting, reason);
  // Its connection was closed, so that the worker waits for it no more.
  await eventually(async () => (await client.stats()).turns.waiting === 0);
  await turn.done();
  const called = client.stats({ signal: AbortSignal.timeout(0) });
  const others = [client.holder("s1"), client.get("s1")] as const;
  await called.catch((error) => assert.equal(error.name, "TimeoutError"));
  const [holder, record] = await Promise.all(others);
  assert.deepEqual([holder, record?.device], [null, "s1"]);
  assert.equal(await errorOf(client.ping({ signal: AbortSignal.abort(reason) })), reason);
});

test("a lost reply, and an unknown outcome, are asked for again by the same line", async () => {
  await using scripted = await ScriptedWorker.start([
    null,
    "ERR unknown_outcome no answer",
    "OK {}",
  ]);
  await using other = new Client(scripted.to);
  await other.touch("d");
  assert.equal(new Set(scripted.lines).size, 1);
  assert.equal(scripted.lines.length, 3);
  assert.equal(scripted.connections, 3);
});

test("what has no reply within the deadline is unknown, or unavailable where it is no change", async () => {
  await using scripted = await ScriptedWorker.start([]);
  await using other = new Client(scripted.to, { timeout: 0.15, replyTimeout: 0.05 });
  const unknown = await errorOf(other.touch("d", { req: "e 1" }));
  assert.ok(unknown instanceof UnknownOutcome && unknown.req === "e 1");
  assert.ok(await errorOf(other.holder("d")) instanceof Unavailable);
  await using away = new Client("127.0.0.1:1", { timeout: 0.1 });
  const error = await errorOf(away.touch("d"));
  assert.ok(error instanceof Unavailable && /ECONNREFUSED/.test(error.message), error.message);
  assert.equal(
    (await errorOf(client.within("10ms").turn("x", null, { wait: "x" }))).name,
    "RangeError",
  );
});

test("of several workers the next is tried at once, and requests together go on behind a reply", async () => {
  await using first = await ScriptedWorker.start(['OK {"n":1}', null]);
  await using second = await ScriptedWorker.start(['OK {"n":2}', 'OK {"n":3}']);
  for (const to of [`${first.to},${second.to}`]) {
    const other = new Client(to, { timeout: 2 });
    while (String(other.options.endpoints.current) !== first.to) {
      other.options.endpoints.failed(other.options.endpoints.current);
    }
    const requests = [verbs.info(), verbs.info(), verbs.info()] as const;
    assert.deepEqual(await other.askAll(requests), [{ n: 1 }, { n: 2 }, { n: 3 }]);
    await other.close();
  }
  assert.deepEqual([first.lines.length, second.lines.length], [3, 2]);
});

test("a secret is asked for with each connection, and anew when it was rejected", async () => {
  const expired = "ERR auth_required the token has expired";
  await using scripted = await ScriptedWorker.start(["OK {}", expired, "OK {}"], [
    'OK {"name":"a"}',
    'OK {"name":"a"}',
  ]);
  let made = 0;
  await using other = new Client({
    to: scripted.to,
    jwt: () => Promise.resolve(`token-${made++}`),
  });
  await other.ping();
  await other.ping();
  assert.deepEqual(scripted.lines, [
    "AUTH jwt token-0",
    "PING",
    "PING",
    "AUTH jwt token-1",
    "PING",
  ]);
  const failing = new Client({ to: scripted.to, secret: () => Promise.reject(new Error("vault")) });
  assert.equal((await errorOf(failing.ping())).message, "vault");
  // What has failed once may succeed the next time; one that hangs has sent nothing.
  for (const to of [scripted.to, `http://${scripted.to}`]) {
    let asked = 0;
    await using later = new Client({
      to,
      timeout: 0.2,
      secret: () => asked++ === 0 ? Promise.reject(new Error("vault")) : Promise.resolve("s"),
    });
    assert.equal((await errorOf(later.touch("d"))).message, "vault");
    assert.notEqual((await errorOf(later.touch("d"))).message, "vault");
    assert.ok(asked >= 2);
  }
  const never = Promise.withResolvers<string>();
  await using hanging = new Client({ to: scripted.to, timeout: 0.1, secret: () => never.promise });
  assert.ok(await errorOf(hanging.touch("d")) instanceof Unavailable);
  never.resolve("s");
  await using wrong = await ScriptedWorker.start([], ["ERR forbidden invalid secret"]);
  const refused = await errorOf(new Client(wrong.to, { secret: "s3 cret" }).ping());
  assert.equal(refused.code, "forbidden");
  assert.equal(wrong.lines[0], 'AUTH "s3 cret"');
});

test("a connection that has ended, or was idle, is replaced before the next request", async () => {
  await using scripted = await ScriptedWorker.start(["OK", null, "OK", "OK", "OK"]);
  await using other = new Client(scripted.to, { idle: 0.02 });
  await other.ping();
  await errorOf(other.within(0).ping()); // the worker closes the connection
  await other.ping();
  const { connections } = scripted;
  const from = Date.now();
  await eventually(() => Date.now() > from + 30);
  await other.ping();
  assert.equal(scripted.connections, connections + 1);
});

test("a drain and a kill lose nothing, and apply nothing twice", async () => {
  await using other = await Worker.start("--threads", "1", "--drain-grace", "1s");
  await using caller = other.client({ timeout: 20 });
  const said: Promise<unknown>[] = [];
  for (let n = 0; n < 60; n++) {
    said.push(
      caller.say("d", { n }).catch((error) => {
        if (!(error instanceof NotFound)) throw error;
        return caller.session("d").then(() => caller.say("d", { n }));
      }),
    );
    if (n === 20) {
      await said[0];
      await other.stop();
      await other.restart();
    }
  }
  await Promise.all(said);
  const { messages } = await caller.history("d", { last: 100 });
  assert.deepEqual(
    messages.map(({ message }) => message.n).sort((a, b) => a - b),
    Array.from({ length: 60 }, (_, n) => n),
  );
});

test("an idempotency key that was used for another request is a conflict; a limit is a quota", async () => {
  await client.open("q1", {}, { req: "once" });
  assert.ok(await errorOf(client.open("q1", { a: 1 }, { req: "once" })) instanceof Conflict);
  await client.chat("q1", null, { name: "small", maxMessages: 1, full: "refuse" });
  await client.say("q1", { n: 1 });
  assert.ok(await errorOf(client.say("q1", { n: 2 })) instanceof Quota);
});

test("a closed client throws, and an open one does not keep the process", async () => {
  const closed = worker.client();
  await closed.ping();
  await closed.close();
  assert.ok(await errorOf(closed.ping()) instanceof LatchkeyError);
  const program = `
    import { Client } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
    const client = new Client(${JSON.stringify(worker.to)});
    const lock = await client.lock("p1", "a", { ttl: 600 });
    const turn = await client.turn("p1", { text: "one" });
    console.log(lock.agent, turn.isOver, (await client.get("p1")).device);
  `;
  const words = ["--input-type=module", "--eval", program];
  assert.equal(run(process.execPath, words, { timeout: 20_000 }), "a false p1\n");
});

test("a connection that is being made when its client is closed does not stay", async () => {
  let opened = 0;
  let ended = 0;
  const server = net.createServer((socket) => {
    opened += 1;
    socket.on("data", () => socket.write("OK\n"));
    socket.on("error", () => undefined).on("close", () => ended += 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const closed = new Client(`127.0.0.1:${port}`, { timeout: 5 });
  const call = errorOf(closed.ping());
  await closed.close();
  assert.ok(await call instanceof LatchkeyError);
  await eventually(() => opened === 1 && ended === 1);
  server.close();
});

test("a lock that cannot be renewed after a long wait is released", async () => {
  const grant = 'OK {"agent":"a","token":7,"ttl_ms":1,"acquired_at":1,"renewed":false}';
  const refused = "ERR forbidden no";
  const acquired = async (...script: string[]) => {
    await using scripted = await ScriptedWorker.start(script);
    await using caller = new Client(scripted.to);
    const error = await errorOf(caller.lock("d", "a", { wait: 1, req: "r 1" }));
    return [error, scripted.lines.map((line) => line.split(" ")[0]).join(" ")] as const;
  };
  for (const unlocked of ['OK {"held_ms":1}', "NONE"]) {
    const [error, verbs] = await acquired(grant, refused, unlocked);
    assert.ok(error instanceof Forbidden, String(error));
    assert.equal(verbs, "LOCK RENEW UNLOCK");
  }
  const [unknown] = await acquired(grant, refused, refused);
  assert.ok(unknown instanceof UnknownOutcome && unknown.req === "r 1", String(unknown));
  const [lost, verbs] = await acquired(grant, "NONE");
  assert.ok(lost instanceof LockLost, String(lost));
  assert.equal(verbs, "LOCK RENEW");
});
