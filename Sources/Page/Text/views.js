// The views: the overview, lists of locks and sessions, the events, and what a search finds.

// MARK: Overview

const samples = [];
let series = [];

// The share of counts below which a part of all values are: the bound of its bucket.
function quantile(part, now, before) {
  const counts = now.counts.map((count, index) => count - (before ? before.counts[index] : 0));
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all <= 0) return null;
  let seen = 0;
  for (let index = 0; index < counts.length; index += 1) {
    seen += counts[index];
    if (seen >= part * all) return index < now.bounds.length ? now.bounds[index] : Infinity;
  }
  return null;
}

const total = (sample, place) => Object.values(sample.requests).reduce((sum, pair) => sum + pair[place], 0);

function tile(name, value, more, drawing) {
  return make("div", {}, make("dt", {}, name),
    make("dd", {}, value, more ? make("small", {}, more) : null, drawing ?? null));
}

function sparkline(values) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "polyline");
  const most = Math.max(1, ...values);
  svg.setAttribute("viewBox", "0 0 59 22");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  line.setAttribute("points", values.map((value, at) => `${59 - values.length + 1 + at},${21 - (20 * value) / most}`).join(" "));
  svg.append(line);
  return svg;
}

function under(bound, scale, unit) {
  if (bound === null) return "–";
  return bound === Infinity ? "over 1 s" : `≤ ${bound / scale} ${unit}`;
}

function overviewOf(sample) {
  const before = samples.length > 1 ? samples[0] : null;
  const seconds = before ? Math.max(0.1, (sample.uptime_ms - before.uptime_ms) / 1000) : 1;
  const growth = (place) => (before ? (total(sample, place) - total(before, place)) / seconds : 0);
  const fleet = sample.fleet ?? { agents: [], states: {}, age_ms: null };
  const latency = (part) => under(quantile(part, sample.latency_us, before?.latency_us), 1000, "ms");
  const lateness = (part) => under(quantile(part, sample.lateness_ms, null), 1, "ms");
  const age = fleet.age_ms === null ? "not counted yet" : `as of ${span(fleet.age_ms)} ago`;
  const tiles = make("dl", { class: "tiles" },
    tile("Requests a second", rate(growth(0)), `${rate(growth(1))} errors a second`, sparkline(series)),
    tile("Latency, p99", latency(0.99), `p50 ${latency(0.5)}`),
    tile("Lateness of deadlines, p99", lateness(0.99), `p50 ${lateness(0.5)}`),
    tile("Locks held", grouped(fleet.held ?? 0), age),
    tile("Turns running", grouped(fleet.turns_running ?? 0), `${grouped(fleet.turns_waiting ?? 0)} waiting`),
    tile("Sessions active", grouped(fleet.states.active ?? 0), `${grouped(fleet.devices ?? 0)} devices, ${grouped(fleet.users ?? 0)} users`),
    tile("Abandoned locks", grouped(fleet.abandoned ?? 0), `${grouped(fleet.turns_abandoned ?? 0)} turns`),
    tile("Connections", grouped(sample.now.connections), `${sample.now.in_flight} requests in flight`),
    tile("Watches", grouped(sample.now.watches), `${sample.now.waiters} requests wait`),
    tile("Buffered for callers", bytes(sample.now.buffered_bytes)),
    tile("Groups behind", span(sample.groups.behind_ms), `${grouped(sample.groups.lost)} events lost`),
    tile("Event logs", bytes(sample.groups.log_bytes), `${sample.groups.logs_full} full`));
  const verbs = Object.entries(sample.requests).map(([verb, [all, errors]]) => {
    const was = before?.requests[verb]?.[0] ?? (before ? 0 : all);
    return [verb, rate((all - was) / seconds), grouped(all), grouped(errors)];
  });
  return make("div", {}, make("h2", { class: "bar" }, `Worker ${sample.worker}`),
    sample.outage ? fault(`Redis: ${sample.outage}`) : null, tiles,
    make("div", { class: "cards" },
      smallTable("Locks by agent", ["agent", "held"], fleet.agents.map(([name, held]) => [name, grouped(held)])),
      smallTable("Sessions by state", ["state", "sessions"], Object.entries(fleet.states).map(([name, count]) => [name, grouped(count)])),
      smallTable("Consumer groups", ["group", "lag"], sample.groups.lags.map((row) => [row.group, span(row.behind_ms)])),
      smallTable("Requests by verb", ["verb", "a second", "in all", "errors"], verbs),
      smallTable("Workers", ["worker", "this one"], sample.workers.map((name) => [name, name === sample.worker ? "yes" : ""])),
      smallTable("Redis", ["node", "partitions", "state"], sample.redis.nodes.map((node) =>
        [node.name || sample.redis.mode, node.partitions, node.away ?? "up"]))));
}

