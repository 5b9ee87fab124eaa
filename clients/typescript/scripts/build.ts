// Makes the package's folder `dist`: JavaScript and declarations, from the sources.
//
//     node scripts/build.ts [FOLDER]
//
// The emitter is Deno's `transpile`, which has TypeScript's compiler built in; `DENO` names the
// program, else it is on the PATH. It knows no types of Node's modules, so files that import some are
// not checked by it: `deno check` has done that.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

const root = path.resolve(import.meta.dirname ?? ".", "..");
const out = path.resolve(process.argv[2] ?? path.join(root, "dist"));
const work = fs.mkdtempSync(path.join(os.tmpdir(), "latchkey-build-"));
process.on("exit", () => fs.rmSync(work, { recursive: true, force: true }));

const names = fs.readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"));
for (const name of names) {
  const text = fs.readFileSync(path.join(root, "src", name), "utf8");
  const head = /from "node:/.test(text) ? "// @ts-nocheck\n" : "";
  fs.mkdirSync(path.dirname(path.join(work, "src", name)), { recursive: true });
  fs.writeFileSync(path.join(work, "src", name), head + text);
}
fs.copyFileSync(path.join(root, "deno.json"), path.join(work, "deno.json"));

const made = spawnSync(
  process.env.DENO ?? "deno",
  [
    ...["transpile", "--quiet", "--no-remote", "--no-npm", "--declaration", "--outdir", "made"],
    ...names.map((name) => path.join("src", name)),
  ],
  { cwd: work, encoding: "utf8" },
);
if (made.status !== 0) {
  console.error(made.error ?? made.stderr);
  process.exit(1);
}

fs.rmSync(out, { recursive: true, force: true });
for (const name of names) {
  for (const kind of [".js", ".d.ts"]) {
    const file = name.replace(/\.ts$/, kind);
    const text = fs.readFileSync(path.join(work, "made", "src", file), "utf8")
      .replace(/^\/\/ @ts-nocheck\n/, "")
      .replace(/^\/\/\/ <amd-module .*\n/, "")
      .replace(/\/\/# sourceMappingURL=.*\n?/, "")
      .replace(/((?:from|import)\s*\(?\s*")(\.{1,2}\/[^"]+)\.ts"/g, '$1$2.js"');
    fs.mkdirSync(path.dirname(path.join(out, file)), { recursive: true });
    fs.writeFileSync(path.join(out, file), text);
  }
}
