/**
 * The recorded pairs, newest first: filtered by verdict, read page by page, opened one by one.
 *
 * The list stands still while somebody reads it; what was recorded meanwhile is offered.
 */

import { h, replace } from "../../dom.js";
import { count } from "../../format.js";
import { momentElement } from "../../moments.js";
import { pager, problemNotice, table, tag, waiting } from "../../ui.js";
import { openPair } from "./pair.js";
import { VERDICTS } from "./report.js";

const LIMIT = 20;

/**
 * @param {Object} context  with `name` and `path` of the route
 * @returns {{element: HTMLElement, begin: () => void, news: (report: Object) => void, stop: () => void}}
 */
export function pairsPart({ api, path, name, may, query }) {
  const place = h("div", null, waiting());
  const fresh = h("div", { class: "row", role: "status" });
  const element = h("section", { class: "card", "aria-labelledby": "pairs-title" });
  let verdict = VERDICTS[query.get("verdict")] ? query.get("verdict") : null;
  let pages = [null];
  let counted = null;
  let asked = 0;
  let open = null;
  let stopped = false;

  const filter = h("div", { class: "segmented", role: "group", "aria-label": "Verdict" });
  element.append(h("div", { class: "card-head" }, h("h2", { id: "pairs-title" }, "Recorded pairs"), fresh, filter, exportLink()), place);

  function exportLink() {
    if (!may("operator")) return null;
    const link = h("a", { href: "#", download: `${name}-pairs.jsonl` }, "Export");
    // The address is made when it is wanted: the filter may have changed. JSON lines, as a file.
    link.addEventListener("click", () => link.setAttribute("href", api.urlOf(`${path}/shadow/export`, { verdict }).href));
    return link;
  }

  function drawFilter() {
    const choices = [[null, "all"], ...Object.entries(VERDICTS).map(([value, [text]]) => [value, text])];
    replace(filter, choices.map(([value, text]) =>
      h("button", { type: "button", "aria-pressed": String(value === verdict), data: { key: `verdict-${value}` }, on: { click: () => choose(value) } }, text)));
  }

  function choose(value) {
    verdict = value;
    pages = [null];
    drawFilter();
    remember({ verdict });
    read();
  }

  async function read() {
    const mine = (asked += 1);
    try {
      const found = await api.get(`${path}/shadow/comparisons`, { verdict, before: pages.at(-1), limit: LIMIT });
      if (mine !== asked) return;
      counted = null;
      replace(fresh);
      replace(place, listOf(found), pagesOf(found));
    } catch (problem) {
      if (mine === asked) replace(place, problemNotice(problem), again());
    }
  }

  function again() {
    return h("button", { type: "button", class: "button", on: { click: read } }, "Read again");
  }

  function listOf({ comparisons }) {
    const rows = comparisons;
    const empty = verdict === null ? "No pair is recorded." : `No recorded pair is a ${VERDICTS[verdict][0]}.`;
    return table({ caption: "Recorded pairs", columns: columnsOf(), rows, empty });
  }

  function columnsOf() {
    return [
      { title: "Pair", cell: ({ id }) => (may("operator") ? opener(id) : `#${id}`) },
      { title: "Time", cell: ({ time }) => momentElement(time) },
      { title: "Verdict", cell: ({ verdict: found }) => tag(...(VERDICTS[found] ?? [found])) },
      { title: "Differs in", cell: ({ differing, error }) => (error ? error : differing.join(", ") || "–") },
      { title: "Twin differs in", cell: ({ twinDiffering }) => (twinDiffering === null ? "no twin" : twinDiffering.join(", ") || "nothing") },
      { title: "Rule", class: "wide-only", cell: ({ rule }) => h("code", null, rule) },
      { title: "Versions", class: "wide-only", cell: ({ stable, shadow }) => `${stable} | ${shadow}` },
      { title: "Request", class: "wide-only", cell: ({ requestId }) => h("code", null, requestId || "–") },
    ];
  }

  function opener(id) {
    const click = () => look(id);
    return h("button", { type: "button", class: "button quiet open-pair", data: { key: `pair-${id}` }, "aria-label": `Open pair ${id}`, on: { click } }, `#${id}`);
  }

  function look(id) {
    open?.close();
    remember({ pair: id });
    open = openPair({ api, path, id, onClose: () => stopped || remember({ pair: null }) });
  }

  /** The address says what is seen, so that it can be handed on; nothing is read anew for it. */
  function remember(change) {
    const [hash, text = ""] = location.hash.split(/\?(.*)/s);
    const next = new URLSearchParams(text);
    for (const [key, value] of Object.entries(change)) value === null ? next.delete(key) : next.set(key, value);
    const said = next.toString();
    history.replaceState(history.state, "", said ? `${hash}?${said}` : hash);
  }

  function pagesOf({ comparisons, next }) {
    if (next === null && pages.length === 1) return may("operator") ? null : onlyOperators();
    const first = (pages.length - 1) * LIMIT + 1;
    const turn = (to) => {
      pages = to;
      read();
    };
    return [
      pager({
        text: comparisons.length > 0 ? `${count(first)}–${count(first + comparisons.length - 1)}, newest first` : "no more",
        previous: pages.length > 1 ? () => turn(pages.slice(0, -1)) : null,
        next: next === null ? null : () => turn([...pages, next]),
      }),
      may("operator") ? null : onlyOperators(),
    ];
  }

  function onlyOperators() {
    return h("p", { class: "hint" }, "Pairs hold users' texts: opening one needs the role operator.");
  }

  function begin() {
    drawFilter();
    read();
    const wanted = query.get("pair");
    if (may("operator") && /^\d{1,15}$/.test(wanted ?? "")) look(Number(wanted));
  }

  /** More pairs were compared than when the list was read. */
  function news({ pairs }) {
    if (pairs === undefined) return;
    if (counted === null || pairs < counted) counted = pairs; // fewer: it was begun anew
    if (pairs === counted) return;
    const show = () => {
      pages = [null];
      read();
    };
    replace(fresh, h("button", { type: "button", class: "button quiet", data: { key: "newer" }, on: { click: show } }, `${count(pairs - counted)} more compared: read again`));
  }

  function stop() {
    asked += 1;
    stopped = true; // the address is the next page's by now, or is kept for after a login
    open?.close();
  }

  return { element, begin, news, stop };
}
