/** Gives a chat another title. */

import { useSignal } from "@preact/signals";

import { asBackchatError } from "../../../client/errors.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { Problem } from "../controls/controls.tsx";
import { Dialog } from "./dialog.tsx";
import { Field } from "../account/login_screen.tsx";

export function RenameDialog({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
  const workspace = useWorkspace();
  const draft = useSignal(title);
  const problem = useSignal<string | undefined>(undefined);
  const save = async (event: Event) => {
    event.preventDefault();
    const wanted = draft.value.trim();
    if (wanted === title) return onClose();
    try {
      const { session } = await workspace.client.call("update_chat", { session_id: id, title: wanted });
      workspace.chats.put(session);
      onClose();
    } catch (thrown) {
      problem.value = asBackchatError(thrown).code;
    }
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
