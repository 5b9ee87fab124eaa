// Changes in the background, sessions without a worker, and the workers for tests.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as net from "node:net";
import * as path from "node:path";
import { after, before, test } from "node:test";

import {
  BadRequest,
  Client,
  Held,
  IllegalState,
  LatchkeyError,
  QueueFull,
  type Session,
  Unavailable,
  verbs,
} from "../src/index.ts";
import { parseReply } from "../src/reply.ts";
import { Fake, TestWorker } from "../src/testing.ts";
import { errorOf, eventually, ROOT, run } from "./support.ts";

let worker: TestWorker;
let client: Client;
before(async () => {
  worker = await TestWorker.start({ options: ["--threads", "1"] });
  client = worker.client();
});
after(async () => {
  await client.close();
  await worker[Symbol.asyncDispose]();
});

test("changes are written behind in order, and applied when the block has ended", async () => {
  await client.open("b1");
  {
    await using behind = client.writeBehind();
    for (let n = 0; n < 20; n++) behind.say("b1", { n });
    behind.set("b1", { last: 19 });
    behind.link("b1", "tag", "x");
    assert.equal(behind.count, 22);
  }
  const { messages } = await client.history("b1");
  assert.deepEqual(
    messages.map(({ message }) => message.n),
    Array.from({ length: 20 }, (_, n) => n),
  );
  const record = await client.get("b1");
  assert.deepEqual([record?.fields, record?.links.tag], [{ last: 19 }, ["x"]]);
});

test("a change that is made right after a flush is sent without another call", async () => {
  await client.open("b0");
  const behind = client.writeBehind();
  const draft = client.attach("b0").autosave({ quiet: 0.01 });
  for (let n = 1; n <= 3; n++) {
    behind.say("b0", { n });
    draft.set({ n });
    await Promise.all([behind.flush(), draft.flush()]);
    behind.say("b0", { n: -n });
    draft.set({ n: -n });
    await eventually(() => behind.count === 0 && draft.isSaved);
    behind.say("b0", { n });
    await behind.flush();
    behind.say("b0", { n: -n });
    await eventually(() => behind.count === 0);
    draft.set({ n });
    await draft.flush();
    draft.set({ n: -n });
    await eventually(() => draft.isSaved);
  }
  assert.equal((await client.history("b0")).last_seq, 12);
  await Promise.all([behind.close(), draft.close()]);
});

test("a queue goes on when its worker is back, each change once; refusals are reported", async () => {
  await using other = await TestWorker.start({ options: ["--threads", "1"] });
  await using caller = other.client({ timeout: 0.3, replyTimeout: 0.1 });
  await caller.within(10).open("b2");
  await other.stop();
  const behind = caller.writeBehind();
  for (let n = 0; n < 5; n++) behind.say("b2", { n });
  const left = await errorOf(behind.flush(0.2));
  assert.ok(left instanceof Unavailable && behind.count === 5, String(left));
  await other.restart();
  await behind.flush(20);
  assert.equal((await caller.within(10).history("b2")).last_seq, 5);
  behind.say("no such device", { n: 1 });
  assert.equal((await errorOf(behind.flush(10))).name, "NotFound");
  await behind.close(10);
  assert.throws(() => behind.touch("b2"), LatchkeyError);

  const refused: LatchkeyError[] = [];
  await using reporting = client.writeBehind({ onError: (error) => refused.push(error) });
  reporting.say("no such device", { n: 1 });
  await reporting.flush();
  assert.deepEqual(refused.map(({ code }) => code), ["NONE"]);
});

test("a queue has bounds", async () => {
  await using away = new Client("127.0.0.1:1", { timeout: 0.05 });
  const behind = away.writeBehind({ countMax: 2, bytesMax: 10_000 });
  assert.throws(() => behind.say("d", { text: "x".repeat(10_000) }), QueueFull);
  behind.put(verbs.touch("d"));
  behind.setChat({ device: "d", chat: 1 }, { a: 1 });
  assert.throws(() => behind.unlink("d", "a", "b"), QueueFull);
  assert.ok(await errorOf(behind.close(0.05)) instanceof Unavailable);
});

