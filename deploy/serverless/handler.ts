// A function that answers a message of a device's conversation, one message at a time.
//
// Its connection outlives an invocation, as everything at module scope does while the platform
// keeps the process. In between the process may be frozen, and the connection may end unnoticed.

import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const [, host, port] = /^(.*):(\d+)$/.exec(process.env.LATCHKEY_TO ?? "127.0.0.1:5282") ?? [];
const secret = process.env.LATCHKEY_SECRET; // where workers require one
const agent = process.env.LATCHKEY_AGENT ?? "scheduling";
const replyMs = 1_000 * Number(process.env.LATCHKEY_REPLY_S ?? 1); // more than --request-timeout
const waitS = Number(process.env.LATCHKEY_WAIT_S ?? 5); // for the device's other messages
const idleMs = 60_000; // less than what a network between forgets, and than --idle-timeout
const tries = 3;
const again = ["unavailable", "unknown_outcome", "overloaded", "draining"];

type Body = Record<string, any>;
let connection: net.Socket | undefined;
let usedAt = 0;

/** A reply other than OK. */
class Answer extends Error {
  word: string;
  constructor(word: string, rest: string) {
    super(rest);
    this.word = word;
  }
}

/** The outcome is unknown: send the same event again to learn it. */
class Unknown extends Error {}

function drop(): void {
  connection?.destroy();
  connection = undefined;
}

/** Waits for a line, or for the connection if none is sent. */
function exchange(socket: net.Socket, line?: string, ms = replyMs): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => socket.destroy(new Error("out of time")), ms);
    const finish = (error?: Error) => {
      clearTimeout(timer);
      for (const name of ["connect", "data", "error", "close"]) socket.removeAllListeners(name);
      socket.on("error", drop).on("close", () => connection === socket && drop());
      if (error) reject(error);
      else resolve(text.slice(0, -1));
    };
    socket.on("data", (part) => (text += part).endsWith("\n") && finish());
    socket.on("error", finish).on("close", () => finish(new Error("closed before the reply")));
    if (line === undefined) socket.on("connect", () => finish());
    else socket.write(line + "\n");
  });
}

/** The kept connection, unless it has ended or was idle for long. */
async function connect(): Promise<net.Socket> {
  const isIdle = Date.now() - usedAt > idleMs;
  if (connection && (connection.destroyed || !connection.readable || isIdle)) drop();
  if (!connection) {
    // An idle connection must not keep the process: without events, it may end.
    connection = net.connect({ host, port: Number(port), noDelay: true });
    connection.setEncoding("utf8").unref();
    const made = connection;
    await exchange(made);
    const reply = secret ? await exchange(made, `AUTH ${JSON.stringify(secret)}`) : "OK";
    if (!reply.startsWith("OK")) {
      drop();
      throw new Answer("ERR", reply.slice(4));
    }
  }
  return connection;
}

/** The body of an OK. Tries again while that can help, so a line may come twice. */
async function ask(line: string, waitMs = 0): Promise<Body> {
  let isUnknown = false;
  for (let tried = 0; tried < tries; tried++) {
    await sleep(100 * tried);
    let reply: string;
    try {
      reply = await exchange(await connect(), line, replyMs + waitMs);
    } catch (error) {
      if (error instanceof Answer) throw error;
      isUnknown ||= (error as NodeJS.ErrnoException).code !== "ECONNREFUSED";
      drop(); // its next line would be the answer to this request
      continue;
    }
    usedAt = Date.now();
    const [, word, rest] = /^(\S+) ?(.*)$/s.exec(reply) ?? ["", "ERR", "no reply"];
    if (word === "OK") return JSON.parse(rest || "{}");
    const code = word === "ERR" ? rest.split(" ", 1)[0] : "";
    if (!again.includes(code)) throw new Answer(word, rest);
    isUnknown ||= code === "unknown_outcome";
    drop(); // the next one may lead to another worker
  }
  throw isUnknown ? new Unknown() : new Answer("ERR", "unavailable no worker can serve");
}

/** Your agent: the message that answers the newest ones of the conversation. */
function answer(messages: Body[]): Body {
  return { role: "assistant", text: `You said: ${messages.at(-1)?.message.text}` };
}

/** `event` has an id that is the same when the platform sends it again, a device, a message. */
export async function handler(event: Body): Promise<Body> {
  // Other bytes would break the request line.
  const [device, req] = [event.device, event.id].map(encodeURIComponent);
  try {
    const options = `agent=${agent} wait=${waitS}s req=${req}-turn`;
    const said = JSON.stringify(event.message);
    const turn = await ask(`TURN ${device} ${options} ${said}`, 1_000 * waitS);
    // An earlier delivery has ended it, or it ran out with its function.
    if (turn.ttl_ms === 0) return { status: "over", seq: turn.seq };
    const changes = JSON.stringify({ say: [answer(turn.messages)] });
    const done = await ask(`DONE ${device} turn=${turn.turn} last=yes req=${req}-done ${changes}`);
    return { status: "answered", seq: done.seq };
  } catch (error) {
    // Busy, held by another agent, stale, an error: the same event may succeed later.
    if (error instanceof Answer) return { status: error.word.toLowerCase(), detail: error.message };
    // Have the platform send the event again: what was done is not done twice.
    if (error instanceof Unknown) return { status: "unknown" };
    throw error;
  }
}
