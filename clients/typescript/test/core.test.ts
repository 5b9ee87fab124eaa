// The parts without a socket: names, lines, the retry policy, leases and feeds.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Attempts } from "../src/attempts.ts";
import { parseEndpoints, resolve } from "../src/endpoints.ts";
import { LatchkeyError, ProtocolError } from "../src/errors.ts";
import { Feed } from "../src/feed.ts";
import { Stale, UnknownOutcome, verbs } from "../src/index.ts";
import { Lease } from "../src/lease.ts";
import { duration, encodeId, seconds, wellFormed, word } from "../src/names.ts";
import { LineBuffer, parseReply, Reply } from "../src/reply.ts";
import { Moment } from "../src/time.ts";
import { Backoff } from "../src/waiting.ts";

test("durations and words", () => {
  for (
    const [given, wire, s] of [
      [30, "30s", 30],
      [0.25, "250ms", 0.25],
      [1.5, "1500ms", 1.5],
      [0, "0s", 0],
      ["24h", "24h", 86_400],
      ["7", "7", 7],
      ["2d", "2d", 172_800],
      ["10ms", "10ms", 0.01],
    ] as const
  ) {
    assert.equal(duration(given), wire);
    assert.equal(seconds(given), s);
  }
  for (const wrong of [-1, NaN, Infinity, "1w", "", "-1s", "1.5s"]) {
    assert.throws(() => duration(wrong), RangeError, String(wrong));
  }
  assert.throws(() => seconds(null as never), TypeError);
  assert.equal(word("a/b,c%"), "a/b,c%");
  assert.equal(word('a "b'), '"a \\"b"');
  assert.equal(wellFormed("a\ud800b\u{1f642}"), "a\\ud800b\u{1f642}");
  assert.equal(encodeId("a\ud800"), "a%ED%A0%80");
});

test("lines arrive whole, however the bytes are split", () => {
  const bytes = new TextEncoder().encode('OK {"é":"日🙂"}\r\nNONE\n\nEVENT {}\n');
  const lines = ['OK {"é":"日🙂"}', "NONE", "", "EVENT {}"];
  for (let at = 0; at <= bytes.length; at++) {
    const buffer = new LineBuffer();
    const found = [...buffer.feed(bytes.subarray(0, at)), ...buffer.feed(bytes.subarray(at))];
    assert.deepEqual(found, lines, String(at));
    assert.equal(buffer.isEmpty, true);
  }
  const buffer = new LineBuffer();
  const single = [...bytes].flatMap((byte) => buffer.feed(new Uint8Array([byte])));
  assert.deepEqual(single, lines);
  assert.throws(() => new LineBuffer().feed(new Uint8Array([0xff, 10])), ProtocolError);
  assert.throws(() => parseReply("HTTP/1.1 200 OK"), ProtocolError);
  assert.throws(() => new Reply("STALE", "{").error("SET"), ProtocolError);
});

const ok = new Reply("OK", "");
const again = new Reply("ERR", "unavailable Redis cannot be reached");
const unknown = new Reply("ERR", "unknown_outcome no answer");

function attempts(...requests: ReturnType<typeof verbs.touch | typeof verbs.ping>[]): Attempts {
  const bounds = { timeoutS: 5, replyS: 1, workers: 2, jitter: 1, canRefresh: true };
  return new Attempts(requests as never, 0, bounds);
}

test("the retry policy: other workers at once, then pauses, until the deadline", () => {
  const made = attempts(verbs.touch("d"));
  assert.deepEqual(made.resumed(0), { kind: "try", until: 1 });
  assert.deepEqual(made.unreached(0.1, "refused"), { kind: "try", until: 1.1 });
  assert.deepEqual(made.received(0.2, [], "reset"), { kind: "pause", seconds: 0.05 });
  assert.deepEqual(made.resumed(0.3), { kind: "try", until: 1.3 });
  assert.deepEqual(made.received(0.4, [again]), { kind: "try", until: 1.4 });
  assert.deepEqual(made.received(0.5, [unknown]), { kind: "pause", seconds: 0.1 });
  assert.deepEqual(made.resumed(4.5), { kind: "try", until: 5 });
  const over = made.received(5, [], "cut short"); // which says less than what was before
  assert.ok(over.kind === "failed" && over.error.name === "UnknownOutcome");
  assert.match(over.error.message, /no answer$/);

  const reading = attempts(verbs.ping());
  reading.received(0, [], "reset");
  const given = reading.expired();
  assert.ok(given.kind === "failed" && given.error.name === "Unavailable");
  assert.deepEqual(attempts(verbs.touch("d")).received(0, [ok]), { kind: "done" });
});

