/**
 * What the route's page reads, and how often: numbers each time, the trail after an event or once
 * a minute, the history no oftener than it has something new.
 */

const TRAIL_MS = 60_000;
const HISTORY_MS = 9_000; // control adds a point every ten seconds
const RUNS = 6;
const ENTRIES = 40;

/**
 * @param {{api: Object, name: string, path: string, history: () => Object}} how  `history`: the
 *   parameters that are wanted now
 * @returns {{read: () => Promise<Object>, forget: () => void}}  `forget`: something has happened
 */
export function reading({ api, name, path, history }) {
  const trail = kept(TRAIL_MS, () => api.get("audit", { route: name, limit: ENTRIES }));
  // A history that cannot be read leaves everything else as it is.
  const past = kept(HISTORY_MS, (wanted) => api.get(`${path}/history`, wanted).catch((problem) => ({ problem })));

  async function read() {
    const [route, rollout, runs, audit, found] = await Promise.all([
      api.get(path),
      api.get(`${path}/rollout`),
      api.get("analysis-runs", { route: name, limit: RUNS }),
      trail.read(),
      past.read(history()),
    ]);
    return { route, rollout, runs: runs.runs, entries: audit.entries, history: found };
  }

  function forget() {
    trail.forget();
    past.forget();
  }

  return { read, forget };
}

/** The newest answer, for so long and for the same question. */
function kept(ms, ask) {
  let answer = null;
  let asked = "";
  let since = -Infinity;
  let forgotten = 0;
  return {
    async read(question) {
      const key = JSON.stringify(question);
      if (answer === null || key !== asked || performance.now() - since > ms) {
        const [began, before] = [performance.now(), forgotten];
        answer = await ask(question);
        since = before === forgotten ? began : -Infinity; // what happened during the read may be missing
        asked = answer.problem ? "" : key; // what has failed is asked again the next time
      }
      return answer;
    },
    forget() {
      forgotten += 1;
      since = -Infinity;
    },
  };
}
