// Applies the stored theme before the first paint; without one, the system's theme applies.
(() => {
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen) document.documentElement.dataset.theme = chosen;
  } catch {
    // The browser may forbid storage: the theme of the system applies.
  }
})();
