// The package as it is published: what is in it, and whether programs can use it.

import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";

import { folder, ROOT, run, ScriptedWorker } from "./support.ts";

const SOURCES = path.join(ROOT, "clients/typescript");
const DENO = process.env.LATCHKEY_TOOLS ? path.join(process.env.LATCHKEY_TOOLS, "deno") : "deno";

/** npm comes with Node. */
const NPM = path.resolve(
  path.dirname(fs.realpathSync(process.execPath)),
  "../lib/node_modules/npm/bin/npm-cli.js",
);

test("the package has its modules with types, no other file, and runs", async () => {
  const program = folder();
  const made = path.join(program, "node_modules/latchkey");
  fs.mkdirSync(made, { recursive: true });
  for (const name of ["package.json", "README.md"]) {
    fs.copyFileSync(path.join(SOURCES, name), path.join(made, name));
  }
  const env = { ...process.env, DENO, NO_COLOR: "1", npm_config_cache: path.join(program, "npm") };
  run(process.execPath, [path.join(SOURCES, "scripts/build.ts"), path.join(made, "dist")], { env });

  const words = [NPM, "pack", "--dry-run", "--json", "--ignore-scripts"];
  const [packed] = JSON.parse(run(process.execPath, words, { cwd: made, env }));
  const sources = fs.readdirSync(path.join(SOURCES, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `dist/${name.slice(0, -3)}`);
  assert.deepEqual(
    packed.files.map((file: { path: string }) => file.path).sort(),
    ["README.md", "package.json", ...sources.flatMap((name) => [`${name}.d.ts`, `${name}.js`])]
      .sort(),
  );
  const { exports } = JSON.parse(fs.readFileSync(path.join(made, "package.json"), "utf8"));
  for (const found of Object.values(exports).flatMap((one) => Object.values(one as object))) {
    if (typeof found === "string" && found.length > 1) {
      const [folder, end] = found.split("*");
      const of = end === undefined ? [found] : fs.readdirSync(path.join(made, folder));
      assert.ok(of.some((name) => name.endsWith(end ?? name)), found);
      if (end === undefined) assert.ok(fs.existsSync(path.join(made, found)), found);
    }
  }
  for (const { path: name } of packed.files) {
    if (!name.startsWith("dist/")) continue;
    const text = fs.readFileSync(path.join(made, name), "utf8");
    assert.ok(!/\.ts"/.test(text) && !/\/tmp\//.test(text), name);
  }

  fs.writeFileSync(path.join(program, "package.json"), '{"type":"module"}');
  fs.writeFileSync(
    path.join(program, "use.ts"),
    `import { Client, Held, type Lock } from "latchkey";
import type { SessionManager } from "latchkey/compat/proposal-editor";
type Id = Awaited<ReturnType<SessionManager["createSession"]>>;
const client = new Client(process.argv[2]);
const record = await client.session("d", { n: 1 });
const id: Id | undefined = record.id;
// @ts-expect-error: there is no such option
await client.lock("d", "a", { tll: 1 }).then((lock: Lock) => lock.token, (error) => error instanceof Held);
console.log(id);
`,
  );
  const check = ["check", "--node-modules-dir=manual", "--no-remote", "use.ts"];
  run(DENO, check, { cwd: program, env });
  await using worker = await ScriptedWorker.start([
    'OK {"session":"01J"}',
    'OK {"agent":"a","token":1,"ttl_ms":1000,"acquired_at":1,"renewed":false}',
  ]);
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, ["use.ts", worker.to], { cwd: program });
  let output = "";
  child.stdout.on("data", (data) => output += data);
  child.stderr.on("data", (data) => output += data);
  await new Promise((resolve) => child.on("exit", resolve));
  assert.equal(output, "01J\n");
});
