/**
 * Who changed what, when and why: search, filters, one entry in full, the generation that an entry
 * made, and whether the chain is as it was written.
 *
 * The address says what is looked for: `?route=`, `?action=`, `?actor=`, `?search=`,
 * `?sequence=N` (one entry) and `?generation=N`.
 */

import { h, replace } from "../dom.js";
import { count } from "../format.js";
import { refresher } from "../refresh.js";
import { notice, pager, problemNotice, waiting } from "../ui.js";
import { chainPart } from "./audit/chain.js";
import { entryItem } from "./audit/entry.js";
import { generationPart } from "./audit/generation.js";

const LIMIT = 100;
const TYPING_MS = 300;
const NUMBER = /^[1-9]\d{0,14}$/;
const FILTERS = ["search", "route", "action", "actor"];

/** @param {Object} context */
export function mount({ api, live, query }) {
  let wanted = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
  let pages = [null];
  const items = new Map();
  const sequence = numberOf(query.get("sequence"));
  const generation = numberOf(query.get("generation"));
  const problems = h("div", { role: "presentation" });
  const list = h("ol", { class: "entries", "aria-label": "Entries, the newest first" });
  const said = h("div", null, waiting());
  const pagesPlace = h("div");
  const card = h("section", { class: "card", "aria-label": "Entries" }, said, list, pagesPlace);
  const chain = chainPart({ api });
  const found = [generation && generationPart({ api, number: generation }), sequence && oneEntry(api, sequence)].filter(Boolean);
  const form = formOf(wanted, (next) => {
    wanted = next;
    pages = [null];
    remember(wanted);
    fresh.now();
  });
  const head = h("div", { class: "page-head" }, h("h1", null, "Audit"), h("span", { class: "grow" }), chain.button);
  const element = h("div", { class: "page" }, head, chain.element, found, form, problems, card);

  const fresh = refresher({
    live,
    // Entries never change: only the first page gets new ones.
    matters: ({ kind }) => pages.length === 1 && !["generation", "restart"].includes(kind),
    every: 0,
    read: async () => ({ asked: pages, page: await api.get("audit", { ...wanted, before: pages.at(-1), limit: LIMIT }) }),
    show({ asked, page }) {
      if (asked !== pages) {
        fresh.soon(); // somebody has turned the page meanwhile
        return;
      }
      replace(problems);
      show(page);
    },
    onProblem: (problem, age) => {
      replace(problems, problemNotice(problem, { age }));
      if (age === null) replace(said);
    },
  });

  function show({ entries, next }) {
    const shown = entries.map((entry) => known(entry));
    for (const key of items.keys()) if (!entries.some((entry) => entry.sequence === key)) items.delete(key);
    arrange(list, shown);
    replace(said, entries.length === 0 && notice("info", next === null ? "No entry is like that." : `Nothing from here down to entry ${count(next)}: search on.`));
    replace(pagesPlace, pagesOf(entries, next));
  }

  function known(entry) {
    if (!items.has(entry.sequence)) items.set(entry.sequence, entryItem(entry));
    return items.get(entry.sequence);
  }

  function pagesOf(entries, next) {
    if (next === null && pages.length === 1) return null;
    const turn = (to) => {
      pages = to;
      fresh.now().then(() => card.scrollIntoView({ block: "start" }));
    };
    return pager({
      text: entries.length > 0 ? `entries ${count(entries[0].sequence)} to ${count(entries.at(-1).sequence)}` : "nothing here",
      previous: pages.length > 1 ? () => turn(pages.slice(0, -1)) : null,
      next: next === null ? null : () => turn([...pages, next]),
    });
  }

  fresh.now();
  return {
    element,
    title: "Audit",
    unmount() {
      form.stop();
      fresh.stop();
    },
  };
}

function numberOf(text) {
  return NUMBER.test(text ?? "") ? Number(text) : null;
}

/** Only those that are other ones move: an entry that somebody reads stays open. */
function arrange(list, items) {
  const wanted = new Set(items);
  for (const item of [...list.children]) if (!wanted.has(item)) item.remove();
  items.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}

function remember(wanted) {
  const said = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== "")).toString();
  history.replaceState(history.state, "", said ? `#/audit?${said}` : "#/audit");
}

// -- filters ----------------------------------------------------------------------------------

const FIELDS = [
  ["search", "Search", "in reason, actor, action and route"],
  ["route", "Route", "its whole name"],
  ["action", "Action", "like weights.set"],
  ["actor", "Actor", "a token's name, or controller"],
];

function formOf(wanted, onChange) {
  let timer;
  const inputs = FIELDS.map(([name, , hint]) =>
    h("input", { id: `audit-${name}`, name, type: "search", value: wanted[name], placeholder: hint, maxlength: 255, autocomplete: "off", spellcheck: "false" }));
  const change = () => onChange(Object.fromEntries(inputs.map((input) => [input.name, input.value.trim()])));
  const form = h(
    "form",
    { class: "card filters", role: "search" },
    FIELDS.map(([name, title], index) => h("div", { class: "field" }, h("label", { for: `audit-${name}` }, title), inputs[index])),
  );
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(change, TYPING_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    change();
  });
  form.stop = () => clearTimeout(timer);
  return form;
}

// -- one entry --------------------------------------------------------------------------------

function oneEntry(api, sequence) {
  const place = h("ol", { class: "entries" });
  const card = h("section", { class: "card found", "aria-label": `Entry ${sequence}` }, h("div", { class: "card-head" }, h("h2", null, `Entry ${count(sequence)}`), h("a", { href: "#/audit" }, "All entries")), place);
  api.get("audit", { before: sequence + 1, limit: 1 }).then(
    ({ entries: [entry] }) => {
      const there = entry?.sequence === sequence;
      replace(place, there ? entryItem(entry, { open: true }) : h("li", null, notice("warning", `There is no entry ${count(sequence)}.`)));
    },
    (problem) => replace(place, h("li", null, problemNotice(problem))),
  );
  return card;
}
