// The transcripts, replayed: by the core alone, by the client, and to a real worker.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { Client, LatchkeyError, Lock, type Request, Turn, verbs } from "../src/index.ts";
import { parseReply } from "../src/reply.ts";
import { ScriptedWorker, Worker } from "./support.ts";
import { type Any, camel, ENTRIES, type Entry, parameters } from "./transcripts.ts";

function request(entry: Entry): Request<unknown> {
  const [name, given] = parameters(entry);
  return (verbs as Any)[name](...given);
}

async function outcome(call: () => unknown): Promise<unknown> {
  try {
    return { result: JSON.parse(JSON.stringify((await call()) ?? null)) };
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error;
    const { name: type, code, body } = error;
    return { error: { type, code, body: JSON.parse(JSON.stringify(body)) } };
  }
}

function expected(entry: Entry): unknown {
  return "error" in entry ? { error: entry.error } : { result: entry.result };
}

let worker: Worker;
before(async () => void (worker = await Worker.start("--threads", "1")));
after(() => worker.stop());

test("there are transcripts of each verb", () => {
  const shown = new Set(ENTRIES.map((entry) => camel(entry.call)));
  const functions = Object.entries(verbs).filter(([, one]) => typeof one === "function");
  assert.deepEqual(
    [...shown].sort(),
    functions.map(([name]) => name).sort().filter((n) => n !== "watch"),
  );
  assert.equal(new Set(ENTRIES.map((entry) => entry.name)).size, ENTRIES.length);
});

test("the core makes the lines and reads the replies", async (t) => {
  for (const entry of ENTRIES) {
    await t.test(entry.name, async () => {
      const made = request(entry);
      for (const [line] of entry.wire) {
        assert.equal(made.line(), line.replace("<req>", made.req ?? ""));
      }
      const reply = parseReply(entry.wire.at(-1)?.[1] ?? "");
      assert.deepEqual(await outcome(() => made.result(reply)), expected(entry));
    });
  }
});

test("the client sends the lines and returns the results", async (t) => {
  for (const entry of ENTRIES) {
    await t.test(entry.name, async () => {
      await using scripted = await ScriptedWorker.start(entry.wire.map(([, reply]) => reply));
      await using client = new Client(scripted.to);
      const [name, given] = parameters(entry);
      const method = name === "close" ? "closeSession" : name;
      const got = await outcome(async () => {
        const result = await (client as Any)[method](...given);
        if (result instanceof Turn) return result.begun;
        return result instanceof Lock
          ? {
            agent: result.agent,
            token: result.token,
            ttl_ms: Math.ceil(result.ttlS) * 1000,
            acquired_at: result.acquiredAt,
            renewed: result.isRenewed,
          }
          : result;
      });
      assert.deepEqual(got, expected(entry));
      const reqs = new Set(scripted.lines.map((line) => / req=(\S+)/.exec(line)?.[1] ?? ""));
      assert.equal(reqs.size, 1);
      const [req] = reqs;
      assert.deepEqual(scripted.lines, entry.wire.map(([line]) => line.replace("<req>", req)));
    });
  }
});

// Ids of events are a worker's to give, policies its own, and a moment has to be ahead.
const FOREIGN = new Set(["a device's events", "acknowledgements", "a session of a policy"]);

test("a worker accepts the lines", async () => {
  const accepted = ["NONE", "HELD", "BUSY", "STALE", "illegal_state", "conflict", "quota"];
  await using client = worker.client();
  for (const entry of ENTRIES.filter(({ name }) => !FOREIGN.has(name))) {
    const made = request(entry);
    if (made.options.has("wait")) made.options.set("wait", "10ms"); // nothing comes
    try {
      await client.ask(made);
    } catch (error) {
      const { code } = error as LatchkeyError;
      const isIncomplete = entry.call === "import_" && code === "bad_request";
      assert.ok(accepted.includes(code) || isIncomplete, `${entry.name}: ${error}`);
    }
  }
});
