/** Scrolls to a message that was searched for, and loads history until it is there. */

import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

import { useWorkspace } from "../../state/context.ts";
import type { Conversation } from "../../state/conversation.ts";
import type { Scrolling } from "./scroll.ts";

const PAGES = 100; // maximum number of pages to load
const MARKED_FOR = 2_500; // milliseconds

export function useTarget(
  conversation: Conversation,
  scroller: RefObject<HTMLElement | null>,
  scrolling: Scrolling,
): void {
  const { target } = useWorkspace();
  const wanted = target.value;
  const isReady = conversation.state.value === "ready";
  useEffect(() => {
    if (!wanted || wanted.session_id !== conversation.id || !isReady) return;
    let isCurrent = true;
    const find = async () => {
      for (let page = 0; page < PAGES && conversation.hasOlder.peek(); page += 1) {
        if ((conversation.messages.peek()[0]?.seq ?? 0) <= wanted.seq) break;
        await conversation.older();
        if (!isCurrent) return;
      }
      target.value = undefined;
      requestAnimationFrame(() =>
        show(scroller.current?.querySelector(`[data-row="${CSS.escape(wanted.id)}"]`)),
      );
    };
    const show = (row: Element | null | undefined) => {
      if (!row) return;
      scrolling.isAtEnd.value = false;
      row.scrollIntoView({ block: "center" });
      row.classList.add("found");
      setTimeout(() => row.classList.remove("found"), MARKED_FOR);
    };
    find().catch(() => undefined); // the banner reports a lost connection
    return () => {
      isCurrent = false;
    };
  }, [wanted, isReady, conversation]);
}
