/**
 * Scrolling of a conversation: it follows new messages at the end, keeps its place elsewhere, and does not jump when
 * older messages are inserted above.
 */

import { type Signal, useSignal } from "@preact/signals";
import { type RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

const AT_END = 80; // pixels from the end that count as the end
const LOADS_FROM = 900; // pixels from the beginning at which older messages are loaded

export interface Scrolling {
  readonly isAtEnd: Signal<boolean>;
  toEnd(): void;
}

interface Options {
  readonly scroller: RefObject<HTMLElement | null>;
  /** The growing element inside. */
  readonly content: RefObject<HTMLElement | null>;
  /** Changes when messages were inserted above. */
  readonly first: string | undefined;
  readonly isLoading: () => boolean;
  /** Load older messages, unless there are none or they are loading. */
  readonly loadOlder: () => void;
}

export function useScrolling({ scroller, content, first, isLoading, loadOlder }: Options): Scrolling {
  const isAtEnd = useSignal(true);
  const anchor = useRef<{ element: Element; top: number } | undefined>(undefined);
  const load = useRef(loadOlder);
  const loading = useRef(isLoading);
  load.current = loadOlder;
  loading.current = isLoading;

  const toEnd = () => {
    isAtEnd.value = true;
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  /** Save the first visible row and its position, to restore it later. */
  const saveAnchor = () => {
    const element = scroller.current;
    if (!element) return;
    const edge = element.getBoundingClientRect().top;
    const seen = [...element.querySelectorAll("[data-row]")].find(
      (row) => row.getBoundingClientRect().bottom > edge,
    );
    anchor.current = seen && { element: seen, top: seen.getBoundingClientRect().top };
  };

  useLayoutEffect(() => {
    const { current } = anchor;
    const element = scroller.current;
    if (!current || !element || isAtEnd.peek()) return;
    element.scrollTop += current.element.getBoundingClientRect().top - current.top;
    anchor.current = undefined;
  }, [first]);

  useEffect(() => {
    const element = scroller.current;
    if (!element || !content.current) return;
    let last = 0;
    const onScroll = () => {
      // Growing content also moves the end away: only a scroll upwards means that the user left the end.
      const { scrollTop: top } = element;
      if (element.scrollHeight - top - element.clientHeight < AT_END) isAtEnd.value = true;
      else if (top < last) isAtEnd.value = false;
      last = top;
      if (top < LOADS_FROM) load.current();
      if (loading.current())
        saveAnchor(); // again on arrival, because the user may scroll in between
      else anchor.current = undefined;
    };
    const grown = new ResizeObserver(() => {
      if (isAtEnd.peek()) element.scrollTop = element.scrollHeight;
    });
    grown.observe(content.current);
    grown.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    toEnd();
    return () => {
      grown.disconnect();
      element.removeEventListener("scroll", onScroll);
    };
  }, []);

  return { isAtEnd, toEnd };
}
