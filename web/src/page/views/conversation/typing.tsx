/** Members that are typing or thinking. */

import type { Conversation } from "../../state/conversation.ts";
import { t } from "../../i18n/index.ts";
import { chatbotName } from "../../format/names.ts";
import { Avatar } from "../controls/avatar.tsx";
import { Dots } from "../controls/controls.tsx";

export function Typing({ conversation }: { conversation: Conversation }) {
  const session = conversation.session.value;
  const isReplying = conversation.rows.value.some((row) => !row.message);
  const all = conversation.typists.value;
  const bots = isReplying ? [] : all.filter((each) => each.type === "chatbot");
  const users = all.filter((each) => each.type === "user");
  if (conversation.isUnattended.value && !isReplying)
    return (
      <p class="typing unattended soft" role="status" translate={false}>
        {t("message.unattended")}
      </p>
    );
  return (
    <>
      {bots.map(({ id }) => (
        <Thinking key={id} id={id} name={chatbotName(id, session)} />
      ))}
      {users.length > 0 && (
        <p class="typing soft" translate={false}>
          <Dots />
          {users.length === 1
            ? t("message.typing", { name: users[0]?.id ?? "" })
            : t("message.typing.several", { n: users.length })}
        </p>
      )}
    </>
  );
}

function Thinking({ id, name }: { id: string; name: string }) {
  return (
    <div class="row reply thinking">
      <Avatar id={id} name={name} kind="chatbot" />
      <p class="soft" translate={false}>
        <Dots />
        {t("message.thinking", { name })}
      </p>
    </div>
  );
}
