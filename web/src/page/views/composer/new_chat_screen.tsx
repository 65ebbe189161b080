/** A new chat: choice of a chatbot, and the first message. Also shown while no chat is open. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

import { newId } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { firstChatbot, sendToChat, WANTED_CHATBOT } from "../../platform/host.ts";
import { t } from "../../i18n/index.ts";
import { useAttempt } from "../controls/attempt.ts";
import { COMPACT, go } from "../../platform/route.ts";
import { Avatar } from "../controls/avatar.tsx";
import { Composer } from "./composer.tsx";
import { IconButton, Problem } from "../controls/controls.tsx";

export function NewChatScreen() {
  const workspace = useWorkspace();
  const bots = workspace.chatbots.value;
  const chosen = useSignal<string | undefined>(WANTED_CHATBOT);
  const busy = useSignal(false);
  const { problem, attempt } = useAttempt();
  const request = useRef(newId()); // a repeated request must not create a second chat
  const bot = bots.find((each) => each.id === chosen.value) ?? bots.find((each) => each.default) ?? bots[0];

  const send = async (content: string) => {
    if (COMPACT) {
      firstChatbot.value = bot?.id;
      sendToChat(content); // in one order with the messages of the host
      return true;
    }
    busy.value = true;
    const isStarted = await attempt(() => workspace.start(bot?.id, content, request.current));
    busy.value = false;
    return isStarted;
  };

  return (
    <section class="fresh" aria-labelledby="fresh-title">
      {!COMPACT && (
        <IconButton
          icon="back"
          label={t("chat.back")}
          class="to-list"
          mirrored
          onClick={() => go({ name: "home" })}
        />
      )}
      <div class="fresh-body">
        <h1 id="fresh-title">{t("new.title")}</h1>
        <p class="soft">{t("new.intro")}</p>
        <div
          class="bots"
          role="radiogroup"
          aria-label={t("new.with")}
          aria-busy={workspace.chatbotsAwaited.value}
        >
          {workspace.chatbotsAwaited.value && <Skeleton />}
          {bots.map((each) => (
            <label key={each.id} class="bot-card">
              <input
                type="radio"
                name="bot"
                checked={each.id === bot?.id}
                onChange={() => (chosen.value = each.id)}
              />
              <Avatar id={each.id} name={each.name} kind="chatbot" />
              <span>
                <strong translate={false}>{each.name}</strong>
                <span class="soft">{each.description}</span>
              </span>
            </label>
          ))}
        </div>
        {problem.value && <Problem code={problem.value} />}
        <Composer
          draftKey="new"
          placeholder={bot ? t("composer.placeholder.to", { name: bot.name }) : t("composer.placeholder")}
          busy={busy.value}
          onSend={send}
        />
        {!!bot?.suggestions?.length && (
          <div class="suggestions" role="group" aria-label={t("new.suggestions")}>
            {bot.suggestions.map((text) => (
              <button
                key={text}
                type="button"
                dir="auto"
                disabled={busy.value}
                onClick={() => void send(text)}
              >
                {text}
              </button>
            ))}
          </div>
        )}
      </div>
    </section>
  );
}

/** A placeholder of the final size, so that nothing moves. */
function Skeleton() {
  return (
    <>
      {[1, 2].map((each) => (
        <span key={each} class="bot-bones" aria-hidden="true">
          <span class="bone round" />
          <span class="bone" style={{ width: "60%" }} />
        </span>
      ))}
    </>
  );
}
