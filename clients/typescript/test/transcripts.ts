// The transcripts, and how their calls are written here.

import * as fs from "node:fs";
import * as path from "node:path";

import { ALL, verbs } from "../src/index.ts";
import { ROOT } from "./support.ts";

// deno-lint-ignore no-explicit-any -- parameters of all kinds
export type Any = any;

export interface Entry {
  name: string;
  call: string;
  args: unknown[];
  options: Record<string, unknown>;
  wire: [string, string | null][];
  result?: unknown;
  error?: unknown;
}

export const ENTRIES: Entry[] = fs
  .readFileSync(path.join(ROOT, "clients/transcripts/transcripts.jsonl"), "utf8")
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line));

export const camel = (name: string): string =>
  name.replace(/_$/, "").replace(/_(\w)/g, (_, letter) => letter.toUpperCase());

/** At which place a function has its options, if not behind those without a default. */
const OPTIONS_AT: Record<string, number> = {
  ...{ renew: 2, done: 2, part: 2, popMany: 1, amend: 2, close: 2, report: 1, help: 1 },
  ...{ profile: 2, drop: 2, share: 1, unshare: 1 },
};

/** Names of options of LIST and PROFILE that are no link. */
const OWN = new Set(
  ["state", "order", "since", "before", "fields", "count", "limit", "cursor", "and", "as", "rev"]
    .concat("req"),
);

/** The name of a function here, and its parameters. */
export function parameters(entry: Entry): [string, unknown[]] {
  const name = camel(entry.call);
  let given = entry.args.map((value) => (value as Any)?.all === true ? ALL : value);
  const named = Object.entries(entry.options).map(([option, value]) =>
    [camel(option), value] as const
  );
  let options = Object.fromEntries(named);
  if (name === "list" || name === "profile") {
    const link = Object.fromEntries(named.filter(([option]) => !OWN.has(option)));
    options = Object.fromEntries(named.filter(([option]) => OWN.has(option)));
    if (Object.keys(link).length > 0) given = [link, ...given];
  }
  if (["take", "drop", "ack"].includes(name)) given = [given[0], given.slice(1)];
  const at = OPTIONS_AT[name] ?? (verbs as Any)[name].length;
  while (given.length < at) given.push(undefined);
  return [name, [...given, options]];
}