test("the retry policy: requests together go on behind the last definite reply", () => {
  const made = attempts(verbs.touch("a"), verbs.touch("b"), verbs.touch("c"));
  assert.equal(made.received(0, [ok, again, ok]).kind, "try");
  assert.equal(made.replies.length, 1);
  assert.equal(made.received(0.1, [ok], "reset").kind, "pause");
  assert.equal(made.replies.length, 2);
  assert.deepEqual(made.received(0.2, [ok]), { kind: "done" });
});

test("the retry policy: a secret is refreshed once", () => {
  const rejected = new Reply("ERR", "forbidden invalid secret");
  const made = attempts(verbs.touch("a"), verbs.touch("b"));
  assert.equal(made.rejected(0, rejected).kind, "try");
  assert.equal(made.rejected(0, rejected).kind, "done");
  assert.deepEqual(made.replies, [rejected, rejected]);
  const expired = new Reply("ERR", "auth_required");
  const other = attempts(verbs.touch("a"));
  assert.equal(other.received(0, [expired]).kind, "try");
  assert.equal(other.received(0, [expired]).kind, "done");
});

test("workers by HOST:PORT or by URL, and what the environment has", () => {
  const shown = (to: string) => parseEndpoints(to).map(String);
  assert.deepEqual(shown("a, b:7 ,[::1],[::1]:8"), ["a:5282", "b:7", "[::1]:5282", "[::1]:8"]);
  assert.deepEqual(shown("https://h/base/,http://h:1"), ["https://h/base", "http://h:1"]);
  const made = resolve({}, { LATCHKEY_TO: "x:1", LATCHKEY_SECRET: "s", LATCHKEY_TLS: "yes" });
  assert.deepEqual([String(made.endpoints.current), made.secret], ["x:1", "s"]);
  assert.ok(made.tls);
  assert.equal(resolve({}, {}).tls, undefined);
  assert.deepEqual(resolve({}, { LATCHKEY_TLS_CA: "ca.pem" }).tls?.ca, "ca.pem");
  assert.equal(resolve({ tls: false }, { LATCHKEY_TLS: "1" }).tls, undefined);
  assert.throws(() => resolve({}, { LATCHKEY_TLS: "maybe" }), RangeError);
  assert.throws(() => resolve({ to: "https://a", tls: { ca: "x" } }, {}), RangeError);
});

test("a lease ends early rather than late, and is renewed after a third of it", () => {
  const asked = new Moment();
  const later = (s: number) =>
    Object.assign(new Moment(), { monotonic: asked.monotonic + s, wall: asked.wall });
  const lease = new Lease(3000, asked);
  assert.equal(Math.round(lease.nextS(later(0)) * 1000), 1000);
  assert.equal(lease.isLost(later(2.9)), false);
  assert.equal(lease.isLost(later(3)), true);
  const frozen = Object.assign(new Moment(), { monotonic: asked.monotonic, wall: asked.wall + 9 });
  assert.equal(lease.isLost(frozen), true); // the process stood still
  lease.failed(new LatchkeyError("no worker"));
  assert.ok(lease.nextS(later(0)) <= 0.1);
  lease.renewed(3000, later(2) as Moment);
  assert.equal(lease.isLost(later(4.9)), false);
  lease.failed(new Stale("stale"));
  assert.equal(lease.isLost(later(2.1)), true);
  lease.isReleased = true;
  assert.equal(lease.isLost(later(9)), false);
});

