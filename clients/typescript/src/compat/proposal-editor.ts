// The proposal editor's SessionManager: editing sessions that pause when unused and end in time.
//
// A user's id is the device. The manager has no timers: workers pause a session and end it at the
// deadline, whether the editor's server lives or not.

import type { Client } from "../client.ts";
import { Forbidden, IllegalState, NotFound } from "../errors.ts";
import type { Address } from "../names.ts";
import type { Event, Members, SessionRecord } from "../results.ts";
import { addressOf, ms, OwnedClient, sessionIdOf } from "./common.ts";

export type SessionState = "running" | "paused" | "completed" | "error";

/** A session as it was when it was read. */
export interface SessionMetadata {
  sessionId: string;
  proposalId: string | null;
  userId: string;
  /** The thread for LangGraph's state. */
  threadId: string;
  state: SessionState;
  currentPhase: string | null;
  currentStep: string | null;
  /** The reason of an error, or of a pause; null without one. */
  errorDetails: string | null;
  createdAt: Date;
  lastActivity: Date;
  /** When it will be paused, and ended, unless there is activity; null is never. */
  pausesAt: Date | null;
  endsAt: Date | null;
  /** Other members that `updateSession` has set. */
  [member: string]: unknown;
}

/** What `updateSession` changes; other members are kept with the session, null removes one. */
export interface SessionUpdates {
  currentPhase?: string;
  currentStep?: string;
  state?: SessionState;
  errorDetails?: string;
  [member: string]: unknown;
}

/** A change that no caller has made. */
export interface SessionChange {
  sessionId: string;
  proposalId: string | null;
  /** `expiring`: it will be paused or ended in `inMs`, unless there is activity. */
  what: "expiring" | "paused" | "ended";
  inMs: number | null;
}

export interface SessionManagerOptions {
  /** It stays open; without it one is made, configured by LATCHKEY_TO. */
  client?: Client;
  /** Milliseconds without activity after which a session is paused; 30 minutes. */
  sessionTimeout?: number;
  /** Milliseconds after which a session is ended, in use or not; 24 hours. */
  maxSessionLifetime?: number;
  /** Milliseconds before either, at which `onChange` is called; 2 minutes. */
  warning?: number;
  /** True if the user may work on the proposal; the caller's. */
  verifyAccess?: (proposalId: string, userId: string) => boolean | Promise<boolean>;
  /** Called between `start` and `stop`, by one process for each change that no caller has made. */
  onChange?: (change: SessionChange) => void | Promise<void>;
  /**
   * Called for an error of `onChange`, and for the one that has ended the subscription, after which
   * `start` begins anew.
   */
  onError?: (error: unknown) => void;
}

const STATES: Record<SessionRecord["state"], SessionState> = {
  active: "running",
  paused: "paused",
  abandoned: "paused",
  completed: "completed",
  expired: "completed",
  archived: "completed",
  failed: "error",
};

const OWN = new Set(["currentPhase", "currentStep", "state", "errorDetails"]);
const FIXED = ["sessionId", "proposalId", "userId", "threadId", "createdAt", "lastActivity"];
const GROUP = "proposal-sessions";

