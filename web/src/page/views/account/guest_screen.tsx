/** The widget before login: a visitor's first message creates a guest account. */

import { useSignal } from "@preact/signals";

import { asBackchatError } from "../../../client/errors.ts";
import { sendWhenLoggedIn } from "../../platform/host.ts";
import { t } from "../../i18n/index.ts";
import { enterAsGuest } from "../../state/login.ts";
import { Problem } from "../controls/controls.tsx";
import { Icon } from "../controls/icon.tsx";
import { LoginScreen } from "./login_screen.tsx";

const LONGEST = 16_000; // characters

export function GuestScreen() {
  const text = useSignal("");
  const problem = useSignal<string | undefined>(undefined);
  const wantsLogin = useSignal(false);
  const send = async () => {
    const said = text.value.trim();
    if (!said) return;
    problem.value = undefined;
    try {
      await enterAsGuest();
      sendWhenLoggedIn(said);
    } catch (thrown) {
      const { code } = asBackchatError(thrown);
      if (code === "not_found") {
        wantsLogin.value = true; // the server admits no guests
        sendWhenLoggedIn(said);
      } else {
        problem.value = code;
      }
    }
  };
  if (wantsLogin.value) return <LoginScreen />;
  return (
    <main class="fresh">
      <div class="fresh-body">
        <h1>{t("guest.title")}</h1>
        <p class="soft">{t("guest.intro")}</p>
        {problem.value && <Problem code={problem.value} retry={() => void send()} />}
        <form
          class="composer"
          onSubmit={(event) => {
            event.preventDefault();
            void send();
          }}
        >
          <div class="composer-box">
            <textarea
              rows={2}
              dir="auto"
              maxLength={LONGEST}
              aria-label={t("composer.label")}
              placeholder={t("composer.placeholder")}
              value={text.value}
              onInput={(event) => (text.value = event.currentTarget.value)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
                event.preventDefault();
                void send();
              }}
            />
            <button class="send icon-button" aria-label={t("composer.send")} disabled={!text.value.trim()}>
              <Icon name="send" />
            </button>
          </div>
        </form>
        <button type="button" class="switch" onClick={() => (wantsLogin.value = true)}>
          {t("guest.login")}
        </button>
      </div>
    </main>
  );
}
