/** Starts the page. */

import { render } from "preact";

import { greetHost } from "./host.ts";
import { speak } from "./i18n/index.ts";
import { followTabs, login, resume } from "./login.ts";
import { preferredLanguage } from "./preferences.ts";
import { followAddress } from "./route.ts";
import { followClock } from "./times.ts";
import { App } from "./views/app.tsx";

followAddress();
followTabs();
followClock();
if (login.value.name === "resuming") void resume();
await speak(preferredLanguage()).catch(() => undefined); // then it is English
greetHost();
render(<App />, document.getElementById("page") as HTMLElement);