// Hooks are asked for less often than the rest: each answer reads how far every log is.
const hooks = { element: make("div"), askedAt: 0 };
const hooksEveryMs = 15_000;

async function readHooks() {
  if (Date.now() - hooks.askedAt < hooksEveryMs) return;
  hooks.askedAt = Date.now();
  const reply = await ask("HOOKS");
  hooks.element.replaceChildren(reply.word !== "OK" ? fault(reply.text)
    : smallTable("Hooks", ["hook", "state", "events behind", "lag", "failed", "last error"], reply.json.hooks.map((hook) =>
      [hook.name, hook.state, hook.lag, span(hook.lag_ms), hook.failed, hook.last_error])));
}

function took(sample) {
  const latest = samples[samples.length - 1];
  if (latest && (latest.worker !== sample.worker || latest.uptime_ms > sample.uptime_ms)) {
    samples.length = 0;
    series = [];
  } else if (latest) {
    const seconds = Math.max(0.1, (sample.uptime_ms - latest.uptime_ms) / 1000);
    series = [...series, (total(sample, 0) - total(latest, 0)) / seconds].slice(-60);
  }
  samples.push(sample);
  if (samples.length > 11) samples.shift();
}

let pollTimer = null;

// Asks once a second while the page can be seen; also the sign of whether the worker answers.
async function poll() {
  clearTimeout(pollTimer);
  if (document.hidden) return state("paused");
  if (byId("sign-in").open) return state("signed out");
  let pauseMs = 1000;
  try {
    took(await (await resource("overview")).json());
    state("live");
    if (view.name === "overview") {
      view.element.replaceChildren(overviewOf(samples[samples.length - 1]), hooks.element);
      readHooks().catch((error) => hooks.element.replaceChildren(fault(error.message)));
    }
  } catch (error) {
    if (!(error instanceof Refused) || error.status === 503) state("reconnecting");
    else {
      state(error.status === 401 ? "signed out" : "live");
      // Who may not see the overview is asked less often, if only to see that the worker answers.
      pauseMs = 30_000;
      if (view.name === "overview") view.element.replaceChildren(fault(error.message));
    }
  }
  clearTimeout(pollTimer);
  pollTimer = setTimeout(poll, pauseMs);
  return undefined;
}

document.addEventListener("visibilitychange", () => {
  poll();
  if (!document.hidden && view.name === "events") follow();
});

// MARK: Lists

const rowsMax = 10_000;

// Reads a list page after page, and shows what has come.
async function fill(table, line, member, row) {
  const rows = [];
  let cursor = "";
  const at = view;
  do {
    const reply = await ask(`${line} limit=1000${cursor ? ` cursor=${cursor}` : ""}`);
    if (view !== at) return;
    if (reply.word !== "OK") return table.element.replaceChildren(fault(reply.text));
    rows.push(...reply.json[member].map(row));
    cursor = reply.json.cursor;
    table.set(rows.slice(0, rowsMax));
  } while (cursor && rows.length < rowsMax);
  notice(cursor ? `${grouped(rowsMax)} rows are shown, and there are more` : "");
}