test("an auto-save writes what has changed when the changes pause", async () => {
  const session = await client.session("b3");
  {
    await using draft = session.autosave({ quiet: 60 });
    const fields: Record<string, unknown> = { title: "P" };
    draft.set(fields);
    fields.title = "changed later";
    draft.set({ text: "t" });
    draft.set({ title: "Plan" });
    assert.equal(draft.isSaved, false);
  }
  const record = await client.get("b3");
  assert.deepEqual([record?.fields, record?.rev], [{ title: "Plan", text: "t" }, 2]);
  const draft = session.autosave({ quiet: 0.05, longest: 0.2 });
  draft.set({ text: null });
  await eventually(() => draft.isSaved);
  assert.deepEqual((await client.get("b3"))?.fields, { title: "Plan" });
  await session.close();
  draft.set({ text: "late" });
  assert.ok(await errorOf(draft.close()) instanceof IllegalState);
  assert.throws(() => draft.set({ n: NaN }), RangeError);
});

/** The results of many calls, without what differs between any two sessions. */
async function converse(session: Session): Promise<unknown> {
  const results = [
    await session.history(),
    await session.pop(),
    await session.set({ a: null, b: { c: [1.5, "é"] } }, { name: "first draft", step: "two" }),
    await session.say({ n: 1 }),
    await session.say([{ n: 2 }, { n: 3 }]),
    await session.at(1).history({ last: 2 }),
    await session.history({ limit: 2 }),
    await session.history({ last: 0 }),
    await session.history({ after: 1 }),
    await session.history({ after: 0, limit: 2 }),
    await session.pop(),
    await session.say({ n: 4 }),
    await session.history({ last: 1 }),
    await session.forget(),
    await session.history(),
    await session.get(),
    await session.get({ fields: ["b", "none such"] }),
    await session.get({ fields: "none" }),
  ];
  const differing = ["session", "thread", "stateless", "how", "clocks", "at"];
  return JSON.parse(
    JSON.stringify(
      results,
      (name, value) => differing.includes(name) || name.endsWith("_at") ? undefined : value,
    ),
  );
}

test("a session without a worker answers as one does, and no more than it can", async () => {
  const off = { idle: 0, abandon: 0, life: 0 };
  const real = await client.session("b4", { a: 1 }, off);
  const local = client.stateless("b4", { a: 1 });
  assert.deepEqual(await converse(local), await converse(real));
  assert.deepEqual([local.isStateless, real.isStateless], [true, false]);
  assert.equal(local.record?.session, "stateless");
  assert.deepEqual(await local.say({ n: 1 }), { seq: 5, chat: 1, stateless: true });
  for (
    const call of [
      () => local.close(),
      () => local.chats(),
      () => local.say({}, { seq: 1 }),
      () => local.history({ role: "user" }),
      () => local.popMany({ count: 2 }),
      () => local.forget({ after: 1 }),
      () => local.set({}, { rev: 1 }),
      // deno-lint-ignore require-await -- what it throws is the promise's
      async () => local.at(2),
      // deno-lint-ignore require-await
      async () => local.autosave(),
    ]
  ) assert.ok(await errorOf(call() as Promise<unknown>) instanceof Unavailable);
});

test("a fake replays each example of the manual", async (t) => {
  for (const page of ["docs/protocol.md", "README.md"]) {
    const text = fs.readFileSync(path.join(ROOT, page), "utf8");
    for (const [at, found] of [...text.matchAll(/^```latchkey\n(.*?)^```$/gms)].entries()) {
      await t.test(`${page} ${at + 1}`, async () => {
        await using fake = await Fake.start(found[1]);
        const socket = net.connect(Number(fake.to.split(":")[1]), "127.0.0.1");
        // As the client does: only \n ends a line.
        const lines: string[] = [];
        let rest = "";
        socket.setEncoding("utf8").on("data", (data) => {
          const all = (rest + data).split("\n");
          rest = all.pop() ?? "";
          lines.push(...all);
        });
        for (const line of found[1].split("\n")) {
          if (line.startsWith("> ")) {
            const sent = line.slice(2).replace(/<(\w+)>/g, (_, name) => fake.value(name) ?? "");
            socket.write(`${sent}\n`);
          } else if (line.startsWith("< ")) {
            await eventually(() => lines.length > 0);
            const reply = parseReply(lines.shift() ?? "");
            assert.equal(reply.word, line.slice(2).split(" ")[0]);
            if (reply.word !== "ERR") assert.ok(reply.body);
          }
        }
        socket.destroy();
      });
    }
  }
});

