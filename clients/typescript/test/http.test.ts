// The client where there are no sockets.

import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";

import {
  ALL,
  Client,
  Held,
  LatchkeyError,
  Unavailable,
  UnknownOutcome,
  verbs,
} from "../src/index.ts";
import { errorOf, eventually, next, ScriptedWorker, Worker } from "./support.ts";

let worker: Worker;
let client: Client;
before(async () => {
  worker = await Worker.start("--threads", "1", "--http", "127.0.0.1:0");
  client = new Client(worker.http);
});
after(async () => {
  await client.close();
  await worker.stop();
});

test("turns, locks and several requests by HTTP", async () => {
  await client.turn("é 1", { text: "Hi" }, { agent: "a" }, (turn) => turn.say({ text: "Hello" }));
  const [history, holder] = await client.askAll([verbs.history("é 1"), verbs.holder("é 1")]);
  assert.deepEqual([history.last_seq, holder?.agent], [2, "a"]);
  assert.ok(await errorOf(client.lock("é 1", "b")) instanceof Held);
  const waiting = client.turn("é 1", { text: "two" }, { wait: 5 });
  await using turn = await waiting;
  assert.equal(turn.messages.length, 3);
  assert.ok(await errorOf(client.near()) instanceof LatchkeyError);
});

test("a watch by HTTP whose token has ended goes on with the next one, and ends without", async () => {
  const event = 'data: {"id":"1-0","type":"lock.cleared","device":"d","at":1}\n\n';
  const ended = 'data: {"type":"watch.ended","reason":"auth_required"}\n\n';
  const shown: string[] = [];
  let stream: ServerResponse | undefined;
  const server = createServer((request, response) => {
    const token = request.headers.authorization?.split(" ")[1] ?? "";
    if (token === "t3") {
      response.writeHead(401, { "latchkey-reply": "ERR" });
      response.end('{"code":"auth_required","text":"the token has expired"}');
    } else if (request.method === "POST") {
      response.end('OK {"events":[]}\n', () => stream?.end(token === "t1" ? ended : event + ended));
    } else {
      shown.push(token);
      stream = response;
      response.flushHeaders();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const tokens = ["t1", "t2", "t3"];
  const jwt = () => tokens.length > 1 ? tokens.shift()! : tokens[0];
  await using caller = new Client(`http://127.0.0.1:${port}`, { jwt });
  const types: string[] = [];
  try {
    for await (const { type } of caller.watch("d")) types.push(type);
  } finally {
    server.close();
    server.closeAllConnections();
  }
  assert.deepEqual(types, ["lock.cleared", "watch.ended"]);
  assert.deepEqual(shown, ["t1", "t2"]);
});

test("events by HTTP, also after the worker was away", async () => {
  await using other = await Worker.start("--threads", "1", "--http", "127.0.0.1:0");
  await using caller = new Client(other.http, { timeout: 20 });
  await caller.seize("w", "a0");
  await caller.seize("w", "a1");
  const after = (await caller.events("w")).events[0].id;
  const events = caller.watch("w", { after, types: "lock.seized" });
  const first = next(events, 1);
  await caller.seize("w", "a1b");
  assert.equal((await first)[0].to, "a1b");
  await other.stop();
  await other.restart();
  await caller.seize("w", "a2");
  await caller.seize("w", "a3");
  assert.deepEqual((await next(events, 2)).map(({ to }) => to), ["a2", "a3"]);
  await events.return();
  const aborting = new AbortController();
  const changes = caller.watch("w", { changes: true, signal: aborting.signal });
  const begun = changes.next();
  await eventually(async () => {
    await caller.tell("w", "typing", {});
    return (await Promise.race([begun, Promise.resolve()]))?.value?.type === "custom.typing";
  });
  const waiting = errorOf((async () => {
    while (true) await changes.next();
  })());
  aborting.abort(new Error("enough"));
  assert.equal((await waiting).message, "enough");
});

test("events of a device whose name needs encoding, of a user's sessions, and of all", async () => {
  const device = "gerät/100% №1";
  for (const [of, options] of [[device, {}], [device, { as: "a b/%" }], [ALL, {}]] as const) {
    await client.session(device, null, { user: "a b/%" });
    const live = Promise.withResolvers<void>();
    const types = ["session.paused", "session.closed"];
    const [found] = await Promise.all([
      next(client.watch(of, { ...options, types, onLive: live.resolve }), 1),
      live.promise.then(() => client.closeSession(device, "failed", { reason: "a=b c" })),
    ]);
    assert.deepEqual([found[0].device, found[0].type, found[0].reason], [
      device,
      "session.closed",
      "a=b c",
    ]);
  }
});

test("statuses, secrets and lost responses are what they are by sockets", async () => {
  const asked: unknown[] = [];
  const answers: (((line: string) => [number, string, string?]) | undefined)[] = [
    () => [200, "OK\n"],
    () => [401, '{"code":"auth_required","text":"expired"}', "ERR"],
    () => [200, "OK\n"],
    () => [503, '{"code":"overloaded","text":"later"}', "ERR"],
    () => [302, "elsewhere"],
    undefined,
    () => [200, 'OK {"idle_at":null,"life_at":null}\n'],
    () => [502, "<html>"],
    () => [502, "<html>"],
  ];
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (data) => body += data).on("end", () => {
      asked.push([request.url, request.headers.authorization, body]);
      const answer = answers.shift();
      if (answer === undefined) {
        request.socket.destroy();
        return;
      }
      const [status, text, reply] = answer(body);
      response.writeHead(status, reply ? { "latchkey-reply": reply } : {}).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using _closing = {
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  const to = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let made = 0;
  await using other = new Client({ to, secret: () => `s${made++}`, timeout: 3 });
  await other.ping();
  await other.ping();
  assert.deepEqual(asked, [
    ["/v1/lines", "Bearer s0", "PING\n"],
    ["/v1/lines", "Bearer s0", "PING\n"],
    ["/v1/lines", "Bearer s1", "PING\n"],
  ]);
  await other.touch("d");
  assert.equal(new Set(asked.slice(3).map((one) => (one as string[])[2])).size, 1);
  assert.equal(asked.length, 7);
  assert.ok(await errorOf(other.within(0.06).touch("d")) instanceof UnknownOutcome);
  const gone = await ScriptedWorker.start([]);
  await gone[Symbol.asyncDispose]();
  await using away = new Client({ to: `http://${gone.to}`, timeout: 0.1 });
  assert.ok(await errorOf(away.touch("d")) instanceof Unavailable);
});
