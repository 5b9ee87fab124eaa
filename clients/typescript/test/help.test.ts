// The client's verbs beside those of the worker, both ways.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, Session, verbs } from "../src/index.ts";
import { Worker } from "./support.ts";
import { type Any, camel, ENTRIES, parameters } from "./transcripts.ts";

// Verbs that are no method of their own: the secret, close(), the end of the iterator.
const ELSEWHERE = ["AUTH", "QUIT", "UNWATCH"];
const NAMED: Record<string, string> = { getChat: "GET", setChat: "SET", popMany: "POP" };

// Options of the worker's that are parameters of their own.
const POSITIONAL: Record<string, readonly string[]> = { HOOK: ["url"] };

const names = Object.keys(verbs).filter((name) => typeof verbs[name as "get"] === "function");

/** Options that are read of each change: which of them there are is a matter of types. */
const COMMON = new Set(["as", "token", "turn", "req", "signal"]);

/** The options that a function looks at, as they are on the wire. */
function optionsOf(name: string): Set<string> {
  const seen = new Set<string>();
  const options = new Proxy({}, {
    get: (_, option: string) => {
      seen.add(option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`));
      return undefined;
    },
  });
  const shown = ENTRIES.filter((entry) => camel(entry.call) === name).map(parameters);
  for (const [, given] of shown.length > 0 ? shown : [[name, ["d", {}]] as const]) {
    try {
      (verbs as Any)[name](...given.slice(0, -1), options);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // a number that is needed is not there
    }
  }
  return seen;
}

test("each verb of the worker is one of the client and the reverse", async () => {
  await using worker = await Worker.start("--threads", "1");
  await using client = worker.client();
  const { verbs: found } = await client.help();
  const known = new Set(names.map((name) => NAMED[name] ?? name.toUpperCase()));
  const worker_ = (found as string[]).filter((verb) => !ELSEWHERE.includes(verb));
  assert.deepEqual([...known].sort(), worker_.sort());
  for (const verb of worker_) {
    const { usage } = await client.help(verb);
    // `and.KIND=` and `link.KIND=` are objects.
    const options: string[] = [...usage.matchAll(/([a-z_-]+)(?:\.KIND)?=(?=[\] ]|$)/g)]
      .map(([, option]) => option.replaceAll("_", "-"));
    const own = names.filter((name) => (NAMED[name] ?? name.toUpperCase()) === verb)
      .flatMap((name) => [...optionsOf(name)]);
    own.push(...POSITIONAL[verb] ?? []);
    assert.deepEqual(options.filter((option) => !own.includes(option)), [], verb);
    assert.deepEqual(own.filter((option) => !COMMON.has(option) && !options.includes(option)), []);
  }
});

test("a session and a client have each of them", () => {
  for (const name of names) {
    if (name === "watch") continue;
    const method = name === "close" ? "closeSession" : name;
    assert.equal(typeof Client.prototype[method as "get"], "function", method);
  }
  // Of a session: those whose first parameter is an address. `report` may go without.
  const bound = names.filter((name) =>
    /^function \w+\(\s*where\b/.test(String(verbs[name as "get"]))
  );
  const found = Object.getOwnPropertyNames(Session.prototype).filter((name) =>
    names.includes(name)
  );
  assert.deepEqual(found.sort(), bound.sort());
});
