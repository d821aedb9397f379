/**
 * Build elements.  Everything from outside becomes a text node or an attribute, never markup: no
 * module of the console uses innerHTML.
 *
 * @typedef {string|number|Node|null|undefined|false|Child[]} Child
 * @typedef {Object<string, *>} Attributes  `class`; `on` {event: listener}; `data` {name: value};
 *   `css` {property: value}, set by CSSOM as the policy forbids style attributes; all others as
 *   they are: true becomes "", null and false are left out.
 */

const SVG = "http://www.w3.org/2000/svg";
const SAFE_LINK = /^(#|\.{1,2}\/|https?:\/\/)/i;

/**
 * An HTML element.
 * @param {string} tag
 * @param {?Attributes} [attributes]
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/**
 * The same for SVG.
 * @param {string} tag
 * @param {?Attributes} [attributes]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/**
 * Put new children in the place of all old ones.  Whoever had the focus and a `data-key` gives it
 * to the new element with that key, so that a redraw does not throw a keyboard user out.
 * @template {Element} T
 * @param {T} parent
 * @param {...Child} children
 * @returns {T}
 */
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const key = focused?.dataset?.key;
  parent.replaceChildren(...nodes(children));
  if (key !== undefined) {
    parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
  }
  return parent;
}

/**
 * Set a text only where it is another one: untouched nodes cost no layout.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") element.setAttribute("class", value);
  else if (name === "on") each(value, (event, listener) => element.addEventListener(event, listener));
  else if (name === "data") each(value, (key, text) => setData(element, key, text));
  else if (name === "css") each(value, (property, text) => element.style.setProperty(property, text));
  else if (isRefused(name, value)) throw new TypeError(`attribute ${name} is not set by a page`);
  else element.setAttribute(name, value === true ? "" : String(value));
}

function setData(element, key, text) {
  if (text !== null && text !== undefined && text !== false) element.dataset[key] = String(text);
}

function isRefused(name, value) {
  const lower = name.toLowerCase();
  if (lower === "style" || lower === "srcdoc" || lower.startsWith("on")) return true;
  return ["href", "src", "action"].includes(lower) && !SAFE_LINK.test(String(value));
}

function each(object, fn) {
  for (const [key, value] of Object.entries(object)) fn(key, value);
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}
