/**
 * Pieces that several pages are made of.  A state is always told by a word and a picture, never
 * by a colour alone.
 */

import { h } from "./dom.js";
import { age, percent } from "./format.js";
import { icon } from "./icons.js";

/** How a phase of a rollout, a run, a metric or a measurement looks: [tone, picture]. */
const LOOKS = {
  Healthy: ["good", "check"],
  Progressing: ["busy", "play"],
  Paused: ["wait", "pause"],
  Degraded: ["bad", "cross"],
  Pending: ["calm", "clock"],
  Running: ["busy", "play"],
  Successful: ["good", "check"],
  Failed: ["bad", "cross"],
  Error: ["bad", "alert"],
  Inconclusive: ["wait", "question"],
  Terminated: ["calm", "stop"],
  NoData: ["calm", "dot"],
};

const WORDS = { NoData: "No data" };
const ROLES = ["stable", "canary", "preview", "shadow"];
const NOTICES = { info: "dot", good: "check", warning: "alert", problem: "alert" };

/**
 * A phase as a word with a picture.
 * @param {?string} phase
 * @returns {HTMLElement}
 */
export function badge(phase) {
  const [tone, picture] = LOOKS[phase] ?? ["calm", "dot"];
  return tag(WORDS[phase] ?? phase ?? "unknown", tone, picture);
}

/**
 * Any word in the manner of a badge.
 * @param {string} text
 * @param {"good"|"busy"|"wait"|"bad"|"calm"} [tone]
 * @param {string} [picture]
 */
export function tag(text, tone = "calm", picture = "dot") {
  return h("span", { class: `badge tone-${tone}` }, icon(picture), h("span", null, text));
}

/** The class that colours a version's role; `other` for a word that is not known. */
export function roleClass(role) {
  return `role-${ROLES.includes(role) ? role : "other"}`;
}

/**
 * A version's name with the mark and the word of its role.
 * @param {{name: string, role: string}} version
 */
export function versionLabel({ name, role }) {
  return h(
    "span",
    { class: `version ${roleClass(role)}` },
    h("span", { class: "swatch", "aria-hidden": "true" }),
    h("span", null, h("span", { class: "version-name" }, name), " ", h("span", { class: "version-role" }, role)),
  );
}

/**
 * How a route's traffic is shared out; names and numbers stand below the bar.
 * @param {{name: string, role: string, weight: number}[]} versions
 * @param {{legend?: boolean, label?: string}} [how]
 * @returns {HTMLElement}
 */
export function weightBar(versions, { legend = true, label = "Traffic" } = {}) {
  const serving = versions.filter((version) => version.weight > 0);
  const said = serving.map(({ name, role, weight }) => `${name} (${role}) ${percent(weight)}`);
  const told = `${label}: ${said.join(", ") || "no version has any"}`;
  const bar = h("div", { class: "bar", role: "img", "aria-label": told }, serving.map(part));
  return h(
    "div",
    { class: "weights" },
    bar,
    legend && h("ul", { class: "bar-legend", "aria-hidden": "true" }, versions.map(entry)),
  );
}

function part({ name, role, weight }) {
  const title = `${name} (${role}): ${percent(weight)}`;
  return h("span", { class: `part ${roleClass(role)}`, css: { "--share": String(weight) }, title });
}

function entry(version) {
  const idle = version.weight > 0 ? "" : "idle";
  const share = h("span", { class: "share" }, percent(version.weight));
  return h("li", { class: idle }, versionLabel(version), share);
}

/**
 * A table that stacks its cells on a narrow screen.
 * @param {Object} what
 * @param {string} what.caption  for screen readers
 * @param {{title: string, cell: (row: *) => *, class?: string, hint?: string}[]} what.columns
 * @param {*[]} what.rows
 * @param {string} [what.empty]  said where there are no rows
 * @param {(row: *) => string} [what.rowClass]
 * @param {boolean} [what.stack]  false: it scrolls sideways instead
 * @returns {HTMLElement}
 */
export function table({ caption, columns, rows, empty = "Nothing here.", rowClass, stack = true }) {
  const head = columns.map((column) => h("th", { scope: "col", class: column.class, title: column.hint }, column.title));
  const none = h("tr", null, h("td", { class: "empty", colspan: columns.length }, empty));
  const body = rows.map((row) => h("tr", { class: rowClass?.(row) || null }, columns.map((column) => cell(column, row))));
  return h(
    "div",
    { class: "table-scroll", tabindex: stack ? null : "0", role: stack ? null : "group", "aria-label": stack ? null : caption },
    h(
      "table",
      { class: stack ? "table stack" : "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", null, h("tr", null, head)),
      h("tbody", null, rows.length > 0 ? body : none),
    ),
  );
}

function cell(column, row) {
  return h("td", { class: column.class, data: { label: column.title } }, h("div", null, column.cell(row)));
}

/**
 * Something that has to be said.
 * @param {"info"|"good"|"warning"|"problem"} kind
 * @param {string} text
 * @param {...*} more  elements below the text
 * @returns {HTMLElement}
 */
export function notice(kind, text, ...more) {
  const urgent = kind === "problem";
  return h(
    "div",
    { class: `notice notice-${kind}`, role: urgent ? "alert" : "status" },
    icon(NOTICES[kind] ?? "dot"),
    h("div", { class: "notice-text" }, h("p", null, text), more),
  );
}

