/**
 * A request from what somebody typed.  Pure.
 */

const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(.*?)\s*$/;

/**
 * @param {{method: string, path: string, headers: string, body: string}} typed
 * @returns {{request: ?Object, problem: ?string}} one of both is null
 */
export function requestOf({ method, path, headers, body }) {
  const where = path.trim();
  if (!where.startsWith("/")) return refused("The path begins with /.");
  const fields = {};
  for (const [index, line] of headers.split("\n").entries()) {
    if (line.trim() === "") continue;
    const found = FIELD.exec(line.trim());
    if (found === null) return refused(`Header fields, line ${index + 1}: it is not “name: value”.`);
    const name = found[1].toLowerCase();
    if (Object.hasOwn(fields, name)) return refused(`Header fields, line ${index + 1}: ${name} stands there twice; the router reads the first.`);
    fields[name] = found[2];
  }
  return { request: { method, path: where, headers: fields, body: bodyOf(body) }, problem: null };
}

function refused(problem) {
  return { request: null, problem };
}

/** Sent as it was typed, whatever it is: white space and double members of JSON included. */
function bodyOf(text) {
  return text.trim() === "" ? null : text;
}
