/** A stored message or an active reply, with the replies that it supersedes. */

import { type Signal, useSignal } from "@preact/signals";

import type { Message } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import type { Conversation, Row } from "../../state/conversation.ts";
import { errorText, hasErrorText, t } from "../../i18n/index.ts";
import { Markdown } from "../../markdown/markdown.tsx";
import { PlainText } from "../../markdown/plain_text.tsx";
import { chatbotName, membersOf, nameOf } from "../../format/names.ts";
import { clock, exact } from "../../format/times.ts";
import { Avatar } from "../controls/avatar.tsx";
import { lazy } from "../controls/lazy.tsx";
import { OwnActions, ReplyActions } from "./message_actions.tsx";
import { Dots, Problem } from "../controls/controls.tsx";
import { Reasoning, reasoningOf } from "./reasoning.tsx";

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
        <Body
          id={row.id}
          message={message}
          conversation={conversation}
          isGrouped={isGrouped}
          isOwn={isOwn}
          editing={editing}
        />
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

interface BodyProps {
  readonly id: string;
  readonly message: Message | undefined;
  readonly conversation: Conversation;
  readonly isGrouped: boolean;
  readonly isOwn: boolean;
  readonly editing: Signal<string | undefined>;
}

/**
 * A message or an active reply. Only this component is rendered for each delta, and it stays when the reply is stored, so
 * that its text is not built again.
 */
function Body({ id, message, conversation, isGrouped, isOwn, editing }: BodyProps) {
  const session = conversation.session.value;
  const reply = message ? undefined : conversation.reply(id);
  const bot = reply?.chatbot_id ?? session?.chatbots[0]?.id ?? "";
  const name = message ? nameOf(message, session) : chatbotName(bot, session);
  const isEdited = editing.value === id;
  const reasoning = message ? reasoningOf(message) : (reply?.reasoning ?? "");
  return (
    <>
      {!isOwn && (
        <Avatar id={message?.sender_id ?? bot} name={name} kind={message?.sender_type ?? "chatbot"} />
      )}
      <div class="message" aria-busy={message ? undefined : "true"}>
        <p class={isGrouped ? "unseen" : "by"} translate={false}>
          <strong class={isOwn ? "unseen" : ""}>{isOwn ? t("chat.you") : name}</strong>
          {message && <SentAt message={message} />}
        </p>
        {reasoning && <Reasoning text={reasoning} isActive={!message && !reply?.text} />}
        {isEdited && message ? (
          <MessageEditor message={message} onClose={() => (editing.value = undefined)} />
        ) : (
          <Content
            message={message}
            text={message?.content ?? reply?.text ?? ""}
            conversation={conversation}
          />
        )}
        {!message && !reply?.text && !reasoning && <Awaited conversation={conversation} name={name} />}
        {isOwn && message?.status === "complete" && !isEdited && (
          <OwnActions message={message} conversation={conversation} onEdit={() => (editing.value = id)} />
        )}
      </div>
    </>
  );
}

/** What is shown of an active reply before its first text. */
function Awaited({ conversation, name }: { conversation: Conversation; name: string }) {
  if (conversation.isUnattended.value)
    return (
      <p class="soft unattended" role="status" translate={false}>
        {t("message.unattended")}
      </p>
    );
  return (
    <p class="soft thinking-here" translate={false}>
      <Dots />
      {t("message.thinking", { name })}
    </p>
  );
}

function SentAt({ message }: { message: Message }) {
  const isEdited =
    message.sender_type === "user" && message.updated_seq > message.seq && message.status === "complete";
  return (
    <>
      <time class="soft" dateTime={message.created_at} title={exact(message.created_at)}>
        {clock(message.created_at)}
      </time>
      {isEdited && <span class="soft"> · {t("message.edited")}</span>}
    </>
  );
}

interface ContentProps {
  /** `undefined` while the reply is active. */
  readonly message: Message | undefined;
  readonly text: string;
  readonly conversation: Conversation;
}

function Content({ message, text, conversation }: ContentProps) {
  if (message?.status === "erased") return <p class="erased soft">{t("message.erased")}</p>;
  if (message?.sender_type === "user")
    return <PlainText text={text} names={membersOf(conversation.session.value)} />;
  return (
    <>
      {text && <Markdown text={text} open={!message} />}
      {message?.status === "stopped" && (
        <p class="fate soft">
          {t("message.stopped")}
          {message.error && <StopReason code={message.error.code} />}
        </p>
      )}
      {message?.status === "failed" && (
        <Problem
          code={message.error?.code ?? "internal"}
          text={message.error?.message || t("message.reply.failed")}
        />
      )}
    </>
  );
}

/** Why a chatbot has stopped. */
function StopReason({ code }: { code: string }) {
  return hasErrorText(code) ? <span>{errorText(code)}</span> : <code translate={false}>{code}</code>;
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
