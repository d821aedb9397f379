/**
 * The events of the admin API, read once for the whole console.
 *
 * A fetch and not an EventSource: that one delivers only events whose names were registered
 * before, while any action of the audit trail is a name here; and it hides why it was refused.
 * It comes back by itself with a growing delay, with the last id, so that nothing is lost; where
 * something is, subscribers get `reset` and read anew.  One stream a tab: control has 64 places.
 *
 * @typedef {{kind: string, route: ?string, id: string}} News  and what the event carries
 */

import { get, urlOf } from "./api.js";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 15_000;
/** Comments come every 15 s (docs/api.md): a stream that is silent for longer is dead. */
const SILENCE_MS = 40_000;
const HIDDEN_MS = 30_000;

const listeners = new Set();
const watchers = new Set();
let state = "connecting";
let lastId = null;
let current = null;
let wanted = false;

export const live = {
  /** @returns {"connecting"|"live"|"away"} */
  get state() {
    return state;
  },
  subscribe,
  watchState,
  start,
  stop,
};

/**
 * Hear every event.
 * @param {(news: News) => void} fn
 * @returns {() => void} no more
 */
export function subscribe(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

/**
 * Hear when the connection's state changes.
 * @param {(state: string) => void} fn
 * @returns {() => void} no more
 */
export function watchState(fn) {
  watchers.add(fn);
  return () => watchers.delete(fn);
}

/** Begin, if it has not begun. */
export function start() {
  wanted = true;
  if (current !== null) return;
  current = new AbortController();
  follow(current.signal);
}

/** End, e.g. after a logout. */
export function stop() {
  wanted = false;
  rest();
}

function rest() {
  current?.abort();
  current = null;
  turn("connecting");
}

// Browsers open six connections to a server: tabs that nobody sees must not take them all.
let restTimer = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(restTimer);
  if (document.visibilityState === "visible") wanted && start();
  else restTimer = setTimeout(rest, HIDDEN_MS);
});

async function follow(ended) {
  let delay = FIRST_DELAY_MS;
  while (!ended.aborted) {
    const began = Date.now();
    await read(ended).catch(() => {});
    if (ended.aborted) return;
    turn("away");
    delay = Date.now() - began > LONGEST_DELAY_MS ? FIRST_DELAY_MS : delay;
    // A share of chance: 64 consoles do not come back in the same moment.
    await pause(delay * (0.5 + Math.random()), ended);
    delay = Math.min(delay * 2, LONGEST_DELAY_MS);
  }
}

async function read(ended) {
  const attempt = new AbortController();
  const end = () => attempt.abort();
  ended.addEventListener("abort", end, { once: true });
  let watch = setTimeout(end, SILENCE_MS);
  try {
    const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
    const how = { headers, credentials: "same-origin", cache: "no-store", signal: attempt.signal };
    const response = await fetch(urlOf("events"), how);
    // Asked once more by the api, which tells whoever shows the login.
    if (response.status === 401) await get("session");
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    turn("live");
    const frames = new Frames(tell);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(watch);
      watch = setTimeout(end, SILENCE_MS);
      frames.feed(part.value);
    }
  } finally {
    clearTimeout(watch);
    ended.removeEventListener("abort", end);
    attempt.abort();
  }
}

/** Server-sent events from pieces of text (WHATWG HTML §9.2.6), as our server writes them. */
class Frames {
  constructor(tellFrame) {
    this.tellFrame = tellFrame;
    this.rest = "";
  }

  feed(text) {
    const frames = (this.rest + text).split(/\r?\n\r?\n/);
    this.rest = frames.pop();
    for (const frame of frames) this.read(frame);
  }

  read(frame) {
    const fields = { id: "", event: "message", data: "" };
    for (const line of frame.split(/\r?\n/)) {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (name in fields) fields[name] = value;
    }
    if (fields.data !== "") this.tellFrame(fields);
  }
}

function tell({ id, event, data }) {
  let content;
  try {
    content = JSON.parse(data);
  } catch {
    return;
  }
  if (id !== "") lastId = id;
  const news = { route: null, ...content, kind: event, id };
  for (const listener of [...listeners]) listener(news);
}

function turn(next) {
  if (state === next) return;
  state = next;
  for (const watcher of [...watchers]) watcher(state);
}

function pause(ms, ended) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const timer = setTimeout(now, ms);
    ended.addEventListener("abort", now, { signal: over.signal });
    window.addEventListener("online", now, { signal: over.signal });

    function now() {
      clearTimeout(timer);
      over.abort();
      resolve();
    }
  });
}
