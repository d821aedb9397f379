// Not a module: it runs before the first paint, so that a chosen theme does not flash.
(() => {
  "use strict";
  let chosen = null;
  try {
    chosen = localStorage.getItem("inference-router-theme");
  } catch {
    // Storage may be forbidden; then the system's choice holds.
  }
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
