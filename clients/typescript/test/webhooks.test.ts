// Receivers of webhooks: the signature, and the receivers of the manual.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { InvalidSignature, verifyWebhook } from "../src/index.ts";
import type { ExpressApp, Hono } from "./frameworks.ts";
import { errorOf, folder, program, Worker } from "./support.ts";

const SECRET = "whsec ü";
const MOMENT = 1795694400;
const BODY =
  '{"specversion":"1.0","id":"17-0","source":"urn:latchkey:f1","type":"lock.abandoned",' +
  '"subject":"phone%2F7","time":"2026-11-26T12:00:00.000Z","datacontenttype":"application/json",' +
  '"data":{"id":"17-0","type":"lock.abandoned","device":"phone%2F7","at":1795694400000,"agent":"a"}}';
/** By `openssl dgst -sha256 -hmac`. */
const V1 = "d03623867585feebf63f62c16acf03d5caa8a287f95de5efe66c7936dd0a7b08";
const NOW = { now: MOMENT * 1000 };

const bytes = (text: string) => new TextEncoder().encode(text);

function signed(body: string, moment: number | string = Math.floor(Date.now() / 1000)): string {
  const hash = createHmac("sha256", SECRET).update(`${moment}.${body}`).digest("hex");
  return `t=${moment},v1=${hash}`;
}

test("an event that is signed is returned, with its ids decoded", async () => {
  const header = `t=${MOMENT},v1=${V1}`;
  const event = await verifyWebhook(bytes(BODY), header, SECRET, NOW);
  assert.deepEqual(
    [event.id, event.type, event.subject, event.data.device, event.data.agent, event.data.at],
    ["17-0", "lock.abandoned", "phone/7", "phone/7", "a", MOMENT * 1000],
  );
  // While a secret is replaced there are two, on either side; other names are of later versions.
  const others = `t=${MOMENT}, v1=${"0".repeat(64)},v0=x,v2=${V1},v1=${V1}`;
  for (const secrets of [["new", SECRET], [bytes(SECRET)], bytes(SECRET)]) {
    for (const body of [bytes(BODY), bytes(BODY).buffer, Buffer.from(BODY)]) {
      assert.equal((await verifyWebhook(body, others, secrets, NOW)).id, "17-0");
    }
  }
  const late = { now: (MOMENT + 299) * 1000 };
  assert.equal((await verifyWebhook(bytes(BODY), header, SECRET, late)).id, "17-0");
  await verifyWebhook(bytes(BODY), header, SECRET, { toleranceS: 1e9 });
});

test("what is not signed, or long ago, is refused with a reason", async () => {
  const header = `t=${MOMENT},v1=${V1}`;
  const refused: [string, string | null | undefined, string | string[], object, RegExp][] = [
    [BODY + " ", header, SECRET, NOW, /no signature is by this secret/],
    [BODY, header, "other", NOW, /no signature/],
    [BODY, header, ["other", "third"], NOW, /no signature/],
    [BODY, header.replace(`${MOMENT}`, `${MOMENT + 1}`), SECRET, NOW, /no signature/],
    [BODY, header.replace("v1", "v2"), SECRET, NOW, /malformed/],
    [BODY, `t=${MOMENT},v1=${V1.toUpperCase()}`, SECRET, NOW, /no signature/],
    [BODY, `t=${MOMENT},v1=ü`, SECRET, NOW, /no signature/],
    [BODY, `t=${MOMENT},v1=`, SECRET, NOW, /no signature/],
    [BODY, header, SECRET, { now: (MOMENT + 301) * 1000 }, /301 s old, and 300 s are allowed/],
    [BODY, header, SECRET, { now: (MOMENT - 301) * 1000 }, /301 s ahead/],
    [BODY, header, SECRET, { ...NOW, now: (MOMENT + 9) * 1000, toleranceS: 5 }, /9 s old/],
    [BODY, `${header},t=${MOMENT}`, SECRET, NOW, /malformed/],
    [BODY, `v1=${V1}`, SECRET, NOW, /malformed/],
    [BODY, signed(BODY, "1e9"), SECRET, NOW, /malformed/],
    [BODY, signed(BODY, "-5"), SECRET, NOW, /malformed/],
    [BODY, header + `,v1=${V1}`.repeat(16), SECRET, NOW, /malformed/],
    [BODY, null, SECRET, NOW, /has the hook a secret/],
    [BODY, undefined, SECRET, NOW, /no header/],
    [BODY, "", SECRET, NOW, /no header/],
    ["[1]", signed("[1]"), SECRET, {}, /no event/],
    ["{", signed("{"), SECRET, {}, /no event/],
  ];
  for (const [body, given, secret, options, text] of refused) {
    const error = await errorOf(verifyWebhook(bytes(body), given, secret, options));
    assert.ok(error instanceof InvalidSignature, `${given}: ${error}`);
    assert.match(error.message, text);
  }
  assert.ok(await errorOf(verifyWebhook(BODY as never, header, SECRET)) instanceof TypeError);
  for (const empty of ["", [], ["x", ""]]) {
    assert.ok(await errorOf(verifyWebhook(bytes(BODY), header, empty)) instanceof RangeError);
  }
});

test("the receivers of the manual take what is signed, and do the work once", async () => {
  await using worker = await Worker.start("--threads", "1");
  await using client = worker.client();
  await client.session("phone/7");
  Object.assign(process.env, { HOOK_SECRET: SECRET, LATCHKEY_TO: worker.to });
  const file = path.join(folder(), "receivers.mts");
  fs.writeFileSync(
    file,
    `${program("docs/webhooks-receivers.md")}\nexport { app, client, hono };\n`,
  );
  const page = await import(pathToFileURL(file).href) as {
    app: ExpressApp;
    client: typeof client;
    hono: Hono;
    handler(event: object): Promise<{ statusCode: number }>;
  };
  delete process.env.LATCHKEY_TO;
  const headers = (header: string) => ({ "latchkey-signature": header });
  const byExpress = async (body: string, header: string) => {
    let status = 0;
    const get = (name: string) => name === "latchkey-signature" ? header : undefined;
    await page.app.handle({ body: Buffer.from(body), get }, { sendStatus: (n) => status = n });
    return status;
  };
  const byHono = async (body: string, header: string) => {
    const request = { method: "POST", body, headers: headers(header) };
    return (await page.hono.fetch(new Request("http://h/hook", request))).status;
  };
  const byFunction = async (body: string, header: string, isBase64Encoded = false) => {
    const text = isBase64Encoded ? Buffer.from(body).toString("base64") : body;
    const event = { body: text, isBase64Encoded, headers: headers(header) };
    return (await page.handler(event)).statusCode;
  };
  for (
    const receiver of [
      byExpress,
      byHono,
      byFunction,
      (body: string, header: string) => byFunction(body, header, true),
    ]
  ) {
    assert.equal(await receiver(BODY, signed(BODY)), 204);
    assert.equal(await receiver(BODY, signed(`${BODY} `)), 403);
  }
  const { messages } = await client.history("phone/7");
  assert.deepEqual(messages.map(({ message }) => message.text), ["Please call back."]);
  await page.client.close();
});
