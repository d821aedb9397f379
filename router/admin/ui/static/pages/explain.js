/**
 * Where a request would go, and why.  It is neither sent nor kept, and what is typed stands in no
 * address: a body may be secret.
 */

import { h, replace } from "../dom.js";
import { count, percent } from "../format.js";
import { notice, problemNotice, tag, versionLabel, weightBar } from "../ui.js";
import { requestOf } from "./explain/request.js";
import { visible } from "./shadow/visible.js";

const METHODS = ["POST", "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
const EXAMPLE = { method: "POST", path: "/v1/chat/completions", headers: "x-session-id: 7", body: '{"model": "llama-3-8b"}' };

/** What was typed last, by whom: it comes back after a look at another page, not after a reload. */
let typed = { by: null, values: EXAMPLE };

/** @param {Object} context */
export function mount({ api, session }) {
  const values = typed.by === session.name ? typed.values : EXAMPLE;
  const result = h("div", { class: "stack-gap", "aria-live": "polite" });
  const method = h("select", { id: "explain-method" }, METHODS.map((name) => h("option", { value: name, selected: name === values.method }, name)));
  const path = h("input", { id: "explain-path", value: values.path, required: true, spellcheck: "false", autocomplete: "off", autocapitalize: "off" });
  const headers = h("textarea", { id: "explain-headers", rows: 4, spellcheck: "false", autocomplete: "off", "aria-describedby": "explain-headers-hint" }, values.headers);
  const body = h("textarea", { id: "explain-body", rows: 10, spellcheck: "false", autocomplete: "off", "aria-describedby": "explain-body-hint" }, values.body);
  const button = h("button", { type: "submit", class: "button primary" }, "Explain");
  const form = h(
    "form",
    { class: "card stack-gap", on: { submit, input: keep, keydown: hurry } },
    h("div", { class: "request-line" }, field("explain-method", "Method", method), field("explain-path", "Path", path)),
    field("explain-headers", "Header fields", headers, h("span", { class: "hint", id: "explain-headers-hint" }, "One a line, like x-session-id: 7")),
    field("explain-body", "Body", body, h("span", { class: "hint", id: "explain-body-hint" }, "JSON, or any text. Nothing of it is sent to a model, kept or logged.")),
    h("div", { class: "row" }, button, h("span", { class: "hint" }, "or Ctrl+Enter")),
  );
  const element = h(
    "div",
    { class: "page" },
    h("div", { class: "page-head" }, h("h1", null, "Explain"), h("p", { class: "muted" }, "Where a request would go, and why.")),
    h("div", { class: "two halves" }, form, h("section", { class: "card", "aria-label": "The decision" }, result)),
  );
  let asked = 0;

  function keep() {
    typed = { by: session.name, values: { method: method.value, path: path.value, headers: headers.value, body: body.value } };
  }

  function hurry(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  }

  async function submit(event) {
    event.preventDefault();
    keep();
    const mine = (asked += 1);
    const { request, problem } = requestOf(typed.values);
    if (problem !== null) {
      replace(result, notice("problem", problem));
      return;
    }
    button.disabled = true;
    try {
      const found = await api.send("POST", "explain", request);
      const roles = await rolesOf(api, found.route);
      if (mine === asked) replace(result, told(found, roles));
    } catch (refusal) {
      if (mine === asked) replace(result, problemNotice(refusal));
    } finally {
      button.disabled = false;
    }
  }

  replace(result, h("p", { class: "muted" }, "Describe a request; the decision is shown here."));
  return {
    element,
    title: "Explain",
    unmount() {
      asked += 1;
    },
  };
}

function field(id, title, input, hint) {
  return h("div", { class: "field" }, h("label", { for: id }, title), input, hint);
}

// -- the decision -----------------------------------------------------------------------------

/** What each version is in its route now; the explanation does not tell it. */
async function rolesOf(api, route) {
  if (route === null) return {};
  const found = await api.get(`routes/${api.segment(route)}`).catch(() => ({ versions: [] }));
  return Object.fromEntries(found.versions.map(({ name, role }) => [name, role]));
}

function told({ generation, route, version, shares, endpoints, upstreamModel, why }, roles) {
  const bucket = why.map((line) => /bucket (\d+) of (\d+)/.exec(line)).find(Boolean);
  return [
    h("div", { class: "card-head" }, h("h2", null, "The decision"), h("span", { class: "muted" }, `generation ${count(generation)}`)),
    h(
      "dl",
      { class: "fields large" },
      fact("route", route === null ? tag("refused", "bad", "cross") : h("a", { class: "strong", href: `#/routes/${encodeURIComponent(route)}` }, route)),
      route !== null && fact("version", version === null ? "shared out by the weights" : versionLabel({ name: version, role: roles[version] ?? "" })),
      bucket && fact("bucket", `${count(Number(bucket[1]))} of ${count(Number(bucket[2]))}`),
      upstreamModel !== null && fact("model", h("code", null, visible(upstreamModel))),
      endpoints.length > 0 && fact("endpoints", h("ul", null, endpoints.map((url) => h("li", null, h("code", null, visible(url))))), endpoints.length > 1 && h("p", { class: "hint" }, "Which of them answers depends on what is live.")),
    ),
    shares !== null && sharesOf(shares, roles),
    h("h3", null, "Why"),
    h("ol", { class: "why" }, why.map((line) => h("li", null, visible(line)))),
  ];
}

function fact(name, ...value) {
  return [h("dt", null, name), h("dd", null, value)];
}

function sharesOf(shares, roles) {
  const versions = Object.entries(shares)
    .map(([name, weight]) => ({ name, weight, role: roles[name] ?? "" }))
    .sort((a, b) => b.weight - a.weight);
  return weightBar(versions, { label: "Requests like it" });
}
