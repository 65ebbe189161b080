/**
 * The widget before its first chat: a visitor's or the host's first message creates a guest account and then the chat.
 * All messages of this time are shown at once and go to that one chat, in their order.
 */

import { useSignal, useSignalEffect } from "@preact/signals";

import { asBackchatError } from "../../../client/errors.ts";
import { firstDraft, sendToChat, startProblem, unsent } from "../../platform/host.ts";
import { t } from "../../i18n/index.ts";
import { ENTER_HINT, isSendKey } from "../../platform/keys.ts";
import { enterAsGuest, login } from "../../state/login.ts";
import { Problem } from "../controls/controls.tsx";
import { Icon } from "../controls/icon.tsx";
import { LoginScreen } from "./login_screen.tsx";

const LONGEST = 16_000; // characters

export function GuestScreen() {
  const problem = useSignal<string | undefined>(undefined);
  const isEntering = useSignal(false);
  const wantsLogin = useSignal(false);
  const enter = async () => {
    isEntering.value = true;
    problem.value = undefined;
    try {
      await enterAsGuest();
    } catch (thrown) {
      const { code } = asBackchatError(thrown);
      if (code === "not_found")
        wantsLogin.value = true; // the server admits no guests
      else problem.value = code;
    }
    isEntering.value = false;
  };
  useSignalEffect(() => {
    const isWanted = unsent.value.length > 0 && login.value.name === "out" && !wantsLogin.value;
    if (isWanted && !isEntering.value && !problem.value) void enter();
  });
  const send = () => {
    sendToChat(firstDraft.value);
    firstDraft.value = "";
  };
  if (wantsLogin.value && login.value.name === "out") return <LoginScreen />;
  const failed = problem.value ?? startProblem.value;
  return (
    <main class="fresh">
      <div class="fresh-body">
        {unsent.value.length === 0 ? (
          <>
            <h1>{t("guest.title")}</h1>
            <p class="soft">{t("guest.intro")}</p>
          </>
        ) : (
          <Unsent />
        )}
        {failed && <Problem code={failed} retry={() => (problem.value = startProblem.value = undefined)} />}
        <form
          class="composer"
          onSubmit={(event) => {
            event.preventDefault();
            send();
          }}
        >
          <div class="composer-box">
            <textarea
              rows={2}
              dir="auto"
              maxLength={LONGEST}
              aria-label={t("composer.label")}
              placeholder={t("composer.placeholder")}
              enterkeyhint={ENTER_HINT}
              value={firstDraft.value}
              onInput={(event) => (firstDraft.value = event.currentTarget.value)}
              onKeyDown={(event) => {
                if (!isSendKey(event)) return;
                event.preventDefault();
                send();
              }}
            />
            <button
              class="send icon-button"
              aria-label={t("composer.send")}
              disabled={!firstDraft.value.trim()}
            >
              <Icon name="send" />
            </button>
          </div>
        </form>
        {login.value.name === "out" && (
          <button type="button" class="switch" onClick={() => (wantsLogin.value = true)}>
            {t("guest.login")}
          </button>
        )}
      </div>
    </main>
  );
}

/** The messages that wait for the chat. */
function Unsent() {
  return (
    <div class="thread" role="log" aria-label={t("chat.messages")}>
      <h1 class="unseen">{t("chats.untitled")}</h1>
      {unsent.value.map((text, at) => (
        <div key={at} class="row own pending sending" data-state="sending">
          <div class="message">
            <p class="said" dir="auto">
              {text}
            </p>
            <p class="fate soft">
              <Icon name="clock" />
              {t("message.pending")}
            </p>
          </div>
        </div>
      ))}
    </div>
  );
}
