/** Reports the user's read mark and typing state to other members. */

import { useEffect, useMemo } from "preact/hooks";

import type { Client } from "../../../client/index.ts";
import type { Conversation } from "../../state/conversation.ts";
import type { Workspace } from "../../state/workspace.ts";

const READ_AFTER = 400; // milliseconds in view
const TYPING_AGAIN = 3_000; // milliseconds after which typing is reported again
const TYPING_ENDS = 5_000; // milliseconds without a key

/** Report everything as read while the chat is in view. */
export function useReadMark({ client, chats, connection }: Workspace, conversation: Conversation): void {
  const newest = Math.max(
    conversation.session.value?.last_seq ?? 0,
    chats.find(conversation.id)?.last_seq ?? 0,
  );
  const isOnline = connection.value === "online";
  useEffect(() => {
    if (!isOnline || newest === 0) return;
    const report = () => {
      if (document.visibilityState !== "visible") return;
      if ((chats.find(conversation.id)?.read_seq ?? 0) >= newest) return;
      chats.read(conversation.id, newest);
      void client.call("mark_read", { session_id: conversation.id, seq: newest }).catch(() => undefined);
    };
    const timer = setTimeout(report, READ_AFTER);
    document.addEventListener("visibilitychange", report);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", report);
      report(); // leaving the chat also reports it as read
    };
  }, [newest, isOnline, conversation]);
}

/** Returns a function that reports typing. Nothing is sent while no other member is present. */
export function useTypingMark(client: Client, conversation: Conversation): (typing: boolean) => void {
  const mark = useMemo(() => {
    let reportedAt = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const report = (typing: boolean) => {
      reportedAt = typing ? Date.now() : 0;
      void client.call("set_typing", { session_id: conversation.id, typing }).catch(() => undefined);
    };
    return (typing: boolean) => {
      clearTimeout(timer);
      if ((conversation.session.peek()?.users.length ?? 1) < 2) return;
      if (typing && Date.now() - reportedAt > TYPING_AGAIN) report(true);
      else if (!typing && reportedAt) report(false);
      if (typing) timer = setTimeout(() => mark(false), TYPING_ENDS);
    };
  }, [client, conversation]);
  useEffect(() => () => mark(false), [mark]);
  return mark;
}
