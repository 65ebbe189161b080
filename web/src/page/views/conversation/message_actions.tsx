/** The actions of a message: copy, edit, regenerate, rate, show earlier replies. */

import type { Signal } from "@preact/signals";

import type { Message } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import type { Conversation } from "../../state/conversation.ts";
import { t } from "../../i18n/index.ts";
import { IconButton } from "../controls/controls.tsx";
import { CopyButton } from "./copy_button.tsx";

interface OwnProps {
  readonly message: Message;
  readonly conversation: Conversation;
  readonly onEdit: () => void;
}

export function OwnActions({ message, conversation, onEdit }: OwnProps) {
  const { me } = useWorkspace();
  const last = conversation.messages.value.findLast(
    (each) => each.sender_type === "user" && each.sender_id === me,
  );
  return (
    <div class="actions" role="group" aria-label={t("message.actions")}>
      <CopyButton text={message.content} label={t("message.copy")} />
      {last?.id === message.id && <IconButton icon="edit" label={t("message.edit")} onClick={onEdit} />}
    </div>
  );
}

interface ReplyProps {
  readonly message: Message;
  readonly alternatives: number;
  /** The index of the earlier reply that is shown. */
  readonly chosen: Signal<number | undefined>;
  readonly isCurrent: boolean;
}

export function ReplyActions({ message, alternatives, chosen, isCurrent }: ReplyProps) {
  const workspace = useWorkspace();
  const { client } = workspace;
  const ids = { session_id: message.session_id, message_id: message.id };
  const regenerate = () => void workspace.attempt(() => client.call("regenerate_reply", ids));
  const at = isCurrent ? alternatives - 1 : (chosen.value ?? 0);
  const choose = (to: number) => (chosen.value = to >= alternatives - 1 ? undefined : to);
  return (
    <div class="actions" role="group" aria-label={t("message.actions")}>
      {alternatives > 1 && (
        <span class="alternatives">
          <IconButton
            icon="back"
            label={t("message.previous")}
            disabled={at === 0}
            mirrored
            onClick={() => choose(at - 1)}
          />
          <span
            translate={false}
            aria-label={t("message.alternatives", { n: at + 1, all: alternatives })}
            role="img"
          >
            {at + 1}/{alternatives}
          </span>
          <IconButton
            icon="forward"
            label={t("message.next")}
            disabled={at === alternatives - 1}
            mirrored
            onClick={() => choose(at + 1)}
          />
        </span>
      )}
      {message.content && <CopyButton text={message.content} label={t("message.copy")} />}
      {isCurrent && message.status !== "erased" && (
        <>
          <IconButton icon="again" label={t("message.regenerate")} onClick={regenerate} />
          {message.status !== "failed" && <Rating message={message} />}
        </>
      )}
    </div>
  );
}

/** A rating of the reply, visible only to the operator. */
function Rating({ message }: { message: Message }) {
  const workspace = useWorkspace();
  const rating = workspace.ratings.value.get(message.id) ?? 0;
  const rate = async (wanted: 1 | -1) => {
    const next = rating === wanted ? 0 : wanted;
    const { session_id, id: message_id } = message;
    const call = () => workspace.client.call("rate_reply", { session_id, message_id, rating: next });
    if (await workspace.attempt(call))
      workspace.ratings.value = new Map(workspace.ratings.value).set(message.id, next);
  };
  return (
    <>
      <IconButton icon="up" label={t("message.good")} pressed={rating === 1} onClick={() => void rate(1)} />
      <IconButton
        icon="down"
        label={t("message.bad")}
        pressed={rating === -1}
        onClick={() => void rate(-1)}
      />
    </>
  );
}
