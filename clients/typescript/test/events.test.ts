// Watching, consuming, and the near cache.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { ALL, Client, LatchkeyError, NotFound } from "../src/index.ts";
import { errorOf, eventually, next, Relay, ScriptedWorker, Worker } from "./support.ts";

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

test("events of a device, from a place in its log on, until nothing comes", async () => {
  await client.seize("w1", "a");
  await client.clear("w1");
  const [first] = (await client.events("w1")).events;
  await client.seize("w1", "b");
  await client.clear("w1");
  const found: unknown[] = [];
  for await (
    const event of client.watch("w1", { after: first.id, types: "lock.cleared", idle: 0.1 })
  ) {
    found.push([event.type, event.agent]);
  }
  assert.deepEqual(found, [["lock.cleared", "b"]]);
  assert.equal(first.type, "lock.cleared");
});

test("changes are given as they happen, and a signal ends the iteration", async () => {
  await client.session("w2");
  const aborting = new AbortController();
  const events = client.watch("w2", { changes: true, signal: aborting.signal });
  const begun = events.next();
  await eventually(async () => {
    await client.tell("w2", "typing", { by: "ada" });
    const event = await Promise.race([begun, Promise.resolve()]);
    return event?.value?.type === "custom.typing";
  });
  await client.say("w2", { text: "Hi" });
  let said;
  do [said] = await next(events, 1); while (said.type === "custom.typing");
  assert.deepEqual([said.type, said.id, said.seq], ["chat.said", "", 1]);
  const waiting = errorOf(events.next());
  aborting.abort(new Error("enough"));
  assert.equal((await waiting).message, "enough");
  assert.equal((await events.next()).done, true);
});

test("iterators end with their client", async () => {
  const other = worker.client();
  const live = Promise.withResolvers<void>();
  const watching = errorOf(other.watch("w4", { onLive: live.resolve }).next());
  const consuming = errorOf((async () => {
    for await (const _ of other.consume("w4")); // what earlier tests have left, and then nothing
  })());
  await live.promise;
  await other.close();
  for (const error of [await watching, await consuming]) {
    assert.ok(error instanceof LatchkeyError && /closed/.test(error.message), String(error));
  }
  assert.ok(await errorOf(other.watch("w4").next()) instanceof LatchkeyError);
});

test("a watch survives its worker, and loses nothing", async () => {
  await using other = await Worker.start("--threads", "1");
  await using caller = other.client({ timeout: 20 });
  await caller.seize("w3", "a0");
  await caller.seize("w3", "a1");
  const after = (await caller.events("w3")).events[0].id;
  const events = caller.watch("w3", { after, types: ["lock.seized"] });
  for (let n = 2; n <= 7; n++) {
    await caller.seize("w3", `a${n}`);
    assert.equal((await next(events, 1))[0].to, `a${n}`);
    if (n % 2 === 1) {
      await other.stop();
      await other.restart();
    }
  }
  await events.return();
});

test("a group's events are acknowledged one by one, and come again when they were not", async () => {
  for await (const _ of client.consume("g", { idle: 0 })); // a group begins with what there is
  for (const agent of ["a", "b", "c"]) await client.seize("c1", agent);
  await client.clear("c1");
  const seen: unknown[] = [];
  for await (
    const event of client.consume("g", { types: ["lock.seized", "lock.cleared"], idle: 0 })
  ) {
    if (event.device === "c1") seen.push(event.type);
  }
  assert.deepEqual(seen, ["lock.seized", "lock.seized", "lock.cleared"]);
  for await (const event of client.consume("g", { idle: 0 })) {
    assert.fail(`${event.type} comes again`);
  }
  const { id } = (await client.events("c1")).events[0];
  assert.equal((await client.ack("g", [id])).acked, 0);
  assert.throws(() => client.consume("", { idle: 0 }), RangeError);
});

test("a worker that resumes too late is noticed, and one that drains is left", async () => {
  const event = (id: string) =>
    `EVENT {"id":"${id}","type":"lock.cleared","device":"d","at":1,"agent":"a%20b"}`;
  await using scripted = await ScriptedWorker.start([
    "OK\n" + event("1-0") + '\nEVENT {"type":"worker.draining"}',
    'OK {"lost":true}\n' + event("1-0") + "\n" + event("2-0"),
  ]);
  await using other = new Client(scripted.to);
  const events = other.watch(ALL);
  const found = (await next(events, 3)).map(({ id, type, agent }) => [id, type, agent]);
  assert.deepEqual(found, [
    ["1-0", "lock.cleared", "a b"],
    ["", "watch.lost", undefined],
    ["2-0", "lock.cleared", "a b"],
  ]);
  assert.deepEqual(scripted.lines, ["WATCH *", "WATCH * after=1-0"]);
  await events.return();
});

