/** Chooses the chatbot that answers from now on, in a chat with one chatbot. Only its owner may change it. */

import { useSignal } from "@preact/signals";

import type { Session } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { COMPACT } from "../../platform/route.ts";

export function ChatbotChoice({ session, isReplying }: { session: Session; isReplying: boolean }) {
  const { chatbots, chats, client, me, attempt } = useWorkspace();
  const busy = useSignal(false);
  const [current, ...others] = session.chatbots;
  const all = chatbots.value;
  if (
    COMPACT ||
    !current ||
    others.length ||
    session.owner_id !== me ||
    all.every(({ id }) => id === current.id)
  )
    return null;
  const choose = async (select: HTMLSelectElement) => {
    const [session_id, chatbot_id] = [session.id, select.value];
    busy.value = true;
    const isChanged = await attempt(async () => {
      await client.call("add_chatbot", { session_id, chatbot_id });
      const answer = await client.call("remove_chatbot", { session_id, chatbot_id: current.id });
      chats.put(answer.session);
    });
    if (!isChanged) select.value = current.id;
    busy.value = false;
  };
  return (
    <label class="answers soft">
      {t("composer.answers")}
      <select
        translate={false}
        value={current.id}
        disabled={busy.value || isReplying}
        onChange={(event) => void choose(event.currentTarget)}
      >
        {all.every(({ id }) => id !== current.id) && <option value={current.id}>{current.name}</option>}
        {all.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