test("a feed of a device reads the log for what it has missed, and gives each event once", () => {
  const event = (n: number) => `{"id":"${n}-0","type":"lock.cleared","device":"d","at":${n}}`;
  const feed = new Feed("d", {});
  const ids = (line: string) => feed.received(line).events.map(({ id, type }) => id || type);
  assert.equal(feed.opened(), "WATCH d");
  assert.equal(feed.received("OK").line, "EVENTS d limit=1000");
  assert.deepEqual(ids(`EVENT ${event(3)}`), []); // the log comes first
  assert.equal(feed.received(`OK {"events":[${event(1)}]}`).line, "EVENTS d after=1-0 limit=1000");
  assert.deepEqual(ids('OK {"events":[]}'), ["3-0"]);
  assert.equal(feed.isLive, true);
  assert.deepEqual(ids(`EVENT ${event(4)}`), ["4-0"]);
  assert.equal(feed.opened(), "WATCH d");
  assert.equal(feed.received("OK").line, "EVENTS d after=4-0 limit=1000");
  assert.deepEqual(ids(`EVENT ${event(6)}`), []);
  const page = `OK {"events":[${event(5)},${event(6)}],"lost":true}`;
  assert.deepEqual(ids(page), ["watch.lost", "5-0", "6-0"]);
  assert.deepEqual(ids('OK {"events":[]}'), []);
  assert.equal(feed.quiet(), "PING");
  assert.deepEqual(ids("OK"), []);
  assert.throws(() => feed.received('EVENT {"type":"worker.draining"}'), /stopping/);
  feed.opened();
  feed.received("OK");
  assert.deepEqual(ids('STALE {"id":"2-0"}'), ["watch.lost"]);
  assert.throws(() => feed.received("ERR bad_request"), LatchkeyError);
});

test("a refusal before the key was looked up settles nothing of a change that was sent", () => {
  const one = verbs.touch("d", { req: "r 1" });
  for (const code of ["forbidden", "auth_required"]) {
    const refusal = new Reply("ERR", `${code} invalid secret`);
    const rejected = attempts(one);
    rejected.received(0.1, [], "reset");
    rejected.rejected(0.2, refusal); // another secret is asked for
    const last = code === "forbidden"
      ? rejected.rejected(0.3, refusal)
      : rejected.received(0.3, [refusal]);
    const replied = attempts(one);
    replied.received(0.1, [], "reset");
    replied.received(0.2, [new Reply("ERR", "auth_required x")]);
    for (const step of [last, replied.received(0.3, [refusal])]) {
      assert.ok(step.kind === "failed" && step.error instanceof UnknownOutcome, code);
      assert.equal(step.error.req, "r 1");
      assert.match(step.error.message, /invalid secret/);
    }
    const unsent = attempts(one);
    unsent.unreached(0.1, "refused");
    unsent.received(0.2, [new Reply("ERR", "auth_required x")]);
    assert.deepEqual(unsent.received(0.3, [refusal]), { kind: "done" });
  }
  // A read that was lost together with a change does not hide it.
  const both = attempts(verbs.ping(), one);
  const step = both.received(5, [], "reset").kind === "failed" ? both.expired() : both.resumed(6);
  assert.ok(step.kind === "failed" && step.error instanceof UnknownOutcome);
});

test("pauses between attempts to reconnect grow, and end with the time", () => {
  const backoff = new Backoff(false);
  const lost = new LatchkeyError("lost");
  assert.deepEqual([1, 2, 3].map(() => backoff.failed(lost, 9, 1)), [0.05, 0.1, 0.2]);
  for (let n = 0; n < 20; n++) assert.ok(backoff.failed(lost, 9, 1) <= 2);
  backoff.reset();
  assert.equal(backoff.failed(lost, 9, 1), 0.05);
  assert.throws(() => backoff.failed(lost, 0, 1), LatchkeyError);
  assert.throws(() => backoff.failed(new Error("net"), 0, 1), /no worker can be reached: net/);
});
