/**
 * The shell: who is there, which page the address names, and whether control answers.
 *
 * Pages are loaded when they are first wanted.  A page is `mount(context)` → {element, title,
 * unmount()}; the context is described below.
 *
 * @typedef {Object} Context
 * @property {{route?: string}} params
 * @property {URLSearchParams} query  what follows `?` in the hash
 * @property {{name: string, role: string, tokens: boolean, expires: ?number}} session
 * @property {(role: string) => boolean} may  whether the session's role reaches this one
 * @property {Object} api
 * @property {Object} live
 * @property {(hash: string) => void} navigate
 */

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { live } from "./live.js";
import { notice, problemNotice, tag, waiting } from "./ui.js";

const PAGES = [
  { pattern: /^\/$/, nav: "overview", load: () => import("./pages/overview.js") },
  { pattern: /^\/routes\/([^/]+)$/, nav: "overview", load: () => import("./pages/route.js") },
  { pattern: /^\/routes\/([^/]+)\/shadow$/, nav: "overview", load: () => import("./pages/shadow.js") },
  { pattern: /^\/audit$/, nav: "audit", load: () => import("./pages/audit.js") },
  { pattern: /^\/explain$/, nav: "explain", load: () => import("./pages/explain.js") },
  { pattern: /^\/config$/, nav: "config", load: () => import("./pages/config.js") },
];
const NAV = [
  ["overview", "#/", "Overview"],
  ["audit", "#/audit", "Audit"],
  ["explain", "#/explain", "Explain"],
  ["config", "#/config", "Config"],
];
const RANKS = { viewer: 1, operator: 2, admin: 3 };
const RETRY_MS = 2_000;
const THEME = "inference-router-theme";

const main = document.getElementById("main");
let session = null;
let mounted = null;
let visit = 0;
let asking = false;
/** A token was taken, and no session was read since. */
let entered = false;

async function begin() {
  try {
    session = await api.get("session");
  } catch (problem) {
    if (problem.status === 401) return;
    asking = false; // the login is replaced: a 401 has to bring it again
    leave();
    replace(main, problemNotice(problem));
    setTimeout(begin, RETRY_MS);
    return;
  }
  asking = entered = false;
  showTools();
  live.start();
  await go();
}

// -- pages ------------------------------------------------------------------------------------

function place() {
  const hash = location.hash.startsWith("#/") ? location.hash.slice(1) : "/";
  const [path, query = ""] = hash.split(/\?(.*)/s);
  for (const page of PAGES) {
    const found = page.pattern.exec(path);
    if (found) return { page, params: paramsOf(found), query: new URLSearchParams(query) };
  }
  return null;
}

function paramsOf([, route]) {
  try {
    return route === undefined ? {} : { route: decodeURIComponent(route) };
  } catch {
    return { route };
  }
}

async function go() {
  if (session === null) return;
  const here = place();
  showNav(here?.page.nav);
  if (here === null) {
    leave();
    replace(main, h("h1", null, "No such page"), h("p", null, h("a", { href: "#/" }, "Go to the overview")));
    return;
  }
  await show(here.page.load, { params: here.params, query: here.query });
}

async function show(load, more) {
  // Before the next one is there, which may take a while: no timer of the old one comes after it.
  leave();
  replace(main, waiting());
  const mine = visit;
  try {
    const page = await load();
    if (mine !== visit) return;
    mounted = page.mount(contextOf(more));
    replace(main, mounted.element);
    document.title = `${mounted.title} · inference-router`;
  } catch (problem) {
    if (mine !== visit) return;
    console.error(problem);
    leave();
    const again = { type: "button", class: "button", on: { click: () => location.reload() } };
    replace(main, problemNotice(problem), h("button", again, "Load the page again"));
  }
}

function contextOf(more) {
  const role = session?.role;
  return {
    params: {},
    query: new URLSearchParams(),
    session,
    may: (wanted) => (RANKS[role] ?? 0) >= (RANKS[wanted] ?? Infinity),
    api,
    live,
    navigate: (hash) => (location.hash = hash),
    ...more,
  };
}

/**
 * End what is shown, and what is on its way to be.  A dialog is its page's: none outlives the
 * page, or the session.
 */
function leave() {
  visit += 1;
  mounted?.unmount?.();
  mounted = null;
  for (const open of document.querySelectorAll("dialog[open]")) open.close();
}

// -- who is there -----------------------------------------------------------------------------

function askForToken() {
  if (asking) return; // several calls were refused at once: what is typed is kept
  asking = true;
  const why = session !== null ? "ended" : entered ? "unkept" : null;
  session = null;
  entered = false;
  live.stop();
  showNav(null);
  showTools();
  show(() => import("./pages/login.js"), { why, done: enter });
}

async function enter() {
  entered = true;
  asking = false; // a 401 is news again: the login says why
  await begin();
}

const signOutPlace = h("div", { role: "presentation" });

async function signOut() {
  try {
    await api.logout();
  } catch (problem) {
    if (problem.status !== 401) {
      const said = `You are not signed out: ${problem.detail || problem.title}`;
      main.prepend(replace(signOutPlace, notice("problem", said, h("p", { class: "remedy" }, "The session goes on: try again."))));
      return;
    }
  }
  session = null;
  location.hash = "#/";
  askForToken();
}

function showNav(current) {
  const items = NAV.map(([name, href, title]) =>
    h("li", null, h("a", { href, "aria-current": name === current ? "page" : null }, title)),
  );
  replace(document.getElementById("nav"), session && h("ul", null, items));
}

function showTools() {
  const out = { type: "button", class: "button quiet", on: { click: signOut } };
  const who = session && h("span", { class: "who", title: `role ${session.role}` }, icon("hand"), h("span", null, session.name), h("span", { class: "who-role" }, session.role));
  replace(
    document.getElementById("tools"),
    session && connection(),
    who,
    themeButton(),
    session?.tokens && h("button", out, "Sign out"),
  );
}

const CONNECTION = {
  live: ["Live", "good", "check"],
  connecting: ["Connecting", "calm", "clock"],
  away: ["Control is away", "bad", "alert"],
};
const connectionPlace = h("span", { class: "connection", role: "status" });
live.watchState(() => connection());

function connection() {
  return replace(connectionPlace, tag(...CONNECTION[live.state]));
}

// -- theme ------------------------------------------------------------------------------------

const system = matchMedia("(prefers-color-scheme: dark)");

function themeButton() {
  const button = h("button", { type: "button", class: "icon-button", id: "theme", on: { click: turn } });
  const draw = () => {
    const next = isDark() ? "light" : "dark";
    button.setAttribute("aria-label", `Use the ${next} theme`);
    button.title = `Use the ${next} theme`;
    replace(button, icon(isDark() ? "sun" : "moon"));
  };
  function turn() {
    setTheme(isDark() ? "light" : "dark");
    draw();
  }
  system.onchange = draw;
  draw();
  return button;
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // Storage may be forbidden: then the choice lasts as long as the page.
  }
}

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", () => {
  go().then(() => {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  });
});
api.onUnauthenticated(askForToken);
begin();
