/** Starts the page. */

import { render } from "preact";

import { listenToHost } from "./platform/host.ts";
import { loadLanguage, applyLanguage } from "./i18n/index.ts";
import { followTabs, login, resume } from "./state/login.ts";
import { preferredLanguage } from "./state/preferences.ts";
import { ignoreCompositionKeys } from "./platform/keys.ts";
import { followAddress } from "./platform/route.ts";
import { followClock } from "./format/times.ts";
import { App } from "./views/app.tsx";

const PATIENCE = 2_000; // milliseconds to wait for a language

ignoreCompositionKeys();
followAddress();
followTabs();
followClock();
if (login.value.name === "resuming") void resume();
// English is part of the first load: if another language is not loaded in time, the page starts in English and switches
// later.
const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
await Promise.race([loadLanguage(preferredLanguage()).catch(() => undefined), late]);
applyLanguage(); // corrects the direction set by before-paint.js, if the language is not loaded
listenToHost();
const page = document.getElementById("page") as HTMLElement;
page.replaceChildren();
render(<App />, page);
