/** One chat: header, messages, message field. */

import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

import { useWorkspace } from "../../state/context.ts";
import type { Conversation } from "../../state/conversation.ts";
import { t } from "../../i18n/index.ts";
import { isStorageFull } from "../../state/pending.ts";
import { notify } from "../../state/notices.ts";
import { go } from "../../platform/route.ts";
import { ChatHead } from "./chat_head.tsx";
import { ChatbotChoice } from "./chatbot_choice.tsx";
import { Composer } from "../composer/composer.tsx";
import type { Mentionable } from "../composer/mentions.tsx";
import { Thread } from "./thread.tsx";
import { useReadMark, useTypingMark } from "./presence.ts";

export function ConversationScreen({ id }: { id: string }) {
  const workspace = useWorkspace();
  const conversation = useMemo(() => workspace.conversation(id), [workspace, id]);
  if (conversation.state.value === "gone") return <Gone />;
  return (
    <section class="conversation">
      <ChatHead conversation={conversation} />
      <Body conversation={conversation} />
    </section>
  );
}

function Body({ conversation }: { conversation: Conversation }) {
  const workspace = useWorkspace();
  const { client, pending, me } = workspace;
  const session = conversation.session.value;
  const editing = useSignal<string | undefined>(undefined);
  const sent = useSignal(0);
  const setTyping = useTypingMark(client, conversation);
  useReadMark(workspace, conversation);

  const replying = conversation.rows.value.filter((row) => !row.message);
  const stop = () => {
    for (const { id } of replying)
      void workspace.attempt(() =>
        client.call("stop_reply", { session_id: conversation.id, message_id: id }),
      );
  };
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog")) return;
      if (replying.length) {
        event.preventDefault();
        stop();
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [replying.map(({ id }) => id).join()]);

  const send = (content: string) => {
    try {
      pending.send(conversation.id, content);
    } catch (error) {
      if (isStorageFull(error)) notify(t("composer.full"), { tone: "error" });
      return false;
    }
    sent.value += 1;
    return true;
  };
  const editLast = () => {
    const own = conversation.messages.value.findLast(
      (each) => each.sender_type === "user" && each.sender_id === me,
    );
    if (own?.status === "complete") editing.value = own.id;
  };
  const bot = session?.chatbots[0];
  const to = session && session.users.length === 1 && session.chatbots.length === 1 ? bot?.name : undefined;
  return (
    <>
      <Thread conversation={conversation} editing={editing} sent={sent.value} />
      <Composer
        draftKey={conversation.id}
        placeholder={to ? t("composer.placeholder.to", { name: to }) : t("composer.placeholder")}
        mentionable={session ? mentionable(session, me) : []}
        onSend={send}
        onStop={replying.length ? stop : undefined}
        onEditLast={editLast}
        onTyping={setTyping}
      >
        {session && <ChatbotChoice session={session} isReplying={replying.length > 0} />}
      </Composer>
    </>
  );
}

function mentionable(session: NonNullable<Conversation["session"]["value"]>, me: string): Mentionable[] {
  const bots = session.chatbots.map(({ id, name }) => ({ id, name, kind: "chatbot" as const }));
  const users = session.users
    .filter((id) => id !== me)
    .map((id) => ({ id, name: id, kind: "user" as const }));
  return [...bots, ...users];
}

function Gone() {
  return (
    <div class="splash">
      <h1>{t("chats.gone")}</h1>
      <p class="soft">{t("chats.gone.hint")}</p>
      <button type="button" class="primary" onClick={() => go({ name: "home" }, { replace: true })}>
        {t("chat.back")}
      </button>
    </div>
  );
}
