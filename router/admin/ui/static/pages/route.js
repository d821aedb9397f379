/**
 * One route: what it does now, how to stop it, how far the rollout is, how its versions compare,
 * and why the controller did what it did.
 */

import { h, replace } from "../dom.js";
import { refresher } from "../refresh.js";
import { problemNotice, waiting } from "../ui.js";
import { actionButtons } from "./route/actions.js";
import { analysisPart } from "./route/analysis.js";
import { chartsPart } from "./route/charts.js";
import { nowPart } from "./route/now.js";
import { reading } from "./route/reading.js";
import { storyPart } from "./route/story.js";
import { timelinePart } from "./route/timeline.js";
import { versionsPart } from "./route/versions.js";

/** @param {Object} context */
export function mount(context) {
  const { api, live, may, params } = context;
  const name = params.route;
  const path = `routes/${api.segment(name)}`;
  const problems = h("div");
  const now = nowPart();
  const actions = actionButtons({ ...context, name, path, onDone: again });
  const timeline = timelinePart();
  const versions = versionsPart();
  const charts = chartsPart();
  const analysis = analysisPart();
  const story = storyPart(name);
  const body = h("div", { class: "page", hidden: true });
  body.append(
    h("section", { class: "card now", "aria-label": "Now" }, now.element, may("operator") && actions.element),
    h("div", { class: "two" }, timeline.element, versions.element),
    charts.element,
    analysis.element,
    story.element,
  );
  const first = waiting();
  const element = h("div", { class: "page" }, headOf(name), problems, first, body);

  const reads = reading({ api, name, path, history: charts.wanted });
  const fresh = refresher({
    live,
    matters({ kind, route }) {
      const ours = route === name || ["config", "hello", "reset"].includes(kind);
      if (ours) reads.forget();
      return ours || kind === "generation";
    },
    read: reads.read,
    show(found) {
      replace(problems);
      first.remove();
      body.hidden = false;
      now.show(found);
      actions.show(found);
      timeline.show(found);
      versions.show(found);
      charts.show(found);
      analysis.show(found);
      story.show(found);
    },
    onProblem(problem, age) {
      first.remove();
      replace(problems, problemNotice(problem, { age }), problem.status === 404 && gone(name));
    },
  });
  charts.onSpan(() => fresh.now());
  fresh.now();
  return { element, title: name, unmount: fresh.stop };

  function again() {
    reads.forget();
    fresh.now();
  }
}

function headOf(name) {
  const at = encodeURIComponent(name);
  return h(
    "div",
    { class: "page-head" },
    h("h1", null, name),
    h("span", { class: "grow" }),
    h("nav", { class: "row", "aria-label": "About this route" },
      h("a", { href: `#/routes/${at}/shadow` }, "Shadow report"),
      h("a", { href: `#/audit?route=${at}` }, "Audit"),
      h("a", { href: "#/config" }, "Config"),
    ),
  );
}

function gone(name) {
  const all = h("a", { href: "#/" }, "All routes");
  const past = h("a", { href: `#/audit?route=${encodeURIComponent(name)}` }, `what happened to ${name}`);
  return h("p", null, all, " · ", past);
}
