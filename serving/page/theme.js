// Before the first picture: a choice made earlier. Without one the system's holds.
(() => {
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen) document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the system's choice holds then.
  }
})();
