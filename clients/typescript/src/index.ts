// Latchkey's client: agent locks, turns and session records for functions and agents.
//
//     const client = new Client();
//     await client.turn("dev-1", { role: "user", text: "Tuesday?" }, {}, async (turn) => {
//       turn.say({ role: "assistant", text: await think(turn.messages) });
//     });

export { AutoSave, type AutoSaveOptions, WriteBehind, type WriteBehindOptions } from "./behind.ts";
export { Client } from "./client.ts";
export type { ClientOptions, Secret, TLS } from "./endpoints.ts";
export {
  BadRequest,
  Busy,
  Conflict,
  Forbidden,
  Held,
  IllegalState,
  InvalidSignature,
  LatchkeyError,
  LockLost,
  NotFound,
  ProtocolError,
  Quota,
  Refused,
  Stale,
  TurnLost,
  Unavailable,
  UnknownOutcome,
} from "./errors.ts";
export type { ConsumeOptions, WatchOptions } from "./following.ts";
export { type HeldOptions, Lock } from "./lock.ts";
export { type Address, ALL, type All, type Duration, RawId, type Where } from "./names.ts";
export type { NearClient, NearOptions } from "./near.ts";
export { QueueFull } from "./outbox.ts";
export type { Request } from "./request.ts";
export type * from "./results.ts";
export { Session, type Under } from "./session.ts";
export { Turn } from "./turn.ts";
export * as verbs from "./verbs.ts";
export { type CloudEvent, type VerifyOptions, verifyWebhook } from "./webhooks.ts";