function listView(title, table, load) {
  const again = () => load().catch((error) => table.element.replaceChildren(fault(error.message)));
  view.element.replaceChildren(make("div", { class: "bar" }, make("h2", {}, title),
    make("button", { type: "button", onclick: again }, "Refresh")), table.element);
  again();
}

function locksView() {
  const table = new DataTable("Locks", [
    { key: "device", label: "device" }, { key: "agent", label: "agent" },
    { key: "acquired_at", label: "held for", number: true, text: (at) => span(Date.now() - at) },
    { key: "ttl_ms", label: "time left", number: true, text: span },
  ], (row) => go("device", row.device));
  listView("Locks that are held", table, () => fill(table, "LOCKS", "locks", (row) => row));
}

const sessionColumns = [
  { key: "device", label: "device" }, { key: "session", label: "session" }, { key: "state", label: "state" },
  { key: "name", label: "name" }, { key: "user", label: "user" },
  { key: "active_at", label: "active", number: true, text: ago },
  { key: "messages", label: "messages", number: true },
];
const sessionRow = (record) => ({ ...record, user: record.links?.user?.join(", ") ?? null });

function sessionsView() {
  const table = new DataTable("Sessions", sessionColumns, (row) => go("session", `${row.device}/${row.session}`));
  listView("Sessions", table, () => fill(table, "LIST * order=active fields=none", "sessions", sessionRow));
}

// MARK: Events

const eventColumns = [
  { key: "at", label: "time", text: moment }, { key: "type", label: "type" }, { key: "device", label: "device" },
  { key: "session", label: "session" }, { key: "more", label: "more" },
];

function eventRow(event) {
  const { id: number, type, device, at, session, ...more } = event;
  return { id: number, type, device, at, session, more: JSON.stringify(more) };
}

let stream = null;

// Shows events as they happen; the newest 10,000 are kept. After an interruption it goes on behind
// the newest event that was shown.
async function follow() {
  stream?.abort();
  const own = new AbortController();
  const table = view.table;
  const last = table.rows.find((row) => row.id)?.id;
  const known = new Set(table.rows.slice(0, 2000).map((row) => row.id));
  stream = own;
  try {
    const response = await resource("events", { signal: own.signal, fields: last ? { "Last-Event-ID": last } : {} });
    if (!response.headers.get("Content-Type").startsWith("text/event-stream")) {
      return view.element.replaceChildren(fault((await response.text()).replace(/^ERR \S+ /, "")));
    }
    notice("");
    // From here on none is missed.
    table.set(table.rows);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || stream !== own) break;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      const events = parts.filter((part) => part.startsWith("data: ")).map((part) => eventRow(JSON.parse(part.slice(6))))
        .filter((row) => !row.id || !known.has(row.id));
      if (events.length > 0) table.set([...events.reverse(), ...table.rows].slice(0, rowsMax));
    }
  } catch (error) {
    if (error instanceof Refused && error.status !== 503) {
      return view.element.replaceChildren(fault(error.message));
    }
  }
  if (stream === own && !own.signal.aborted && view.name === "events") setTimeout(() => stream === own && follow(), 1000);
  return undefined;
}

function eventsView() {
  view.table = new DataTable("Events", eventColumns, (row) => row.device && go("device", row.device));
  view.element.replaceChildren(make("div", { class: "bar" }, make("h2", {}, "Events as they happen")), view.table.element);
  follow();
}

// MARK: Search

function go(kind, words) {
  location.hash = `${kind}=${encodeURIComponent(words)}`;
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  go(byId("kind").value, byId("words").value.trim());
  show();
});

// A card whose content is asked for.
function card(title, content, isWide) {
  const element = make("section", { class: isWide ? "card wide" : "card", "aria-label": title }, make("h2", {}, title));
  const place = make("div");
  element.append(place);
  content().then((parts) => place.replaceChildren(...parts), (error) => place.replaceChildren(fault(error.message)));
  return element;
}

