"use strict";
// What each view uses: elements, requests, replies, tables, the confirmation of actions.

const byId = (id) => document.getElementById(id);

// Makes an element; children are elements or texts, and never markup.
function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "onclick") element.addEventListener("click", value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// MARK: Numbers and times

const shown = (value) => (value === null || value === undefined || value === "" ? "–" : String(value));
const grouped = (value) => value.toLocaleString("en");

function rate(value) {
  return value >= 100 ? grouped(Math.round(value)) : String(Math.round(value * 10) / 10);
}

function span(ms) {
  if (ms === null || ms === undefined) return "–";
  const size = Math.abs(ms);
  if (size < 1000) return `${Math.round(ms)} ms`;
  if (size < 60_000) return `${Math.round(ms / 100) / 10} s`;
  if (size < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
  if (size < 86_400_000) {
    return `${Math.floor(ms / 3_600_000)} h ${Math.floor((ms % 3_600_000) / 60_000)} min`;
  }
  return `${Math.floor(ms / 86_400_000)} d ${Math.floor((ms % 86_400_000) / 3_600_000)} h`;
}

function moment(ms) {
  const date = new Date(ms);
  return typeof ms === "number" && !Number.isNaN(date.getTime()) ? date.toLocaleString("sv") : shown(ms);
}
const ago = (ms) => (ms ? `${span(Math.max(0, Date.now() - ms))} ago` : "–");

function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1048576) return `${Math.round(count / 1024)} KiB`;
  return `${Math.round(count / 104857.6) / 10} MiB`;
}

// MARK: Requests

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

function headers() {
  const secret = sessionStorage.getItem("secret");
  return { "Latchkey-Page": "1", ...(secret ? { Authorization: `Bearer ${secret}` } : {}) };
}

// Asks for a resource of the page; a refusal is thrown with its sentence.
async function resource(path, more = {}) {
  const { fields, ...rest } = more;
  const response = await fetch(`page/${path}`, {
    headers: { ...headers(), ...fields }, cache: "no-store", ...rest,
  });
  if (response.ok) return response;
  const text = (await response.text()).trim();
  if (response.status === 401) signIn(text);
  throw new Refused(response.status, text);
}

// Sends a request line; resolves to its reply: its word, and its JSON or its error.
async function ask(line) {
  const text = (await (await resource("call", { method: "POST", body: line })).text()).trim();
  const word = text.split(" ", 1)[0];
  const rest = text.slice(word.length + 1);
  if (word === "ERR") {
    const code = rest.split(" ", 1)[0];
    return { word, code, text: `${code}: ${rest.slice(code.length + 1)}`, json: null };
  }
  return { word, text, json: rest ? JSON.parse(rest) : {} };
}

// A name as it stands in a line: percent-encoded where it has other characters than names have.
function id(text) {
  return /^[A-Za-z0-9._:@+\-%~!*'()]+$/.test(text) ? text : encodeURIComponent(text);
}

function signIn(text) {
  const dialog = byId("sign-in");
  byId("sign-in-text").textContent =
    sessionStorage.getItem("secret") ? text : "This worker asks who calls. The secret stays in this tab.";
  if (!dialog.open) dialog.showModal();
}

byId("sign-in-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("secret", byId("secret").value.trim());
  byId("secret").value = "";
  byId("sign-in").close();
  show();
});

function notice(text) {
  byId("notice").textContent = text;
}

function state(word) {
  const live = byId("live");
  if (live.dataset.state === word) return;
  live.dataset.state = word;
  live.textContent = word;
}

// MARK: Confirmation

// Answers the question that is open; its dialog says later that it was closed, and another question
// may be open by then.
let settle = null;
byId("confirm").addEventListener("close", () => {
  if (!byId("confirm").open) settle?.(byId("confirm").returnValue === "yes");
});

// Asks before an action; resolves to whether it is to be done.
function confirmed(title, text, word) {
  const dialog = byId("confirm");
  settle?.(false);
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = word;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    settle = resolve;
  });
}

// A button that does something after a question; `after` shows what has changed.
function action(name, question, line, after) {
  return make("button", {
    type: "button",
    class: "danger",
    onclick: async () => {
      const at = view;
      if (!(await confirmed(question.title, question.text, name))) return;
      try {
        const reply = await ask(line);
        // What has changed is shown, which forgets the notice before.
        if (reply.word !== "ERR" && view === at) after();
        notice(`${line.split(" ", 1)[0]}: ${reply.word === "OK" ? "done" : reply.text}`);
      } catch (error) {
        notice(error.message);
      }
    },
  }, name);
}

// MARK: Tables

// A table of many rows, of which only those in sight are elements.
class DataTable {
  static rowHeight = 27;