const REMEDIES = {
  unauthenticated: "The token has expired or was withdrawn: sign in again.",
  forbidden: "Ask somebody whose token has the role, or whoever holds the weights.",
  "foreign-origin": "Open the console under the address of the admin port itself, or configure auth.tokens.",
  "not-found": "It may have been removed since: go back to the overview.",
  conflict: "Do first what it names, or decide again by what the route is now.",
  "not-ready": "Wait until the endpoints are healthy, or ask an admin to force it by the command line.",
  stale: "Somebody was faster: look at what it is now, and decide again.",
  invalid: "Correct what is named, and try again.",
  "too-many-failed-logins": "Wait a minute, then try again; look for a script with an old token.",
  "store-unavailable": "Traffic goes on. Free the disk or wait for the store, then look whether the change was made.",
  busy: "Try again in ten seconds.",
  internal: "The router's log says more.",
};

/**
 * What to do about a refusal, in a sentence.
 * @param {Object} problem  an ApiProblem
 */
export function remedy(problem) {
  if (problem.away || problem.status === 0) {
    return "Traffic goes on without control. This page comes back by itself.";
  }
  return REMEDIES[problem.type?.split(":").pop()] ?? "";
}

/**
 * A refusal with its remedy.
 * @param {Object} problem  an ApiProblem, or any error
 * @param {{age?: ?number}} [how]  seconds since what is shown was read; null: nothing is shown
 * @returns {HTMLElement}
 */
export function problemNotice(problem, { age: old } = {}) {
  const kind = problem.away || problem.status === 0 ? "warning" : "problem";
  const title = problem.title ?? "The page has a fault";
  const said = problem.detail || (problem.title ? "" : String(problem.message));
  const todo = [remedy(problem), staleness(old)].filter(Boolean).join(" ");
  const endpoints = Array.isArray(problem.document?.endpoints) ? problem.document.endpoints : [];
  return notice(
    kind,
    said ? `${title}: ${said}` : title,
    endpoints.length > 0 && h("ul", null, endpoints.map(({ url, reason }) => h("li", null, h("code", null, url), ` ${reason}`))),
    todo && h("p", { class: "remedy" }, todo),
  );
}

function staleness(old) {
  if (old === null || old === undefined) return "";
  return `What is shown is from ${age(0, old)}.`;
}

/** Something that is being read for the first time. */
export function waiting(text = "Reading…") {
  return h("p", { class: "waiting", role: "status" }, text);
}

let dialogs = 0;

/**
 * A native dialog; the focus comes back to where it was.
 * @param {Object} what
 * @param {string} what.title
 * @param {*} what.content
 * @param {string} [what.class]
 * @param {() => void} [what.onClose]
 * @returns {{element: HTMLDialogElement, open: () => void, close: () => void}}
 */
export function dialog({ title, content, class: more = "", onClose }) {
  const id = `dialog-${(dialogs += 1)}`;
  const close = () => element.close();
  const cross = { type: "button", class: "icon-button", "aria-label": "Close", on: { click: close } };
  const element = h(
    "dialog",
    { class: `dialog ${more}`.trim(), "aria-labelledby": id },
    h("header", null, h("h2", { id }, title), h("button", cross, icon("cross"))),
    h("div", { class: "dialog-content" }, content),
  );
  element.addEventListener("close", () => {
    element.remove();
    onClose?.();
  });
  const open = () => {
    document.body.append(element);
    element.showModal();
  };
  return { element, open, close };
}

/**
 * Steps through a list that is read page by page.
 * @param {Object} what
 * @param {string} what.text  where we are, like "1–100 of 500"
 * @param {?() => void} [what.previous]  null: this is the first
 * @param {?() => void} [what.next]  null: this is the last
 * @returns {HTMLElement}
 */
export function pager({ text, previous, next }) {
  let turned = false; // the next page brings a pager of its own: a second click upon this one is none
  const turn = (fn) => {
    if (!turned) fn();
    turned = true;
  };
  const button = (title, fn) =>
    h("button", { type: "button", class: "button", disabled: !fn, data: { key: `pager-${title}` }, on: { click: () => turn(fn) } }, title);
  return h(
    "nav",
    { class: "pager", "aria-label": "Pages" },
    button("Previous", previous),
    h("span", { class: "pager-text", role: "status" }, text),
    button("Next", next),
  );
}

/**
 * A text with a button that copies it.
 * @param {string} text
 * @param {string} [shown]  what is seen of it
 * @returns {HTMLElement}
 */
export function copyable(text, shown = text) {
  const label = h("span", { class: "unseen", role: "status" });
  const copy = async () => {
    // The clipboard is open to pages of a safe origin only; loopback is one.
    const done = await navigator.clipboard?.writeText(text).then(() => true, () => false);
    label.textContent = done ? "copied" : "cannot be copied here: select it instead";
    button.classList.toggle("done", Boolean(done));
  };
  const button = h(
    "button",
    { type: "button", class: "icon-button", "aria-label": `Copy ${shown}`, title: "Copy", on: { click: copy } },
    icon("copy"),
  );
  return h("span", { class: "copyable" }, h("code", { title: text }, shown), button, label);
}
