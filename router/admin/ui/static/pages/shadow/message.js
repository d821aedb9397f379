/**
 * What an answer says, without what is around it.  Pure.
 *
 * A recorded body is `{json}`, `{text}` or `{base64}`; a stream is text: its events.
 */

/**
 * The words of an answer: text and tool calls of every choice; null where it has no such place.
 * @param {Object} body
 * @returns {?string}
 */
export function messageText(body) {
  if (body.json !== undefined) return ofDocument(body.json);
  if (typeof body.text === "string" && /^(\uFEFF)?(data|event|id|:)/.test(body.text)) return ofStream(body.text);
  return null;
}

/**
 * A body as text: JSON is indented.
 * @param {Object} body
 * @returns {string}
 */
export function bodyText(body) {
  if (body.json !== undefined) return JSON.stringify(body.json, null, 2);
  return body.text ?? body.base64 ?? "";
}

function ofDocument(document) {
  const choices = Array.isArray(document?.choices) ? document.choices : null;
  if (choices !== null) return joined(choices.map((choice) => ofChoice(choice?.message ?? choice)));
  if (typeof document?.generated_text === "string") return document.generated_text;
  const error = document?.error?.message;
  return typeof error === "string" ? error : null;
}

function ofChoice(message) {
  const calls = Array.isArray(message?.tool_calls) ? message.tool_calls : [];
  const said = [message?.reasoning_content, message?.content, message?.text].filter((part) => typeof part === "string" && part !== "");
  return [...said, ...calls.map((call) => `${call?.function?.name ?? "?"}(${call?.function?.arguments ?? ""})`)].join("\n");
}

/** Deltas of a stream put together, choice by choice; events that cannot be read are passed over. */
function ofStream(text) {
  const choices = new Map();
  let found = false;
  for (const line of text.split("\n")) {
    const event = line.startsWith("data:") ? read(line.slice(5)) : null;
    const token = event?.token?.text;
    const parts = typeof token === "string" ? [{ index: 0, text: token }] : Array.isArray(event?.choices) ? event.choices : [];
    for (const part of parts) {
      found = true;
      append(choices, part);
    }
  }
  return found ? joined([...choices.values()]) : null;
}

function append(choices, part) {
  const index = Number(part?.index ?? 0);
  const delta = part?.delta ?? {};
  const calls = Array.isArray(delta.tool_calls) ? delta.tool_calls : [];
  const said = [delta.reasoning_content, delta.content, part?.text, ...calls.flatMap((call) => [call?.function?.name, call?.function?.arguments])];
  choices.set(index, (choices.get(index) ?? "") + said.filter((each) => typeof each === "string").join(""));
}

function joined(texts) {
  return texts.length > 1 ? texts.map((text, index) => `[choice ${index}]\n${text}`).join("\n\n") : (texts[0] ?? "");
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