export class SessionManager {
  readonly #owned: OwnedClient;
  readonly #options: SessionManagerOptions;
  #following: AbortController | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: SessionManagerOptions = {}) {
    this.#owned = new OwnedClient(options.client);
    this.#options = options;
  }

  get #client(): Client {
    return this.#owned.client;
  }

  /**
   * A session of a user for a proposal; returns its id.
   *
   * Throws Forbidden if `verifyAccess` says no; Quota if the user has too many sessions.
   */
  async createSession(proposalId: string, userId: string): Promise<string> {
    const { sessionTimeout, maxSessionLifetime, verifyAccess, warning } = this.#options;
    if (verifyAccess !== undefined && !(await verifyAccess(proposalId, userId))) {
      throw new Forbidden(`user ${userId} may not work on proposal ${proposalId}`, "forbidden");
    }
    const record = await this.#client.open(userId, null, {
      user: userId,
      link: { proposal: proposalId },
      idle: ms(sessionTimeout ?? 30 * 60_000),
      life: ms(maxSessionLifetime ?? 24 * 3600_000),
      warn: ms(warning ?? 2 * 60_000),
      abandon: 0,
    });
    return sessionIdOf(record);
  }

  /** The session, or null if there is none. */
  async getSession(sessionId: string): Promise<SessionMetadata | null> {
    const record = await this.#client.get(addressOf(sessionId));
    return record === null ? null : metadataOf(record);
  }

  /** The sessions of a proposal, newest first, 1,000 at most. */
  async sessionsOfProposal(proposalId: string): Promise<SessionMetadata[]> {
    const page = await this.#client.list({ proposal: proposalId }, { limit: 1000 });
    return page.sessions.map(metadataOf);
  }

  /** Records activity: the session is not paused meanwhile. Throws NotFound, IllegalState. */
  async recordActivity(sessionId: string): Promise<void> {
    await this.#client.touch(addressOf(sessionId));
  }

  /** Changes the given members alone. Throws NotFound, IllegalState, RangeError. */
  async updateSession(sessionId: string, updates: SessionUpdates): Promise<SessionMetadata> {
    const fixed = FIXED.filter((name) => name in updates);
    if (fixed.length > 0) throw new RangeError(`${fixed.join(", ")}: the manager sets this itself`);
    const where = addressOf(sessionId);
    const others = Object.entries(updates).filter(([name]) => !OWN.has(name));
    const { currentPhase: phase, currentStep: step, state } = updates;
    if (phase !== undefined || step !== undefined || others.length > 0) {
      const fields: Members | null = others.length > 0 ? Object.fromEntries(others) : null;
      await this.#client.set(where, fields, { phase, step });
    }
    if (state === "running") return await this.recoverSession(sessionId);
    if (state === "paused") return await this.pauseSession(sessionId, updates.errorDetails);
    if (state !== undefined) return await this.closeSession(sessionId, state, updates.errorDetails);
    return metadataOf(await this.#found(where));
  }

  /** Pauses a session; once more is no error. Throws NotFound, IllegalState. */
  async pauseSession(sessionId: string, reason?: string): Promise<SessionMetadata> {
    const where = addressOf(sessionId);
    try {
      return metadataOf(await this.#client.pause(where, { reason }));
    } catch (error) {
      const record = error instanceof IllegalState ? await this.#client.get(where) : null;
      if (record?.state === "paused") return metadataOf(record);
      throw error;
    }
  }

  /** Goes on with a paused session. Throws NotFound; IllegalState if it has ended. */
  async resumeSession(sessionId: string): Promise<SessionMetadata> {
    return await this.recoverSession(sessionId);
  }

  /** Ends a session; once more in the same way is no error. Throws NotFound, IllegalState. */
  async closeSession(
    sessionId: string,
    state: "completed" | "error",
    errorDetails?: string,
  ): Promise<SessionMetadata> {
    const outcome = state === "error" ? "failed" : "completed";
    const options = { reason: errorDetails };
    return metadataOf(await this.#client.closeSession(addressOf(sessionId), outcome, options));
  }

  /**
   * Goes on with a session after a crash of the browser or the service, and records activity.
   *
   * Throws NotFound; IllegalState if it is closed, or its lifetime has ended.
   */
  async recoverSession(sessionId: string): Promise<SessionMetadata> {
    return metadataOf(await this.#client.recover(addressOf(sessionId)));
  }

  /**
   * Begins to call `onChange`. Sessions are paused and ended by the workers, also without it.
   *
   * Of several processes that have started, one is called for each change.
   */
  start(): void {
    if (this.#following !== undefined || this.#options.onChange === undefined) return;
    this.#following = new AbortController();
    this.#ended = this.#follow(this.#options.onChange, this.#following.signal);
  }

  /** Ends that, and the client if the manager has made it. */
  async stop(): Promise<void> {
    this.#following?.abort();
    this.#following = undefined;
    await this.#ended;
    await this.#owned.close();
  }

  async #follow(
    onChange: (change: SessionChange) => void | Promise<void>,
    signal: AbortSignal,
  ): Promise<void> {
    const types = ["session.expiring", "session.paused", "session.expired"];
    const report = this.#options.onError ?? ((error) => console.error("SessionManager:", error));
    try {
      for await (const event of this.#client.consume(GROUP, { types, signal })) {
        const change = changeOf(event);
        try {
          if (change !== null) await onChange(change);
        } catch (error) {
          report(error);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#following = undefined;
      report(error);
    }
  }

  async #found(where: Address): Promise<SessionRecord> {
    const record = await this.#client.get(where);
    if (record === null) throw new NotFound("the session is gone", "NONE");
    return record;
  }
}

/** A change of an editor's session that its caller has not asked for, or null. */
function changeOf(event: Event): SessionChange | null {
  const links = (event.links ?? {}) as Record<string, string[]>;
  const [proposalId] = links.proposal ?? [];
  if (proposalId === undefined || event.session === undefined) return null;
  if (event.type === "session.paused" && event.reason !== "idle") return null;
  const what = event.type === "session.expiring"
    ? "expiring"
    : event.type === "session.paused"
    ? "paused"
    : "ended";
  const sessionId = sessionIdOf(event as unknown as SessionRecord);
  return { sessionId, proposalId, what, inMs: (event.in_ms as number | undefined) ?? null };
}

function metadataOf(record: SessionRecord): SessionMetadata {
  return {
    ...record.fields,
    sessionId: sessionIdOf(record),
    proposalId: record.links.proposal?.[0] ?? null,
    userId: record.links.user?.[0] ?? record.device,
    threadId: record.thread,
    state: STATES[record.state],
    currentPhase: record.phase,
    currentStep: record.step,
    errorDetails: record.reason,
    createdAt: new Date(record.created_at),
    lastActivity: new Date(record.active_at),
    pausesAt: record.idle_at === null ? null : new Date(record.idle_at),
    endsAt: record.life_at === null ? null : new Date(record.life_at),
  };
}
