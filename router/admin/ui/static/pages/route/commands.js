/**
 * What a person can tell a route: the words, the call behind it, and when it is offered.  Pure.
 *
 * @typedef {Object} Command
 * @property {string} name
 * @property {string} label  on the button
 * @property {string} icon
 * @property {"danger"|"primary"|""} look
 * @property {string} says  what will happen, in a sentence
 * @property {"POST"|"PUT"|"DELETE"} method
 * @property {string} path  below the route's
 * @property {"version"|"target"|"weights"|null} [asks]  what has to be chosen
 * @property {(found: Object) => boolean} isPossible
 */

const commandPossible = (name) => ({ rollout }) => rollout.possible.includes(name);
const rollout = (name, more) => ({ name, method: "POST", path: `rollout/${name}`, look: "", isPossible: commandPossible(name), ...more });

/** @type {Command[]} */
export const COMMANDS = [
  rollout("abort", {
    label: "Abort",
    icon: "stop",
    look: "danger",
    says: "All traffic goes back to the stable version at once; the release is given up.",
  }),
  {
    name: "rollback",
    label: "Roll back",
    icon: "back",
    look: "danger",
    says: "All traffic goes to the last stable version at once, whoever holds the weights.",
    method: "POST",
    path: "rollback",
    isPossible: (found) => commandPossible("rollback")(found) && (found.route.past.length > 0 || isUnderWay(found)),
  },
  rollout("pause", { label: "Pause", icon: "pause", says: "The rollout stands still until somebody resumes it." }),
  rollout("resume", { label: "Resume", icon: "play", look: "primary", says: "The rollout goes on." }),
  rollout("promote", {
    label: "Promote",
    icon: "forward",
    says: "On to the next step, whatever this one waits for.",
  }),
  rollout("promote-full", {
    label: "Promote fully",
    icon: "skip",
    says: "Skips all steps, pauses, gates and analyses: the new version gets all traffic.",
  }),
  rollout("retry", { label: "Retry", icon: "retry", look: "primary", says: "Tries the release again that was given up." , isPossible: (found) => commandPossible("retry")(found) && hasGivenUp(found) }),
  rollout("start", {
    label: "Start a rollout",
    icon: "play",
    says: "Begins a rollout to the version, by the steps of the strategy.",
    asks: "target",
    isPossible: (found) => commandPossible("start")(found) && others(found).length > 0,
  }),
  {
    name: "switch",
    label: "Switch",
    icon: "swap",
    look: "",
    says: "All traffic goes to the version at once, whatever the strategy is doing.",
    method: "POST",
    path: "switch",
    asks: "version",
    isPossible: (found) => found.route.versions.length > 1,
  },
  {
    name: "weights",
    label: "Set weights",
    icon: "sliders",
    look: "",
    says: "Your weights replace the controller's, which is held until they are released or expire.",
    method: "PUT",
    path: "weights",
    asks: "weights",
    isPossible: (found) => found.route.versions.length > 1,
  },
  {
    name: "release",
    label: "Release weights",
    icon: "play",
    look: "primary",
    says: "The weights are the controller's again.",
    method: "DELETE",
    path: "weights",
    isPossible: ({ route }) => route.override !== null,
  },
];

/** Versions that are not stable: where a switch or a rollout can go. */
export function others({ route }) {
  return route.versions.map(({ name }) => name).filter((name) => name !== route.stable);
}

function isUnderWay({ rollout: { phase } }) {
  return phase === "Progressing" || phase === "Paused";
}

function hasGivenUp({ route, rollout: { phase } }) {
  return phase === "Degraded" || route.rejected !== null;
}
