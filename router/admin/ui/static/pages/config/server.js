/**
 * The section `server` that is in force, setting by setting.
 */

import { h, replace } from "../../dom.js";
import { table } from "../../ui.js";

const COLUMNS = [
  { title: "Setting", cell: ([name]) => h("code", null, name) },
  { title: "Value", cell: ([, value]) => h("code", null, value) },
];

/** @returns {{element: HTMLElement, show: (server: Object) => void}} */
export function serverPart() {
  const place = h("div");
  const element = h("section", { class: "card", hidden: true, "aria-label": "Server settings" }, h("details", null, h("summary", null, h("h2", { class: "inline-title" }, "Server settings")), place));
  let told = "";

  function show(server) {
    const next = JSON.stringify(server);
    if (next === told) return;
    told = next;
    element.hidden = false;
    replace(place, table({ caption: "Server settings in force", columns: COLUMNS, rows: flat(server) }));
  }

  return { element, show };
}

function flat(section, prefix = "") {
  return Object.entries(section).flatMap(([name, value]) => {
    const path = prefix + name;
    const inner = value !== null && typeof value === "object" && !Array.isArray(value);
    return inner ? flat(value, `${path}.`) : [[path, value === null ? "none" : String(value)]];
  });
}
