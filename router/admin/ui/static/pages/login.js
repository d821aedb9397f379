/**
 * Sign in with a token.  It is handed to the server at once, which answers with a cookie that no
 * script can read; the page keeps nothing.
 */

import { h, replace } from "../dom.js";
import { notice, problemNotice } from "../ui.js";

const REASONS = {
  ended: () => notice("info", "The session has ended: the token expired or was withdrawn."),
  unkept: () => notice("problem", "The token was right, but the browser did not send the session that it got: allow cookies of this site, then sign in again."),
};

/** @param {Object} context  `why`: "ended", "unkept" or null; `done`: called after a login */
export function mount({ api, why, done }) {
  const said = h("div", null, REASONS[why]?.());
  const token = h("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    autocapitalize: "off",
  });
  const button = h("button", { type: "submit", class: "button primary" }, "Sign in");
  const form = h(
    "form",
    { class: "card login", on: { submit } },
    h("h1", null, "Sign in"),
    h("p", { class: "muted" }, "The console shows and does what the token's role allows."),
    said,
    // For password managers: there is no name to type, but they look for one.
    h("input", { type: "text", name: "username", autocomplete: "username", value: "inference-router", class: "unseen", tabindex: "-1", "aria-hidden": "true", readonly: true }),
    h("label", { for: "token" }, "Token"),
    token,
    button,
  );

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      await api.login(token.value.trim());
      token.value = "";
      await done();
    } catch (problem) {
      replace(said, refusal(problem));
      token.select();
    } finally {
      button.disabled = false;
    }
  }

  queueMicrotask(() => token.focus());
  return { element: form, title: "Sign in", unmount() {} };
}

function refusal(problem) {
  if (problem.status === 401) return notice("problem", "This token is not known. Was it rotated?");
  return problemNotice(problem);
}
