/** A stored message or an active reply, with the replies that it supersedes. */

import { type Signal, useSignal } from "@preact/signals";

import type { Message } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import type { Conversation, Row } from "../../state/conversation.ts";
import { t } from "../../i18n/index.ts";
import { Markdown } from "../../markdown/markdown.tsx";
import { chatbotName, nameOf } from "../../format/names.ts";
import { clock, exact } from "../../format/times.ts";
import { Avatar } from "../controls/avatar.tsx";
import { lazy } from "../controls/lazy.tsx";
import { OwnActions, ReplyActions } from "./message_actions.tsx";
import { Dots, Problem } from "../controls/controls.tsx";

const MessageEditor = lazy(() => import("./message_editor.tsx").then((module) => module.MessageEditor));

interface MessageRowProps {
  readonly row: Row;
  readonly conversation: Conversation;
  /** The name of the day that starts here. */
  readonly day: string | undefined;
  /** Whether it is grouped with the message above: same sender, shortly after. */
  readonly isGrouped: boolean;
  readonly isLast: boolean;
  /** Ids of the users who have read up to here, separated by commas. */
  readonly readers: string | undefined;
  readonly editing: Signal<string | undefined>;
}

export function MessageRow({ row, conversation, day, isGrouped, isLast, readers, editing }: MessageRowProps) {
  const { me } = useWorkspace();
  const chosen = useSignal<number | undefined>(undefined); // index of an earlier reply
  const isEarlier = chosen.value !== undefined && chosen.value < row.earlier.length;
  const message = isEarlier ? row.earlier[chosen.value ?? 0] : row.message;
  const isOwn = message?.sender_type === "user" && message.sender_id === me;
  const kind = isOwn ? "own" : message?.sender_type === "user" ? "other" : "reply";
  return (
    <>
      {day && (
        <div class="day" role="separator">
          <span>{day}</span>
        </div>
      )}
      <article
        class={`row ${kind}${isGrouped ? " together" : ""}${isLast ? " last" : ""}`}
        data-row={row.id}
        data-seq={message?.seq}
      >
        {message ? (
          <Sent
            message={message}
            conversation={conversation}
            isGrouped={isGrouped}
            isOwn={isOwn}
            isLast={isLast}
            editing={editing}
          />
        ) : (
          <ActiveReply id={row.id} conversation={conversation} />
        )}
        {message?.sender_type === "chatbot" && (
          <ReplyActions
            message={message}
            alternatives={row.earlier.length + 1}
            chosen={chosen}
            isCurrent={!isEarlier}
          />
        )}
        {readers && <Readers ids={readers.split(",")} />}
      </article>
    </>
  );
}

interface SentProps {
  readonly message: Message;
  readonly conversation: Conversation;
  readonly isGrouped: boolean;
  readonly isOwn: boolean;
  readonly isLast: boolean;
  readonly editing: Signal<string | undefined>;
}

function Sent({ message, conversation, isGrouped, isOwn, editing }: SentProps) {
  const session = conversation.session.value;
  const name = nameOf(message, session);
  const isEdited =
    message.sender_type === "user" && message.updated_seq > message.seq && message.status === "complete";
  return (
    <>
      {!isOwn && <Avatar id={message.sender_id} name={name} kind={message.sender_type} />}
      <div class="message">
        <p class={isGrouped ? "unseen" : "by"} translate={false}>
          <strong class={isOwn ? "unseen" : ""}>{isOwn ? t("chat.you") : name}</strong>
          <time class="soft" dateTime={message.created_at} title={exact(message.created_at)}>
            {clock(message.created_at)}
          </time>
          {isEdited && <span class="soft"> · {t("message.edited")}</span>}
        </p>
        {editing.value === message.id ? (
          <MessageEditor message={message} onClose={() => (editing.value = undefined)} />
        ) : (
          <Content message={message} />
        )}
        {isOwn && message.status === "complete" && editing.value !== message.id && (
          <OwnActions
            message={message}
            conversation={conversation}
            onEdit={() => (editing.value = message.id)}
          />
        )}
      </div>
    </>
  );
}

function Content({ message }: { message: Message }) {
  if (message.status === "erased") return <p class="erased soft">{t("message.erased")}</p>;
  return (
    <>
      {message.content && <Markdown text={message.content} />}
      {message.status === "stopped" && (
        <p class="fate soft">
          {t("message.stopped")}
          {message.error && <code>{message.error.code}</code>}
        </p>
      )}
      {message.status === "failed" && (
        <Problem
          code={message.error?.code ?? "internal"}
          text={message.error?.message || t("message.reply.failed")}
        />
      )}
    </>
  );
}

/** The text of an active reply. Only this component is rendered for each delta. */
function ActiveReply({ id, conversation }: { id: string; conversation: Conversation }) {
  const session = conversation.session.value;
  const reply = conversation.reply(id);
  const bot = reply?.chatbot_id ?? session?.chatbots[0]?.id ?? "";
  const name = chatbotName(bot, session);
  return (
    <>
      <Avatar id={bot} name={name} kind="chatbot" />
      <div class="message" aria-busy="true">
        <p class="by" translate={false}>
          <strong>{name}</strong>
        </p>
        {reply?.text ? (
          <Markdown text={reply.text} open />
        ) : conversation.isUnattended.value ? (
          <p class="soft unattended" role="status" translate={false}>
            {t("message.unattended")}
          </p>
        ) : (
          <p class="soft thinking-here" translate={false}>
            <Dots />
            {t("message.thinking", { name })}
          </p>
        )}
      </div>
    </>
  );
}

function Readers({ ids }: { ids: readonly string[] }) {
  return (
    <p class="readers" title={t("message.seen", { names: ids.join(", ") })}>
      <span class="unseen">{t("message.seen", { names: ids.join(", ") })}</span>
      {ids.slice(0, 5).map((id) => (
        <Avatar key={id} id={id} kind="user" />
      ))}
    </p>
  );
}
