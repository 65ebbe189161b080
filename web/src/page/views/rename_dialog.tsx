/** Gives a chat another title. */

import { useSignal } from "@preact/signals";

import { useWorkspace } from "../context.ts";
import { t } from "../i18n/index.ts";
import { Dialog } from "./dialog.tsx";
import { Field } from "./login_screen.tsx";

export function RenameDialog({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
  const workspace = useWorkspace();
  const draft = useSignal(title);
  const save = async (event: Event) => {
    event.preventDefault();
    const wanted = draft.value.trim();
    const change = () =>
      workspace.client
        .call("update_chat", { session_id: id, title: wanted })
        .then(({ session }) => workspace.chats.put(session));
    if (wanted === title || (await workspace.attempt(change))) onClose();
  };
  return (
    <Dialog title={t("chat.rename.title")} onClose={onClose}>
      <form onSubmit={(event) => void save(event)}>
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