const replied = (reply, none, ok) =>
  reply.word === "OK" ? ok(reply.json) : [reply.word === "NONE" ? make("p", {}, none) : fault(reply.text)];

const lockCard = (device) => card("Lock", async () =>
  replied(await ask(`HOLDER ${device}`), "no agent holds it", (lock) => [members(lock),
    make("p", { class: "bar" }, action("Clear the lock", {
      title: `Clear the lock of ${device}?`,
      text: `${lock.agent} loses the device at once: its token is refused from then on. Another agent may take the device.`,
    }, `CLEAR ${device}`, show))]));

function sessionActions(record) {
  const address = `${record.device}/${record.session}`;
  const buttons = [
    make("button", { type: "button", onclick: () => exported(address) }, "Export"),
  ];
  if (["active", "paused"].includes(record.state)) {
    for (const outcome of ["completed", "failed"]) {
      buttons.push(action(`Close as ${outcome}`, {
        title: `Close the session as ${outcome}?`,
        text: `${address} ends, and takes no messages and no turns any more. Its record is kept until its time is over.`,
      }, `CLOSE ${address} ${outcome} reason=operator`, show));
    }
  }
  for (const share of record.shares ?? []) {
    buttons.push(action(`Unshare ${share.user}`, {
      title: `End the share of ${share.user}?`,
      text: `${share.user} reaches the session ${address} no more, from the next request on.`,
    }, `UNSHARE ${address} user=${id(share.user)}`, show));
  }
  buttons.push(action("End all tickets", {
    title: "End all tickets of the session?",
    text: `Browsers and devices that use a ticket for ${address} are cut off, and need a new one.`,
  }, `UNSHARE ${address} tickets=all`, show));
  return make("p", { class: "bar" }, ...buttons);
}

// Has the browser keep what EXPORT gives.
async function exported(address) {
  try {
    const reply = await ask(`EXPORT ${address}`);
    if (reply.word !== "OK") return notice(`EXPORT: ${reply.text}`);
    const place = URL.createObjectURL(new Blob([reply.text.slice(3)], { type: "application/json" }));
    const link = make("a", { href: place, download: `${address.replace("/", "-")}.json` });
    link.click();
    URL.revokeObjectURL(place);
    return notice(`EXPORT: ${grouped(reply.text.length - 3)} bytes`);
  } catch (error) {
    return notice(error.message);
  }
}

const recordCard = (title, address) => card(title, async () =>
  replied(await ask(`GET ${address}`), "there is no session", (record) => {
    const { turn, fields, ...rest } = record;
    return [members(rest), make("h3", {}, "Turn"), turn ? members(turn) : make("p", {}, "no turn is running"),
      make("h3", {}, "Fields"), members(fields ?? {}, false), sessionActions(record)];
  }));

const textOf = (value) => (typeof value === "string" ? value : value === undefined ? "–" : JSON.stringify(value));

const chatsCard = (address) => card("Chats", async () => {
  const reply = await ask(`CHATS ${address}`);
  if (reply.word !== "OK") return replied(reply, "no chats", () => []);
  const session = address.includes("/") ? address : `${address}/current`;
  const parts = [];
  for (const chat of reply.json.chats) {
    const history = await ask(`HISTORY ${session}/${chat.chat} last=50`);
    const title = `Chat ${chat.chat}${chat.name ? ` ${chat.name}` : ""}, ${grouped(chat.messages)} messages`;
    parts.push(make("h3", {}, title));
    if (history.word !== "OK") parts.push(fault(history.text));
    else parts.push(make("ol", { class: "messages" }, ...history.json.messages.map((entry) => make("li", {},
      make("div", { class: "who" }, `${entry.seq} · ${moment(entry.at)} · `, make("bdi", {}, textOf(entry.message?.role))),
      typeof entry.message?.text === "string" ? make("div", {}, entry.message.text)
        : make("pre", {}, JSON.stringify(entry.message))))));
  }
  return parts.length > 0 ? parts : [make("p", {}, "no chats")];
}, true);

