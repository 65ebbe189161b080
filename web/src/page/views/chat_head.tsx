/** The head of a chat: its title, who is in it, and what can be done with it. */

import { useSignal } from "@preact/signals";

import { useWorkspace } from "../context.ts";
import type { Conversation } from "../conversation.ts";
import { exportChat } from "../export.ts";
import { t } from "../i18n/index.ts";
import { titleOf } from "../names.ts";
import { notify } from "../notices.ts";
import { COMPACT, go } from "../route.ts";
import { Avatar } from "./avatar.tsx";
import { Dialog, IconButton, Menu, type MenuItem } from "./controls.tsx";
import { Field } from "./login_screen.tsx";
import { PeopleDialog } from "./people_dialog.tsx";

export function ChatHead({ conversation }: { conversation: Conversation }) {
  const workspace = useWorkspace();
  const session = conversation.session.value ?? workspace.chats.find(conversation.id);
  const dialog = useSignal<"people" | "rename" | undefined>(undefined);
  const close = () => (dialog.value = undefined);
  const isOwner = session?.owner_id === workspace.me;
  const save = (form: "markdown" | "json") => {
    if (!session) return;
    notify(t("chat.exporting"));
    void workspace.attempt(() => exportChat(workspace.client, session, form));
  };
  const items: MenuItem[] = [
    { icon: "edit", label: t("chat.rename"), run: () => (dialog.value = "rename") },
    { icon: "people", label: t("chat.people"), run: () => (dialog.value = "people") },
    { icon: "download", label: t("chat.export.markdown"), run: () => save("markdown") },
    { icon: "download", label: t("chat.export.json"), run: () => save("json") },
    {
      icon: isOwner ? "trash" : "leave",
      label: t(isOwner ? "chat.delete" : "chat.leave"),
      run: () => workspace.remove(conversation.id),
      danger: true,
    },
  ];
  const everybody = [
    ...(session?.chatbots ?? []).map((each) => ({ ...each, kind: "chatbot" as const })),
    ...(session?.users ?? []).map((id) => ({ id, name: id, kind: "user" as const })),
  ];
  return (
    <header class="chat-head">
      {COMPACT ? (
        <IconButton icon="plus" label={t("chats.new")} onClick={() => go({ name: "new" })} />
      ) : (
        <IconButton
          icon="back"
          label={t("chat.back")}
          class="to-list"
          mirrored
          onClick={() => go({ name: "home" })}
        />
      )}
      <h1 dir="auto">{session ? titleOf(session) : <span class="bone" style={{ width: "9rem" }} />}</h1>
      <button
        type="button"
        class="everybody"
        aria-label={`${t("chat.people")}: ${t("chat.members", { n: everybody.length })}`}
        title={t("chat.people")}
        onClick={() => (dialog.value = "people")}
      >
        {everybody.slice(0, 4).map((each) => (
          <Avatar key={each.kind + each.id} {...each} />
        ))}
        {everybody.length > 4 && <span class="soft">+{everybody.length - 4}</span>}
      </button>
      <Menu label={t("chat.menu")} items={items} />
      {dialog.value === "people" && session && <PeopleDialog session={session} onClose={close} />}
      {dialog.value === "rename" && session && (
        <RenameDialog id={session.id} title={session.title ?? ""} onClose={close} />
      )}
    </header>
  );
}

function RenameDialog({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
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
