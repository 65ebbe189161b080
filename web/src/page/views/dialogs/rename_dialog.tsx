/** Changes the title of a chat. */

import { useSignal } from "@preact/signals";

import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { useAttempt } from "../controls/attempt.ts";
import { Problem } from "../controls/controls.tsx";
import { Dialog } from "./dialog.tsx";
import { Field } from "../account/login_screen.tsx";

export function RenameDialog({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
  const workspace = useWorkspace();
  const draft = useSignal(title);
  const { problem, attempt } = useAttempt();
  const save = (event: Event) => {
    event.preventDefault();
    const wanted = draft.value.trim();
    if (wanted === title) return onClose();
    void attempt(async () => {
      const { session } = await workspace.client.call("update_chat", { session_id: id, title: wanted });
      workspace.chats.put(session);
      onClose();
    });
  };
  return (
    <Dialog title={t("chat.rename.title")} onClose={onClose}>
      <form onSubmit={save}>
        <Field label={t("chat.rename.label")}>
          {(field) => (
            <input
              {...field}
              dir="auto"
              required
              maxLength={200}
              value={draft.value}
              onInput={(event) => (draft.value = event.currentTarget.value)}
            />
          )}
        </Field>
        {problem.value && <Problem code={problem.value} />}
        <div class="buttons">
          <button type="button" class="quiet" onClick={onClose}>
            {t("action.cancel")}
          </button>
          <button class="primary">{t("action.save")}</button>
        </div>
      </form>
    </Dialog>
  );
}
