/**
 * One recorded pair: the request, and the answers beside each other.
 *
 * Everything in it comes from users and models: it is shown as text, with signs that would turn
 * the reading direction made visible.
 */

import { h, replace } from "../../dom.js";
import { bytes, dateTime, seconds } from "../../format.js";
import { dialog, notice, problemNotice, table, tag, waiting } from "../../ui.js";
import { diffView } from "./diff_view.js";
import { differingPaths } from "./json_paths.js";
import { bodyText, messageText } from "./message.js";
import { VERDICTS } from "./report.js";
import { textBlock, visible } from "./visible.js";

/**
 * @param {{api: Object, path: string, id: number, onClose: () => void}} how
 * @returns {{close: () => void}}
 */
export function openPair({ api, path, id, onClose }) {
  const place = h("div", { class: "stack-gap" }, waiting());
  const box = dialog({ title: `Pair ${id}`, content: place, class: "wide", onClose });
  box.open();
  read();
  return box;

  async function read() {
    try {
      replace(place, whole(await api.get(`${path}/shadow/comparisons/${id}`)));
    } catch (problem) {
      replace(place, problemNotice(problem), h("button", { type: "button", class: "button", on: { click: read } }, "Read again"));
    }
  }
}

function whole(pair) {
  const sides = [["primary", pair.primary], ["shadow", pair.shadow], ["twin", pair.twin]].filter(([, answer]) => answer);
  return [
    h("div", { class: "facts" }, tag(...(VERDICTS[pair.verdict] ?? [pair.verdict])), fact("by rule", h("code", null, pair.rule)), fact("at", dateTime(pair.time)), fact("request", h("code", null, pair.requestId || "–")), generationFact(pair.generation)),
    requestPart(pair.request),
    answersPart(pair),
    findings(pair.shadow),
    outcomes(sides),
  ];
}

function fact(name, ...value) {
  return h("span", { class: "fact" }, h("span", { class: "muted" }, name), value);
}

function generationFact(generation) {
  if (typeof generation !== "number") return null;
  return fact("generation", h("a", { href: `#/audit?generation=${generation}` }, String(generation)));
}

// -- the request ------------------------------------------------------------------------------

function requestPart(request) {
  return h(
    "section",
    { class: "stack-gap", "aria-label": "Request" },
    h("h3", null, "Request"),
    h("p", null, h("code", null, visible(`${request.method} ${request.target}`))),
    h("details", null, h("summary", null, `${request.fields.length} header fields`), h("dl", { class: "fields" }, request.fields.map(([name, value]) => [h("dt", null, visible(name)), h("dd", null, marked(value))]))),
    bodyOf(request.body),
  );
}

function marked(value) {
  return value === "[redacted]" ? h("span", { class: "hidden-mark" }, "redacted") : h("code", null, visible(value));
}

function bodyOf(body) {
  const said = remarks(body);
  const text = bodyText(body);
  return [said, text !== "" && textBlock(text, "The request's body")];
}

/** What a reader has to know of a body before believing it. */
function remarks(body) {
  const length = typeof body.length === "number" ? bytes(body.length) : "";
  if (body.omitted) return notice("info", `The body${length && ` (${length})`} was not recorded: ${body.omitted}.`);
  if (body.length === 0) return h("p", { class: "muted" }, "no body");
  return [
    body.clipped && notice("warning", `Only the first 64 KiB of ${length} were recorded: what follows is compared by the router, and not shown here.`),
    body.folded && h("p", { class: "hint" }, "A stream, put together to its message."),
    JSON.stringify(body).includes("[redacted]") && h("p", { class: "hint" }, "Some places are redacted, as configured: ", h("span", { class: "hidden-mark" }, "[redacted]")),
  ];
}

// -- outcomes ---------------------------------------------------------------------------------

function outcomes(sides) {
  const columns = [
    { title: "Side", cell: ([side]) => h("b", null, side) },
    { title: "Version", cell: ([, { version }]) => version },
    { title: "Outcome", cell: ([, answer]) => ending(answer) },
    { title: "Status", class: "number", cell: ([, { status }]) => status ?? "–" },
    { title: "First byte", class: "number", cell: ([, answer]) => seconds(answer.firstByteSeconds) },
    { title: "First token", class: "number", cell: ([, answer]) => seconds(answer.firstTokenSeconds) },
    { title: "Whole", class: "number", cell: ([, answer]) => seconds(answer.durationSeconds) },
    { title: "Body", class: "number", cell: ([, { body }]) => bytes(body.length) },
  ];
  return table({ caption: "The answers", columns, rows: sides });
}

