/**
 * What every page of the console must be, looked at in the page itself (tests/e2e/console).
 *
 * Each check returns what is wrong, so that a failing test says where: an empty answer is good.
 */
globalThis.pageChecks = (() => {
  const shown = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const told = (one) => one.outerHTML.slice(0, 200);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const text = (ids) => (ids ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");

  // -- names: WAI-ARIA's, as far as the console uses its ways; a placeholder is none ------------

  const CONTROLS = "button, a[href], input, select, textarea, summary, [role=img], [role=group]";
  const DRAWINGS = "svg:not([aria-hidden=true])";
  const PARTS = "table, [role=table], section, nav, dialog, fieldset";

  function name(one) {
    const own = one.getAttribute("aria-label") || text(one.getAttribute("aria-labelledby"));
    const labels = [...(one.labels ?? [])].map((label) => label.textContent).join("");
    const content = one.matches("button, a, summary") ? one.textContent : "";
    const caption = one.caption?.textContent ?? one.querySelector(":scope > legend")?.textContent ?? "";
    return (own || labels || content || caption).trim();
  }

  function nameless() {
    const heard = all(`${CONTROLS}, ${DRAWINGS}, ${PARTS}`).filter((one) => shown(one) && !one.closest("[aria-hidden=true]"));
    return heard.filter((one) => !name(one)).map(told);
  }

  // -- contrast: WCAG 2.2 §1.4.3, of every text that is seen with what is behind it -------------

  const brush = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  /** Red, green and blue from 0 to 255, and how opaque it is from 0 to 1. */
  function read(colour) {
    brush.clearRect(0, 0, 1, 1);
    brush.fillStyle = colour;
    brush.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  }

  function over(top, below) {
    return [0, 1, 2].map((part) => top[part] * top[3] + below[part] * (1 - top[3]));
  }

  function behind(element) {
    const layers = [];
    for (let one = element; one; one = one.parentElement) layers.push(read(getComputedStyle(one).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  }

  function luminance(colour) {
    const [red, green, blue] = colour
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }

  function ratio(one) {
    const { color, fill } = getComputedStyle(one);
    const below = behind(one);
    const letters = over(read(one instanceof SVGElement ? fill : color), below);
    const [high, low] = [luminance(letters), luminance(below)].sort((a, b) => b - a);
    return (high + 0.05) / (low + 0.05);
  }

  function wanted(one) {
    const { fontSize, fontWeight } = getComputedStyle(one);
    const [size, weight] = [parseFloat(fontSize), Number(fontWeight)];
    return size >= 24 || (size >= 18.66 && weight >= 700) ? 3 : 4.5;
  }

  function isRead(one) {
    const says = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    // Where a dialog is open, everything else is inert, and darkened on purpose.
    const inert = document.querySelector("dialog:modal") && !one.closest("dialog:modal");
    return says && shown(one) && !inert && !one.closest(":disabled, .unseen") && one.getBoundingClientRect().width > 2;
  }

  function faint() {
    const found = all("body *").filter((one) => isRead(one) && ratio(one) < wanted(one));
    return found.map((one) => `${ratio(one).toFixed(2)}: ${told(one)}`);
  }

  // -- room -------------------------------------------------------------------------------------

  /** CSS pixels by which the page is wider than its window. */
  function tooWide() {
    return document.documentElement.scrollWidth - document.documentElement.clientWidth;
  }

  // -- focus ------------------------------------------------------------------------------------

  const STOPS = "a[href], button, input, select, textarea, summary, [tabindex]";
  const reached = new Set();
  const unseen = [];

  function onFocus({ target }) {
    reached.add(target);
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(target);
    const marked = (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
    if (!marked) unseen.push(told(target));
  }

  /** What the Tab key can reach, now; from here on `focus` is watched. */
  function watchFocus() {
    document.addEventListener("focusin", onFocus);
    return stops().length;
  }

  function stops() {
    return all(STOPS).filter((one) => shown(one) && !one.disabled && one.tabIndex >= 0);
  }

  function focus() {
    return [...stops().filter((one) => !reached.has(one)).map((one) => `never reached: ${told(one)}`), ...unseen.map((one) => `not seen: ${one}`)];
  }

  return { nameless, faint, tooWide, watchFocus, focus };
})();