const sessionsCard = (title, line) => card(title, async () =>
  replied(await ask(line), "none", (list) => {
    const table = new DataTable(title, sessionColumns, (row) => go("session", `${row.device}/${row.session}`));
    table.scroll.style.height = "220px";
    requestAnimationFrame(() => table.set(list.sessions.map(sessionRow)));
    return [table.element];
  }), true);

// The newest of a device's events: they are read oldest first.
const eventsCard = (device, session) => card("Events", async () => {
  let events = [];
  let after = "";
  for (let page = 0; page < 20; page += 1) {
    const reply = await ask(`EVENTS ${device} limit=1000${after ? ` after=${after}` : ""}`);
    if (reply.word !== "OK") return replied(reply, "none", () => []);
    const got = reply.json.events.filter(Boolean);
    events = [...events, ...got].slice(-rowsMax);
    if (got.length < 1000) break;
    after = got[got.length - 1].id;
  }
  const table = new DataTable("Events of the device", eventColumns, null);
  table.scroll.style.height = "280px";
  const own = session ? events.filter((event) => event.session === session) : events;
  requestAnimationFrame(() => table.set(own.reverse().map(eventRow)));
  return [table.element];
}, true);

function deviceView(words) {
  const device = id(words);
  view.element.replaceChildren(make("h2", { class: "bar" }, `Device ${words}`), make("div", { class: "cards" },
    lockCard(device), recordCard("Current session", device),
    sessionsCard("Sessions of the device", `LIST ${device} fields=none limit=1000`), chatsCard(device), eventsCard(device)));
}

function userView(words) {
  view.element.replaceChildren(make("h2", { class: "bar" }, `User ${words}`), make("div", { class: "cards" },
    sessionsCard("Sessions of the user", `LIST user=${id(words)} order=active fields=none limit=1000`)));
}

function sessionView(words) {
  const [device, session, ...more] = words.split("/");
  if (!session || more.length > 0) {
    view.element.replaceChildren(fault("a session is searched as device/session"));
    return;
  }
  const address = `${id(device)}/${id(session)}`;
  view.element.replaceChildren(make("h2", { class: "bar" }, `Session ${words}`), make("div", { class: "cards" },
    lockCard(id(device)), recordCard("Session", address), chatsCard(address), eventsCard(id(device), session)));
}

// MARK: Views

const views = {
  overview: () => samples.length > 0 && view.element.replaceChildren(overviewOf(samples[samples.length - 1])),
  locks: locksView, sessions: sessionsView, events: eventsView,
  device: deviceView, user: userView, session: sessionView,
};
let view = { name: "", element: make("div") };

// The words of an address, which a person may have written.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Shows what the address names.
function show() {
  const [asked, coded] = location.hash.slice(1).split("=", 2);
  const words = decoded(coded ?? "");
  const name = Object.hasOwn(views, asked) && (words || !["device", "user", "session"].includes(asked)) ? asked : "overview";
  stream?.abort();
  stream = null;
  view = { name, element: make("div") };
  byId("main").replaceChildren(view.element);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = name === "overview" ? "Latchkey" : `Latchkey: ${name}`;
  notice("");
  if (words && byId("words").value === "") {
    byId("kind").value = name;
    byId("words").value = words;
  }
  views[name](words);
  poll();
}

addEventListener("hashchange", show);

// The skip link is no view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});

// MARK: Light and dark

const themes = ["auto", "light", "dark"];
function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  byId("theme").textContent = `Theme: ${name}`;
  localStorage.setItem("theme", name);
}
byId("theme").addEventListener("click", () => {
  setTheme(themes[(themes.indexOf(localStorage.getItem("theme") ?? "auto") + 1) % themes.length]);
});
setTheme(themes.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto");
show();
