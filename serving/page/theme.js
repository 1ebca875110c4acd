// Before the first paint: apply the stored theme, or else the theme of the system.
(() => {
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen) document.documentElement.dataset.theme = chosen;
  } catch {
    // The browser may forbid storage: the theme of the system applies.
  }
})();
