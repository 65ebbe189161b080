/** Prints a whole chat: the page shows only the newest messages, so older ones are loaded first. */

import { useEffect } from "preact/hooks";

import type { Conversation } from "../../state/conversation.ts";
import { notify } from "../../state/notices.ts";
import type { Workspace } from "../../state/workspace.ts";
import { t } from "../../i18n/index.ts";

/** Load all messages of a chat, and open the browser's print dialog. */
export async function printChat(workspace: Workspace, conversation: Conversation): Promise<void> {
  const withdraw = conversation.hasOlder.peek() ? notify(t("chat.exporting")) : undefined;
  const isWhole = await workspace.attempt(async () => {
    while (conversation.hasOlder.peek()) await conversation.older();
  });
  withdraw?.();
  if (!isWhole) return;
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))); // the rows are rendered
  print();
}

/** Let the browser's print key print the whole chat. Its menu prints the messages that are loaded. */
export function usePrintKey(workspace: Workspace, conversation: Conversation): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isPrint = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "p";
      if (!isPrint || !conversation.hasOlder.peek()) return;
      event.preventDefault();
      void printChat(workspace, conversation);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [workspace, conversation]);
}
