// TLS, workers and processes that are frozen, and the client on Deno.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

import { Client, Forbidden, LatchkeyError, verbs } from "../src/index.ts";
import {
  BINARY,
  errorOf,
  eventually,
  folder,
  next,
  Relay,
  run,
  ScriptedWorker,
  Worker,
} from "./support.ts";

/** An authority in a folder, and what it has signed. */
class Certificates {
  readonly folder: string = folder();
  readonly ca: string = path.join(this.folder, "ca.pem");
  #serial = 1;

  constructor() {
    this.#openssl([
      ...["req", "-x509", ...Certificates.#key, "-days", "2", "-subj", "/CN=tests"],
      ...["-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca.key", "-out", "ca.pem"],
    ]);
  }

  static readonly #key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

  #openssl(words: string[]): void {
    run("openssl", words, { cwd: this.folder });
  }

  /** A certificate with its key, in place of one that is there. */
  make(name: string): { ca: string; cert: string; key: string } {
    fs.writeFileSync(path.join(this.folder, `${name}.ext`), "subjectAltName=IP:127.0.0.1\n");
    this.#openssl([
      ...["req", "-new", ...Certificates.#key, "-subj", `/CN=${name}`],
      ...["-keyout", `${name}.key`, "-out", `${name}.csr`],
    ]);
    this.#openssl([
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"],
      ...["-set_serial", String(this.#serial++), "-extfile", `${name}.ext`, "-out", `${name}.pem`],
    ]);
    const file = (kind: string) => path.join(this.folder, `${name}.${kind}`);
    return { ca: this.ca, cert: file("pem"), key: file("key") };
  }
}

test("all that the client does works with TLS, and certificates are verified both ways", async () => {
  const certificates = new Certificates();
  const own = certificates.make("worker");
  await using worker = await Worker.start(
    ...["--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", own.ca, "--threads", "1"],
  );
  const files = certificates.make("caller");
  await using client = worker.client({ tls: files, timeout: 10 });
  const large = { text: "x".repeat(200_000) };
  await client.turn("d", large, { agent: "a" }, (turn) => turn.say(large));
  assert.deepEqual((await client.history("d")).messages[1].message, large);
  const events = client.watch("d", { changes: true, types: "chat.said" });
  const said = next(events, 1);
  await eventually(async () => {
    await client.say("d", { n: 1 });
    return await Promise.race([said, Promise.resolve(undefined)]);
  });
  await events.return();
  await using near = await client.near();
  for (let n = 0; n < 3; n++) await near.get("d");
  assert.ok(near.hits >= 1);

  // The files are read again when they have changed; texts serve as well.
  const read = (file: string) => fs.readFileSync(file, "utf8");
  const texts = { ca: read(files.ca), cert: read(files.cert), key: read(files.key) };
  certificates.make("caller");
  await worker.stop();
  await worker.restart();
  await client.ping();
  await using second = worker.client({ tls: texts });
  await second.ping();

  const short = { timeout: 0.3, replyTimeout: 0.1 };
  for (const tls of [true, { ca: files.ca }, { ...files, ca: new Certificates().ca }, false]) {
    await using refused = worker.client({ ...short, tls });
    assert.ok(await errorOf(refused.ping()) instanceof LatchkeyError, JSON.stringify(tls));
  }
  await using absent = worker.client({ ...short, tls: { ca: "no-such-file.pem" } });
  assert.match((await errorOf(absent.ping())).message, /no-such-file/);
});

test("a worker with principals, by sockets and by HTTP", async () => {
  const made = spawnSync(BINARY, ["secret", "app", "--rights", "read,write,operate"], {
    encoding: "utf8",
  });
  const secret = made.stderr.trim().split(" ").at(-1) ?? "";
  const file = path.join(folder(), "principals");
  fs.writeFileSync(file, made.stdout);
  await using worker = await Worker.start(
    ...["--auth", file, "--threads", "1", "--http", "127.0.0.1:0"],
  );
  for (const to of [worker.to, worker.http]) {
    await using client = new Client({ to, secret: () => Promise.resolve(secret) });
    await client.turn("d", { text: "x".repeat(20_000) }, { wait: 1 }, () => undefined);
    await client.seize("d", "a");
    const live = Promise.withResolvers<void>();
    const [first] = await Promise.all([
      next(client.watch("d", { types: "lock.cleared", onLive: live.resolve }), 1),
      live.promise.then(() => client.clear("d")),
    ]);
    assert.equal(first[0].agent, "a");
    for (const wrong of [{ to, secret: "wrong" }, { to }]) {
      await using refused = new Client(wrong);
      assert.ok(await errorOf(refused.get("d")) instanceof Forbidden);
      assert.ok(await errorOf(refused.watch("d").next()) instanceof Forbidden);
    }
  }
  await using client = worker.client({ secret });
  await using near = await client.near();
  for (let n = 0; n < 3; n++) await near.get("d");
  assert.ok(near.hits > 0);
});

