/**
 * A route's shadow: who gets copies, what the comparison tells against stable's own noise, and the
 * recorded pairs.
 */

import { h, replace } from "../dom.js";
import { refresher } from "../refresh.js";
import { problemNotice, waiting } from "../ui.js";
import { shadowActions } from "./shadow/actions.js";
import { pairsPart } from "./shadow/pairs.js";
import { reportPart } from "./shadow/report.js";
import { standingPart } from "./shadow/standing.js";

/** @param {Object} context */
export function mount(context) {
  const { api, live, may, params } = context;
  const name = params.route;
  const path = `routes/${api.segment(name)}`;
  const problems = h("div", { role: "presentation" });
  const standing = standingPart();
  const actions = shadowActions({ api, name, path, onDone: () => fresh.now() });
  const report = reportPart();
  const pairs = pairsPart({ ...context, name, path });
  const first = waiting();
  const body = h(
    "div",
    { class: "page", hidden: true },
    h("section", { class: "card stack-gap", "aria-label": "Now" }, standing.element, may("operator") && actions.element),
    report.element,
    pairs.element,
  );
  const element = h("div", { class: "page" }, headOf(name), problems, first, body);

  const fresh = refresher({
    live,
    matters: ({ kind, route }) => route === name || kind === "config",
    read: async () => {
      const [route, shadow, told] = await Promise.all([api.get(path), api.get(`${path}/shadow`), reportOf(api, path)]);
      return { route, shadow, report: told };
    },
    show(found) {
      replace(problems);
      first.remove();
      body.hidden = false;
      standing.show(found);
      actions.show(found);
      report.show(found.report);
      pairs.news(found.report);
    },
    onProblem(problem, age) {
      first.remove();
      replace(problems, problemNotice(problem, { age }), problem.status === 404 && gone());
    },
  });
  fresh.now();
  pairs.begin();
  return {
    element,
    title: `${name}: shadow`,
    unmount() {
      fresh.stop();
      pairs.stop();
    },
  };
}

/** 404 is an answer here: nothing was compared yet, and it says why. */
async function reportOf(api, path) {
  try {
    return await api.get(`${path}/shadow/report`);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    return { none: problem.detail };
  }
}

function headOf(name) {
  const at = encodeURIComponent(name);
  return h(
    "div",
    { class: "page-head" },
    h("h1", null, h("a", { class: "up", href: `#/routes/${at}` }, name), h("span", { class: "muted" }, " shadow")),
    h("span", { class: "grow" }),
    h("nav", { class: "row", "aria-label": "About this route" }, h("a", { href: `#/routes/${at}` }, "Route"), h("a", { href: `#/audit?route=${at}` }, "Audit")),
  );
}

function gone() {
  return h("p", null, h("a", { href: "#/" }, "All routes"));
}
