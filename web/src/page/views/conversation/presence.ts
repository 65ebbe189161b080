/** What others see of somebody who is looking and writing: how far they have read, and that they are typing. */

import { useEffect, useMemo } from "preact/hooks";

import type { Client } from "../../../client/index.ts";
import type { Conversation } from "../../state/conversation.ts";
import type { Workspace } from "../../state/workspace.ts";

const READ_AFTER = 400; // milliseconds in view
const TYPING_AGAIN = 3_000; // milliseconds after which typing is told again
const TYPING_ENDS = 5_000; // milliseconds without a key

/** Tell that everything is read, whenever a chat is looked at. */
export function useReadMark({ client, chats, connection }: Workspace, conversation: Conversation): void {
  const newest = Math.max(
    conversation.session.value?.last_seq ?? 0,
    chats.find(conversation.id)?.last_seq ?? 0,
  );
  const isOnline = connection.value === "online";
  useEffect(() => {
    if (!isOnline || newest === 0) return;
    const tell = () => {
      if (document.visibilityState !== "visible") return;
      if ((chats.find(conversation.id)?.read_seq ?? 0) >= newest) return;
      chats.read(conversation.id, newest);
      void client.call("mark_read", { session_id: conversation.id, seq: newest }).catch(() => undefined);
    };
    const timer = setTimeout(tell, READ_AFTER);
    document.addEventListener("visibilitychange", tell);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", tell);
      tell(); // who leaves has seen it
    };
  }, [newest, isOnline, conversation]);
}

/** What tells others that one is typing. Nobody is told where nobody else is. */
export function useTypingMark(client: Client, conversation: Conversation): (typing: boolean) => void {
  const mark = useMemo(() => {
    let toldAt = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tell = (typing: boolean) => {
      toldAt = typing ? Date.now() : 0;
      void client.call("set_typing", { session_id: conversation.id, typing }).catch(() => undefined);
    };
    return (typing: boolean) => {
      clearTimeout(timer);
      if ((conversation.session.peek()?.users.length ?? 1) < 2) return;
      if (typing && Date.now() - toldAt > TYPING_AGAIN) tell(true);
      else if (!typing && toldAt) tell(false);
      if (typing) timer = setTimeout(() => mark(false), TYPING_ENDS);
    };
  }, [client, conversation]);
  useEffect(() => () => mark(false), [mark]);
  return mark;
}
