// Runs before the first paint, so that the page does not flash white or change its direction, and shows a message if
// the rest of the page cannot be loaded. src/page/state/preferences.ts writes the keys that are read here.
(function () {
  var page = document.documentElement;
  try {
    var theme = localStorage.getItem("backchat.theme");
    var language = localStorage.getItem("backchat.language") || navigator.language.slice(0, 2);
    if (theme === "light" || theme === "dark") page.dataset.theme = theme;
    if (language === "ar" || language === "de") page.lang = language;
    if (language === "ar") page.dir = "rtl";
  } catch (error) {
    // Storage may be forbidden; then the system's settings apply.
  }
  if (/^\/chat\/embed(\/|$)/.test(location.pathname)) page.dataset.compact = "";

  var MISSING = {
    en: ["Backchat could not be loaded.", "Try again"],
    de: ["Backchat konnte nicht geladen werden.", "Noch einmal versuchen"],
    ar: ["تعذّر تحميل Backchat.", "إعادة المحاولة"],
  };
  addEventListener(
    "error",
    function (event) {
      var place = document.getElementById("missing");
      if (!place || !(event.target instanceof HTMLScriptElement)) return;
      var text = MISSING[page.lang] || MISSING.en;
      var again = document.createElement("a");
      again.href = location.href;
      again.textContent = text[1];
      place.replaceChildren(text[0] + " ", again);
      place.hidden = false;
    },
    true, // `error` events of scripts do not bubble
  );
})();