test("a frozen worker is left for the next one; what it did meanwhile is not done twice", async () => {
  await using frozen = await Worker.start("--threads", "1");
  await using scripted = await ScriptedWorker.start(['OK {"seq":1,"chat":1}', "OK"]);
  const client = new Client([frozen.to, scripted.to], { replyTimeout: 0.2 });
  while (String(client.options.endpoints.current) !== frozen.to) {
    client.options.endpoints.failed(client.options.endpoints.current);
  }
  await client.session("d");
  frozen.signal("SIGSTOP");
  const began = Date.now();
  assert.equal((await client.say("d", { n: 1 })).seq, 1);
  assert.ok(Date.now() - began < 2000);
  assert.equal(scripted.lines.length, 1);
  await client.ping(); // it stays with the one that answers
  assert.equal(scripted.connections, 1);
  frozen.signal("SIGCONT");
  await client.close();
});

test("a process that was frozen connects anew, and its lock is known to be lost", async () => {
  await using worker = await Worker.start("--threads", "1");
  const program = `
    import { createInterface } from "node:readline";
    import { Client } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
    const client = new Client(${JSON.stringify(worker.to)}, { timeout: 10 });
    const lock = await client.lock("d", "a", { ttl: "300ms" });
    console.log("locked", lock.lost);
    for await (const line of createInterface(process.stdin)) {
      const lost = lock.lost;
      const began = Date.now();
      await client.ping();
      console.log(line, lost, Date.now() - began < 900);
      break;
    }
    await client.close();
    process.exit();
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, "locked false");
  child.kill("SIGSTOP");
  await worker.stop();
  await worker.restart();
  await using client = worker.client();
  await eventually(async () => await client.holder("d") === null);
  child.stdin.write("thawed\n");
  child.kill("SIGCONT");
  assert.equal((await lines.next()).value, "thawed true true");
});

test("over a link that is cut all the time each change is applied once, in any mixture", async () => {
  await using worker = await Worker.start("--threads", "1");
  await using relay = await Relay.start(worker.to);
  await using client = new Client(relay.to, { timeout: 30 });
  await client.session("d");
  let done = 0;
  const cutting = (async () => {
    while (done < 150) {
      const from = done;
      await eventually(() => done >= from + 7 || done >= 150, 30);
      relay.cut();
    }
  })();
  const caller = async (name: number) => {
    for (let n = 0; n < 15; n++, done++) {
      const message = { id: `${name}/${n}` };
      if (n % 3 === 0) await client.askAll([verbs.touch("d"), verbs.say("d", message)]);
      else if (n % 3 === 1) await client.say("d", message);
      else await client.turn("d", message, { wait: 20 }, () => undefined);
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, name) => caller(name)));
  await cutting;
  assert.ok(relay.cuts > 20, String(relay.cuts));
  await using direct = worker.client();
  const { messages } = await direct.history("d", { after: 0, limit: 1000 });
  const ids = messages.map(({ message }) => message.id);
  assert.equal(ids.length, 150);
  assert.equal(new Set(ids).size, 150);
  for (let name = 0; name < 10; name++) { // those of one caller are in their order
    const own = ids.filter((id) => id.startsWith(`${name}/`));
    assert.deepEqual(own, Array.from({ length: 15 }, (_, n) => `${name}/${n}`));
  }
});

const DENO = process.env.LATCHKEY_TOOLS ? path.join(process.env.LATCHKEY_TOOLS, "deno") : "deno";

test("the client on Deno: turns, locks, events, and HTTP", async () => {
  await using worker = await Worker.start("--threads", "1", "--http", "127.0.0.1:0");
  const place = folder();
  const file = path.join(place, "program.ts");
  fs.writeFileSync(
    file,
    `import { Client } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
for (const to of Deno.args) {
  await using client = new Client(to);
  await client.turn("d", { text: to }, { agent: "a" }, (turn) => turn.say({ text: "é" }));
  {
    await using lock = await client.lock("l", "a", { ttl: "5s" });
    lock.check();
  }
  await client.seize("l", "b");
  await client.seize("l", "c");
  const last = (await client.events("l")).events.at(-1)!.id;
  await client.clear("l");
  for await (const event of client.watch("l", { after: last, idle: 0.1 })) console.log(event.type);
  console.log((await client.history("d")).last_seq, await client.holder("l"));
}
`,
  );
  const words = ["run", "--quiet", "--no-prompt", "--no-remote", "--no-npm", "--allow-net"];
  const child = spawn(DENO, [...words, "--allow-env", file, worker.to, worker.http], {
    cwd: place,
    env: { ...process.env, NO_COLOR: "1" },
  });
  let output = "";
  child.stdout.on("data", (data) => output += data);
  child.stderr.on("data", (data) => output += data);
  await new Promise((resolve) => child.on("exit", resolve));
  assert.equal(output, "lock.cleared\n2 null\nlock.cleared\n4 null\n");
});