test("a watch whose rights have ended says so last, and ends", async () => {
  const event = 'EVENT {"id":"1-0","type":"lock.cleared","device":"d","at":1}';
  const drains = 'EVENT {"type":"worker.draining"}';
  for (
    const [reason, first, again] of [
      ["auth_required", 'EVENT {"type":"watch.ended","reason":"auth_required"}', ""],
      ["forbidden", 'EVENT {"type":"watch.ended","device":"d","reason":"forbidden"}', ""],
      ["forbidden", drains, "ERR forbidden no"],
      ["none", drains, "NONE"],
    ]
  ) {
    await using scripted = await ScriptedWorker.start([
      "OK",
      `OK {"events":[]}\n${event}\n${first}`,
      again,
    ]);
    await using other = new Client(scripted.to);
    const found: unknown[] = [];
    for await (const { type, reason } of other.watch("d", { types: "lock.cleared" })) {
      found.push([type, reason]);
    }
    assert.deepEqual(found, [["lock.cleared", undefined], ["watch.ended", reason]]);
  }
  await using scripted = await ScriptedWorker.start(["NONE"]);
  await using other = new Client(scripted.to);
  assert.ok(await errorOf(other.watch("d").next()) instanceof NotFound);
});

test("a new token goes on with a watch; one that is refused ends it", async () => {
  const event = 'EVENT {"id":"1-0","type":"lock.cleared","device":"d","at":1}';
  const ended = 'EVENT {"type":"watch.ended","reason":"auth_required"}';
  const page = 'OK {"events":[]}';
  await using scripted = await ScriptedWorker.start(
    ["OK", `${page}\n${ended}`, "OK", `${page}\n${event}\n${ended}`],
    ["OK", "OK", "ERR forbidden x", "ERR forbidden x"],
  );
  await using other = new Client(scripted.to, { secret: () => Promise.resolve("token") });
  const types: string[] = [];
  for await (const { type } of other.watch("d")) types.push(type);
  assert.deepEqual(types, ["lock.cleared", "watch.ended"]);
});

test("the near cache answers from memory until something changes", async () => {
  await using near = await client.near();
  await near.session("n1", { n: 0 });
  await near.say("n1", { n: 0 });
  for (let n = 0; n < 50; n++) assert.equal((await near.history("n1")).last_seq, 1);
  assert.ok(near.hits >= 48 && near.misses <= 2, `${near.hits} ${near.misses}`);
  // One's own change is seen by the next read, others' as soon as they were pushed.
  await near.say("n1", { n: 1 });
  assert.equal((await near.history("n1")).last_seq, 2);
  await client.say("n1", { n: 2 });
  await eventually(async () => (await near.history("n1")).last_seq === 3);
  const record = await near.get("n1");
  (record?.fields ?? {}).n = "changed by the caller";
  assert.equal((await near.get("n1"))?.fields.n, 0);
  assert.equal(await near.get("n2"), null);
  const results = await Promise.all(Array.from({ length: 150 }, (_, n) => near.get(`n3-${n}`)));
  assert.ok(results.every((one) => one === null));
});

test("near caches of several callers over links that are cut: what was seen is never unseen", async () => {
  await using relay = await Relay.start(worker.to);
  const callers = await Promise.all([0, 1, 2, 3].map(async (name) => {
    const own = new Client(name % 2 === 0 ? worker.to : relay.to, { timeout: 20 });
    return { own, near: await own.near({ fresh: 0.1 }) };
  }));
  const devices = ["nm1", "nm2", "nm3"];
  for (const device of devices) await client.session(device, { n: 0 });
  const seed = Number(process.env.LATCHKEY_TEST_SEED) || Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
  let cuts = 0;
  const wander = async ({ near }: (typeof callers)[number]) => {
    const seen = new Map<string, number>();
    for (let step = 0; step < 70; step++) {
      const device = devices[random(devices.length)];
      const at = `${device}, step ${step}, seed ${seed}`;
      if (random(8) === 0) {
        const { rev } = await near.set(device, { n: step });
        seen.set(device, Math.max(rev, seen.get(device) ?? 0));
      } else if (random(40) === 0) {
        relay.cut();
        cuts += 1;
      } else {
        const record = await near.get(device);
        assert.ok(record !== null && record.rev >= (seen.get(device) ?? 0), at);
        seen.set(device, record.rev);
      }
    }
  };
  await Promise.all(callers.map(wander));
  for (const { own, near } of callers) {
    for (const device of devices) {
      const { rev } = (await client.get(device)) ?? { rev: 0 };
      await eventually(async () => (await near.get(device))?.rev === rev);
    }
    assert.ok(near.hits > 0 || cuts > 20, `seed ${seed}`);
    await near.close();
    await own.close();
  }
});

test("a near cache has no stale reply when its worker is gone or frozen", async () => {
  await using other = await Worker.start("--threads", "1");
  await using caller = other.client({ timeout: 20 });
  await using near = await caller.near({ fresh: 0.2 });
  await near.session("n4", { n: 0 });
  for (let n = 1; n <= 3; n++) {
    assert.equal((await near.get("n4"))?.fields.n, n - 1);
    if (n === 2) {
      await other.kill();
      await other.restart();
      await caller.session("n4", { n: n - 1 }); // its Redis has ended with it
      await caller.set("n4", { n: n - 1 });
    }
    await caller.set("n4", { n });
    await eventually(async () => (await near.get("n4"))?.fields.n === n);
  }
  other.signal("SIGSTOP");
  const from = Date.now();
  await eventually(() => Date.now() > from + 250);
  const asked = errorOf(near.within(0.3).get("n4"));
  assert.ok(await asked instanceof LatchkeyError); // rather than an old reply
  other.signal("SIGCONT");
  await eventually(async () => (await near.get("n4"))?.fields.n === 3);
});
