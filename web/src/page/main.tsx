/** Starts the page. */

import { render } from "preact";

import { greetHost } from "./platform/host.ts";
import { speak, turn } from "./i18n/index.ts";
import { followTabs, login, resume } from "./state/login.ts";
import { preferredLanguage } from "./state/preferences.ts";
import { followAddress } from "./platform/route.ts";
import { followClock } from "./format/times.ts";
import { App } from "./views/app.tsx";

const PATIENCE = 2_000; // milliseconds for a language

followAddress();
followTabs();
followClock();
if (login.value.name === "resuming") void resume();
// English is there already: where another language cannot be had at once, the page does not wait, and turns later.
const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
await Promise.race([speak(preferredLanguage()).catch(() => undefined), late]);
turn(); // what was turned before the first paint may have been too much
greetHost();
const page = document.getElementById("page") as HTMLElement;
page.replaceChildren();
render(<App />, page);
