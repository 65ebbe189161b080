/** The editor of the user's last message. */

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";

import { codePoints, type Message } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { ENTER_HINT, isSendKey } from "../../platform/keys.ts";

export function MessageEditor({ message, onClose }: { message: Message; onClose: () => void }) {
  const workspace = useWorkspace();
  const draft = useSignal(message.content);
  const area = useRef<HTMLTextAreaElement>(null);
  const length = codePoints(draft.value.trim());
  const isReady = length > 0 && length <= workspace.longest.value;

  useLayoutEffect(() => {
    const before = document.activeElement;
    area.current?.focus();
    area.current?.setSelectionRange(message.content.length, message.content.length);
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  const save = async () => {
    const { session_id, id: message_id } = message;
    const content = draft.value;
    if (!isReady) return;
    if (content === message.content) return onClose();
    if (
      await workspace.attempt(() =>
        workspace.client.call("edit_message", { session_id, message_id, content }),
      )
    )
      onClose();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
    else if (isSendKey(event)) void save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <form
      class="editor"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea
        ref={area}
        dir="auto"
        aria-label={t("message.edit.label")}
        enterkeyhint={ENTER_HINT}
        rows={Math.min(12, draft.value.split("\n").length + 1)}
        value={draft.value}
        onInput={(event) => (draft.value = event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <div class="buttons">
        <button type="button" class="quiet" onClick={onClose}>
          {t("action.cancel")}
        </button>
        <button class="primary" disabled={!isReady}>
          {t("message.edit.save")}
        </button>
      </div>
    </form>
  );
}
