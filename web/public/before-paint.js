// Runs before anything is painted, so that nobody sees a white flash or a page that turns around.
// What it reads is written by src/page/preferences.ts.
(function () {
  var page = document.documentElement;
  try {
    var theme = localStorage.getItem("backchat.theme");
    var language = localStorage.getItem("backchat.language") || navigator.language.slice(0, 2);
    if (theme === "light" || theme === "dark") page.dataset.theme = theme;
    if (language === "ar" || language === "de") page.lang = language;
    if (language === "ar") page.dir = "rtl";
  } catch (error) {
    // Storage may be forbidden; then the system decides.
  }
  if (/^\/chat\/embed(\/|$)/.test(location.pathname)) page.dataset.compact = "";
})();
