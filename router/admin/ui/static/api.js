/**
 * The admin API, relative to where the page lies, so that a path in front of it is kept.
 *
 * Promises: an answer is parsed JSON, or null where there is none; everything else is thrown as an
 * ApiProblem, also a network failure and a silent server (status 0: control is away).
 */

import { learn } from "./clock.js";

const BASE = new URL("../api/v1/", document.baseURI);
const READ_PATIENCE_S = 10;
/** A change waits up to 5 s for the workers, and before that for the store. */
const WRITE_PATIENCE_S = 20;
/** The header that a form of another site cannot send: what CSRF lacks. */
const OURS = { "X-Requested-With": "inference-router-console" };

let tellUnauthenticated = () => {};

/** A refusal (RFC 9457), or that nobody answered. */
export class ApiProblem extends Error {
  /**
   * @param {number} status  0: no answer
   * @param {Object} document  the problem document, as far as there is one
   */
  constructor(status, document = {}) {
    super(document.detail || document.title || `status ${status}`);
    this.name = "ApiProblem";
    this.status = status;
    this.type = String(document.type ?? "");
    this.title = String(document.title ?? (status === 0 ? "Control is away" : `Status ${status}`));
    this.detail = String(document.detail ?? "");
    this.document = document;
  }

  /** Whether nobody answered, or somebody in front said that nobody does. */
  get away() {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }
}

/**
 * Be told when a call is refused for want of a login.
 * @param {() => void} fn
 */
export function onUnauthenticated(fn) {
  tellUnauthenticated = fn;
}

/**
 * One segment of a path, from a name that may be anything.
 * @param {string} name
 */
export function segment(name) {
  return encodeURIComponent(name);
}

/**
 * The address of a call, e.g. for a download link.
 * @param {string} path  below /api/v1/
 * @param {Object<string, *>} [params]  null, undefined and "" are left out
 */
export function urlOf(path, params = {}) {
  const url = new URL(path.replace(/^\//, ""), BASE);
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  return url;
}

/**
 * Read.
 * @param {string} path  below /api/v1/
 * @param {Object<string, *>} [params]
 * @param {{patience?: number}} [how]  seconds until a silent control counts as away
 */
export function get(path, params, { patience = READ_PATIENCE_S } = {}) {
  return call(urlOf(path, params), { method: "GET", patience });
}

/**
 * Change.
 * @param {"POST"|"PUT"|"DELETE"} method
 * @param {string} path  below /api/v1/
 * @param {?Object} body
 * @param {{dryRun?: boolean, ifMatch?: number|string, params?: Object}} [how]
 */
export function send(method, path, body, { dryRun = false, ifMatch, params = {} } = {}) {
  const headers = { ...OURS };
  if (body !== null && body !== undefined) headers["Content-Type"] = "application/json";
  if (ifMatch !== undefined && ifMatch !== null) headers["If-Match"] = `"${ifMatch}"`;
  const url = urlOf(path, dryRun ? { ...params, dryRun: "true" } : params);
  return call(url, { method, headers, body: body == null ? undefined : JSON.stringify(body) });
}

/**
 * Exchange a token for the session's cookie, which no script can read.
 * @param {string} token
 */
export function login(token) {
  const headers = { ...OURS, "Content-Type": "application/json" };
  const body = JSON.stringify({ token });
  return call(new URL("login", document.baseURI), { method: "POST", headers, body, quiet: true });
}

/** Forget the session. */
export function logout() {
  const how = { method: "POST", headers: OURS, quiet: true };
  return call(new URL("logout", document.baseURI), how);
}

async function call(url, { method, headers = {}, body, quiet = false, patience = WRITE_PATIENCE_S }) {
  let response;
  let text;
  try {
    response = await fetch(url, {
      method,
      body,
      headers: { Accept: "application/json, application/problem+json", ...headers },
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(patience * 1000),
    });
    text = await response.text();
    learn(response.headers.get("date"));
  } catch (error) {
    throw new ApiProblem(0, { title: "Control is away", detail: silence(error, patience) });
  }
  if (!response.ok) throw refusal(response, text, quiet);
  return text === "" ? null : parse(text);
}

function silence(error, patience) {
  return error?.name === "TimeoutError"
    ? `no answer within ${patience} s`
    : "the admin port does not answer";
}

function refusal(response, text, quiet) {
  const problem = new ApiProblem(response.status, document_(text));
  if (problem.status === 401 && !quiet) tellUnauthenticated();
  return problem;
}

function document_(text) {
  try {
    const found = JSON.parse(text);
    return found !== null && typeof found === "object" ? found : {};
  } catch {
    return { detail: text.slice(0, 200) };
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiProblem(0, { title: "The answer is no JSON", detail: text.slice(0, 200) });
  }
}
