/** The header of a chat: title, members, menu. */

import { useSignal } from "@preact/signals";

import { useWorkspace } from "../../state/context.ts";
import type { Conversation } from "../../state/conversation.ts";
import { exportChat } from "../../format/export.ts";
import { t } from "../../i18n/index.ts";
import { titleOf } from "../../format/names.ts";
import { notify } from "../../state/notices.ts";
import { printChat, usePrintKey } from "./print.ts";
import { COMPACT, go } from "../../platform/route.ts";
import { Avatar } from "../controls/avatar.tsx";
import { IconButton, Menu, type MenuItem } from "../controls/controls.tsx";
import { lazy } from "../controls/lazy.tsx";

const RenameDialog = lazy(() => import("../dialogs/rename_dialog.tsx").then((module) => module.RenameDialog));
const PeopleDialog = lazy(() => import("../dialogs/people_dialog.tsx").then((module) => module.PeopleDialog));

export function ChatHead({ conversation }: { conversation: Conversation }) {
  const workspace = useWorkspace();
  const session = conversation.session.value ?? workspace.chats.find(conversation.id);
  const dialog = useSignal<"people" | "rename" | undefined>(undefined);
  const close = () => (dialog.value = undefined);
  usePrintKey(workspace, conversation);
  const isOwner = session?.owner_id === workspace.me;
  const save = (form: "markdown" | "json") => {
    if (!session) return;
    notify(t("chat.exporting"));
    void workspace.attempt(() => exportChat(workspace.client, session, form));
  };
  const items: MenuItem[] = [
    { icon: "edit", label: t("chat.rename"), run: () => (dialog.value = "rename") },
    // A visitor of another site chats with its chatbot: members, invites and policy are not theirs to decide.
    ...(COMPACT
      ? []
      : [{ icon: "people" as const, label: t("chat.people"), run: () => (dialog.value = "people") }]),
    { icon: "download", label: t("chat.export.markdown"), run: () => save("markdown") },
    { icon: "download", label: t("chat.export.json"), run: () => save("json") },
    { icon: "print", label: t("chat.print"), run: () => void printChat(workspace, conversation) },
    ...(COMPACT && workspace.login.isGuest
      ? [{ icon: "gear" as const, label: t("guest.keep"), run: () => go({ name: "account" }) }]
      : []),
    {
      icon: isOwner ? "trash" : "leave",
      label: t(isOwner ? "chat.delete" : "chat.leave"),
      run: () => workspace.remove(conversation.id),
      danger: true,
    },
  ];
  const everybody = [
    ...(session?.chatbots ?? []).map((each) => ({ ...each, kind: "chatbot" as const })),
    ...(session?.users ?? []).map((id) => ({
      id,
      name: id,
      kind: "user" as const,
      isHere: id !== workspace.me && conversation.present.value.includes(id),
    })),
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
      <h1 dir="auto" translate={false}>
        {session ? (
          titleOf(session)
        ) : (
          <span class="bone" style={{ width: "9rem" }}>
            <span class="unseen">{t("chat.loading")}</span>
          </span>
        )}
      </h1>
      {!COMPACT && (
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
          {everybody.length > 4 && (
            <span class="soft" translate={false}>
              +{everybody.length - 4}
            </span>
          )}
        </button>
      )}
      <Menu label={t("chat.menu")} items={items} />
      {dialog.value === "people" && session && (
        <PeopleDialog session={session} present={conversation.present.value} onClose={close} />
      )}
      {dialog.value === "rename" && session && (
        <RenameDialog id={session.id} title={session.title ?? ""} onClose={close} />
      )}
    </header>
  );
}
