/**
 * Keep what a page shows fresh: at once, after events (coalesced, at most once a second), and
 * slowly by itself while somebody can see it.  Never two reads at a time.
 *
 * A read that fails leaves what was shown: `onProblem` says how old that is.
 */

const BETWEEN_MS = 1_000;

/**
 * @param {Object} how
 * @param {() => Promise<*>} how.read  reads what is needed
 * @param {(found: *) => void} how.show
 * @param {(problem: Error, age: ?number) => void} how.onProblem  `age`: seconds since the last
 *   success, null: there was none
 * @param {Object} how.live
 * @param {(news: Object) => boolean} [how.matters]  which events call for a read; all without it.
 *   It hears every event; `hello` and `reset` call for one whatever it says: some may be missing
 * @param {number} [how.every]  seconds between reads without an event; 0: none
 * @returns {{now: () => Promise<void>, soon: () => void, stop: () => void}}
 */
export function refresher({ read, show, onProblem, live, matters = () => true, every = 5 }) {
  let stopped = false;
  let timer = null;
  let begun = 0;
  let running = null;
  let again = false;
  let succeeded = null;

  async function once() {
    begun = performance.now();
    try {
      const found = await read();
      if (stopped) return;
      succeeded = performance.now();
      show(found);
    } catch (problem) {
      if (stopped) return;
      if (problem?.name !== "ApiProblem") console.error(problem);
      onProblem(problem, succeeded === null ? null : (performance.now() - succeeded) / 1000);
    }
  }

  function now() {
    clearTimeout(timer);
    timer = null;
    if (running !== null) {
      again = true;
      return running;
    }
    running = once().finally(() => {
      running = null;
      if (again) soon();
      again = false;
    });
    return running;
  }

  function soon() {
    if (stopped || timer !== null) return;
    timer = setTimeout(now, Math.max(50, BETWEEN_MS - (performance.now() - begun)));
  }

  const onVisible = () => document.visibilityState === "visible" && soon();
  const slowly = every > 0 ? setInterval(onVisible, every * 1000) : null;
  const leave = live.subscribe((news) => {
    const wanted = matters(news);
    if (wanted || ["hello", "reset"].includes(news.kind)) soon();
  });
  document.addEventListener("visibilitychange", onVisible);

  return {
    now,
    soon,
    stop() {
      stopped = true;
      clearTimeout(timer);
      clearInterval(slowly);
      leave();
      document.removeEventListener("visibilitychange", onVisible);
    },
  };
}