test("a fake in a test: what comes is what was written, and errors say what is not", async () => {
  {
    await using fake = await Fake.start(`
      > TURN dev-1 agent=scheduling wait=10s req=e1 {"text":"Tuesday?"}
      < OK {"turn":<token>,"messages":[{"seq":1,"at":<at>,"message":{"text":"?"}}],<text>}
      > DONE dev-1 turn=<token> last=yes {"say":[{"text":"At ten."}]}
      < OK {"seq":2,"rev":1}
      > LOCK dev-1 scheduling ttl=1h
      < HELD {"agent":"billing","ttl_ms":1500}
      > GET dev-1
      < OK {"session":"<id>",<text>"fields":{"lang":"en"}}
      > SET dev-1/<id> {"n":1}
      < ERR unavailable <text>
      > SET dev-1/<id> {"n":1}
      < OK {"rev":2}
    `);
    await using asked = fake.client();
    const options = { wait: "10000ms", agent: "scheduling", req: "e1" };
    await asked.turn(
      "dev-1",
      { text: "Tuesday?" },
      options,
      (turn) => turn.say({ text: "At ten." }),
    );
    assert.ok(await errorOf(asked.lock("dev-1", "scheduling", { ttl: 3600 })) instanceof Held);
    const record = await asked.get("dev-1");
    assert.deepEqual(record?.fields, { lang: "en" });
    const session = asked.attach("dev-1", record?.session);
    assert.deepEqual(await session.set({ n: 1 }), { rev: 2 });
    assert.equal(fake.value("id"), record?.session);
  }
  const fake = await Fake.start("> GET a\n< NONE\n> GET b\n< NONE");
  const asked = fake.client();
  assert.equal(await asked.get("a"), null);
  await asked.ping();
  assert.throws(() => fake.check(), /did not come: GET b/);
  const error = await errorOf(asked.get("c"));
  assert.ok(error instanceof BadRequest && error.message.includes("GET b, but GET c came"));
  assert.match((await errorOf(fake[Symbol.asyncDispose]())).message, /GET c came/);
  await asked.close();
  assert.ok(await errorOf(Fake.start("nothing")) instanceof RangeError);
});

test("a worker for tests is killed, restarted and frozen", async () => {
  await using other = await TestWorker.start({ options: ["--threads", "1"] });
  await using caller = other.client({ timeout: 0.2, replyTimeout: 0.1 });
  await caller.ping();
  await other.freeze();
  assert.ok(await errorOf(caller.ping()) instanceof Unavailable);
  other.thaw();
  await caller.within(10).ping();
  await other.kill();
  assert.ok(await errorOf(caller.ping()) instanceof Unavailable);
  await other.restart();
  await caller.within(10).ping();
  assert.match((await errorOf(other.restart())).message, /running/);
  const missing = await errorOf(TestWorker.start({ binary: "no-such-program" }));
  assert.match(missing.message, /ENOENT/);
  const unfit = await errorOf(TestWorker.start({ options: ["--no-such-flag"] }));
  assert.match(unfit.message, /no-such-flag/);
});

test("what is written behind keeps the process until it is applied", async () => {
  const index = JSON.stringify(new URL("../src/index.ts", import.meta.url).href);
  const program = `
    import { Client } from ${index};
    const client = new Client(${JSON.stringify(worker.to)});
    await client.open("b5");
    client.writeBehind().say("b5", { n: 1 });
    client.attach("b5").autosave({ quiet: 0.1 }).set({ n: 2 });
  `;
  run(process.execPath, ["--input-type=module", "--eval", program], { timeout: 20_000 });
  const record = await client.get("b5");
  assert.deepEqual([record?.messages, record?.fields], [1, { n: 2 }]);
});
