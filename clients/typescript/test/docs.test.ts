// The pages that show the client at work: their blocks are run, in the order of the page.
//
// The blocks of a page are one program. What a line prints stands behind it: `// prints: …`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";

import * as latchkey from "../src/index.ts";
import { folder, program, ROOT, run, Worker } from "./support.ts";

const PAGES = [
  "docs/typescript.md",
  "docs/frameworks/javascript.md",
  "README.md",
  "clients/typescript/README.md",
  "docs/replacing/proposal-editor.md",
  "docs/replacing/chat-sdk.md",
];

/** Pages whose blocks need more than a worker: only their types are checked. */
const CHECKED = ["docs/replacing/workspace.md", "docs/webhooks-receivers.md"];
const DENO = process.env.LATCHKEY_TOOLS ? path.join(process.env.LATCHKEY_TOOLS, "deno") : "deno";

test("the blocks of the pages have no error of types", () => {
  const place = folder();
  const config = path.join(ROOT, "clients/typescript/deno.json");
  const files = [...PAGES, ...CHECKED].map((page, at) => {
    const file = path.join(place, `page-${at}.ts`);
    fs.writeFileSync(file, program(page));
    return file;
  });
  run(DENO, ["check", "--quiet", "--no-remote", "--no-npm", "--config", config, ...files]);
});

for (const page of PAGES) {
  test(`the blocks of ${page} do what they say`, async () => {
    const file = path.join(folder(), "page.mts");
    const text = program(page);
    fs.writeFileSync(file, text);
    await using worker = await Worker.start("--threads", "1");
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, LATCHKEY_TO: worker.to },
    });
    let printed = "";
    let failed = "";
    child.stdout.on("data", (data) => printed += data);
    child.stderr.on("data", (data) => failed += data);
    const status = await new Promise((resolve) => child.on("exit", resolve));
    const expected = [...text.matchAll(/\/\/ prints: (.*)$/gm)].map((found) => `${found[1]}\n`);
    assert.equal(printed, expected.join(""), failed);
    assert.equal(status, 0, failed);
    assert.ok(expected.length > 0);
  });
}

test("the page lists each error", () => {
  const text = fs.readFileSync(path.join(ROOT, PAGES[0]), "utf8");
  const section = text.split("\n## Errors\n")[1].split("\n## ")[0];
  const listed = [...section.matchAll(/^\| `(\w+)` \|/gm)].map((found) => found[1]);
  const errors = Object.entries(latchkey)
    .filter(([, value]) => (value as { prototype?: unknown }).prototype instanceof Error)
    .map(([name]) => name);
  assert.deepEqual([...listed, "LatchkeyError"].sort(), errors.sort());
});