  // Columns have a key, a label, and may be numbers or have a text of their own.
  constructor(label, columns, opened) {
    Object.assign(this, { label, columns, opened, rows: [], shown: [], active: 0 });
    this.order = { key: null, down: false };
    this.filter = make("input", { type: "search", "aria-label": `Filter ${label}`, placeholder: "filter" });
    this.filter.addEventListener("input", () => this.arrange());
    this.count = make("span", { class: "count", role: "status" });
    this.heads = columns.map((column) => {
      const button = make("button", { type: "button", onclick: () => this.sort(column.key) }, column.label);
      return make("th", { scope: "col", class: column.number ? "number" : null }, button);
    });
    this.body = make("tbody");
    this.table = make("table", { role: "grid", "aria-label": label }, make("thead", {}, make("tr", {}, ...this.heads)), this.body);
    this.scroll = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${label}, scrollable` }, this.table);
    this.scroll.addEventListener("scroll", () => this.draw());
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.element = make("div", {}, make("div", { class: "bar" }, this.filter, this.count), this.scroll);
  }

  set(rows) {
    this.rows = rows;
    this.arrange();
  }

  sort(key) {
    this.order = { key, down: this.order.key === key && !this.order.down };
    this.columns.forEach((column, index) => {
      if (column.key === key) this.heads[index].setAttribute("aria-sort", this.order.down ? "descending" : "ascending");
      else this.heads[index].removeAttribute("aria-sort");
    });
    this.arrange();
  }

  text(row, column) {
    return column.text ? column.text(row[column.key], row) : shown(row[column.key]);
  }

  arrange() {
    const wanted = this.filter.value.trim().toLowerCase();
    const has = (row) => this.columns.some((column) => this.text(row, column).toLowerCase().includes(wanted));
    this.shown = wanted ? this.rows.filter(has) : [...this.rows];
    const { key, down } = this.order;
    if (key) {
      const sign = down ? -1 : 1;
      this.shown.sort((one, other) => {
        const [a, b] = [one[key] ?? "", other[key] ?? ""];
        return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
      });
    }
    this.active = Math.min(this.active, Math.max(0, this.shown.length - 1));
    this.count.textContent = wanted
      ? `${grouped(this.shown.length)} of ${grouped(this.rows.length)}`
      : `${grouped(this.rows.length)} rows`;
    this.draw();
  }

  draw() {
    const height = DataTable.rowHeight;
    const sight = Math.ceil((this.scroll.clientHeight || 600) / height);
    const first = Math.max(0, Math.min(Math.floor(this.scroll.scrollTop / height) - 5, this.shown.length - sight));
    const last = Math.min(this.shown.length, first + sight + 10);
    const hadFocus = this.body.contains(document.activeElement);
    this.table.setAttribute("aria-rowcount", this.shown.length + 1);
    const rows = [];
    for (let index = first; index < last; index += 1) rows.push(this.row(index));
    this.body.replaceChildren(this.space(first * height), ...rows, this.space((this.shown.length - last) * height));
    if (hadFocus) this.body.querySelector(`tr[data-index="${this.active}"]`)?.focus({ preventScroll: true });
  }

  space(height) {
    const cell = make("td", { colspan: this.columns.length });
    cell.style.height = `${height}px`;
    return make("tr", { class: "space", "aria-hidden": "true" }, cell);
  }

  row(index) {
    const row = this.shown[index];
    const cells = this.columns.map((column) =>
      make("td", { class: column.number ? "number" : null }, this.text(row, column)));
    return make("tr", {
      class: "row", "data-index": index, "aria-rowindex": index + 2, tabindex: index === this.active ? "0" : "-1",
      onclick: () => this.open(index),
    }, ...cells);
  }

  open(index) {
    this.active = index;
    this.opened?.(this.shown[index]);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.scroll.clientHeight / DataTable.rowHeight) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter") return this.open(this.active);
    if (!(event.key in steps)) return undefined;
    event.preventDefault();
    this.active = Math.max(0, Math.min(this.shown.length - 1, this.active + steps[event.key]));
    const top = this.active * DataTable.rowHeight;
    const room = this.scroll.clientHeight - 2 * DataTable.rowHeight;
    if (top < this.scroll.scrollTop) this.scroll.scrollTop = top;
    else if (top > this.scroll.scrollTop + room) this.scroll.scrollTop = top - room;
    this.draw();
    return this.body.querySelector(`tr[data-index="${this.active}"]`)?.focus({ preventScroll: true });
  }
}

// A small table, all of whose rows are shown.
function smallTable(caption, columns, rows) {
  const cell = (value, index) => make("td", { class: index > 0 ? "number" : null }, shown(value));
  return make("section", { class: "card" }, make("table", {}, make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...columns.map((column, index) =>
      make("th", { scope: "col", class: index > 0 ? "number" : null }, column)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map(cell))))));
}

// The members of an object, each with its name. Of a worker's own ones the names say what they are;
// those of callers are shown as they are.
function members(object, isOwn = true) {
  const list = make("dl", { class: "members" });
  for (const [name, value] of Object.entries(object)) {
    const isNumber = isOwn && typeof value === "number";
    let text = value;
    if (isNumber && name.endsWith("_at")) text = moment(value);
    else if (isNumber && name.endsWith("_ms")) text = span(value);
    const inner = text !== null && typeof text === "object"
      ? make("pre", {}, JSON.stringify(text, null, 1)) : shown(text);
    list.append(make("dt", {}, name), make("dd", {}, inner));
  }
  return list;
}

const fault = (text) => make("p", { class: "fault" }, text);