/** The reason beside the outcome, where it says more than the status does. */
function ending({ outcome, reason, status }) {
  return reason && reason !== outcome && reason !== String(status) ? visible(`${outcome} (${reason})`) : outcome;
}

function findings({ differences = [], error }) {
  if (error) return notice("problem", `There were no two answers to compare: ${visible(error)}.`);
  const columns = [
    { title: "Field", cell: ({ field }) => h("b", null, field.replaceAll("_", " ")) },
    { title: "Shadow", cell: ({ same }) => (same ? tag("the same", "good", "check") : tag("differs", "bad", "alert")) },
    { title: "Rule", cell: ({ rule }) => h("code", null, rule) },
    { title: "Alike", class: "number", cell: ({ score }) => (score === null ? "–" : score.toFixed(4)) },
    { title: "Furthest apart", class: "number", cell: ({ largest }) => (largest === null ? "–" : `${largest[0]} (${(largest[1] * 100).toPrecision(3)} %)`) },
    { title: "First at", cell: ({ place }) => (place ? h("code", null, visible(place)) : "–") },
  ];
  return table({ caption: "What the router compared", columns, rows: differences });
}

// -- the answers ------------------------------------------------------------------------------

/** Which sides stand beside each other, and what of them: the message, or the whole body. */
function answersPart({ primary, shadow, twin }) {
  const place = h("div", { class: "stack-gap" });
  const others = [["shadow", shadow], twin && ["twin", twin]].filter(Boolean);
  const canMessage = messageText(primary.body) !== null;
  let other = others[0];
  let what = canMessage ? "message" : "body";

  const sides = segmented("Beside the primary", others.map(([name, answer]) => [name, `${name} (${answer.version})`]), "shadow", (name) => {
    other = others.find(([each]) => each === name);
    draw();
  });
  const kinds = segmented("What is compared", [["message", "Message"], ["body", "Body"]], what, (name) => {
    what = name;
    draw();
  });

  function draw() {
    const [name, answer] = other;
    const textOf = what === "message" ? (body) => messageText(body) ?? "" : bodyText;
    replace(
      place,
      [primary, answer].map(({ body, version }) => {
        const said = [remarks(body)].flat().filter(Boolean);
        return said.length > 0 && h("div", { class: "side-remarks" }, h("b", null, `${version}: `), said);
      }),
      diffView({ left: textOf(primary.body), right: textOf(answer.body), leftName: `primary: ${primary.version}`, rightName: `${name}: ${answer.version}` }),
      what === "body" && pathsPart(primary.body, answer.body),
    );
  }

  draw();
  return h(
    "section",
    { class: "stack-gap", "aria-label": "Answers" },
    h("div", { class: "card-head" }, h("h3", null, "Answers"), h("span", { class: "grow" }), others.length > 1 && sides, canMessage && kinds),
    place,
  );
}

function segmented(label, choices, chosen, onChoice) {
  const group = h("div", { class: "segmented", role: "group", "aria-label": label });
  const buttons = choices.map(([value, text]) => h("button", { type: "button", "aria-pressed": String(value === chosen), on: { click: () => choose(value) } }, text));
  group.append(...buttons);
  function choose(value) {
    buttons.forEach((button, index) => button.setAttribute("aria-pressed", String(choices[index][0] === value)));
    onChoice(value);
  }
  return group;
}

function pathsPart(left, right) {
  if (left.json === undefined || right.json === undefined) return null;
  const { paths, more } = differingPaths(left.json, right.json);
  if (paths.length === 0) return h("p", { class: "muted" }, "The JSON documents are the same.");
  const columns = [
    { title: "JSON path", cell: ({ path }) => h("code", null, visible(path)) },
    { title: "Primary", cell: ({ left: value }) => h("code", null, visible(value)) },
    { title: "Other", cell: ({ right: value }) => h("code", null, visible(value)) },
  ];
  return [h("h3", null, "Places that differ"), table({ caption: "JSON paths that differ", columns, rows: paths }), more && h("p", { class: "hint" }, "There are more of them.")];
}
