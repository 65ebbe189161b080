/**
 * How a conversation scrolls: it follows what is new while one is at its end, stays where it is otherwise, and does
 * not jump when older messages are put above.
 */

import { type Signal, useSignal } from "@preact/signals";
import { type RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

const AT_END = 80; // pixels from the end that still count as being there
const LOADS_FROM = 900; // pixels from the beginning at which older messages are fetched

export interface Scrolling {
  readonly isAtEnd: Signal<boolean>;
  toEnd(): void;
}

interface Options {
  readonly scroller: RefObject<HTMLElement | null>;
  /** The element inside that grows. */
  readonly content: RefObject<HTMLElement | null>;
  /** Changes whenever messages were put above what was shown. */
  readonly first: string | undefined;
  readonly isLoading: () => boolean;
  /** Fetch older messages, if there are any and they are not on their way. */
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
  /** Remember what is seen first, so that it can be put where it was. */
  const remember = () => {
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
      // Growing takes one away from the end, too: only who has gone up wants to stay there.
      const { scrollTop: top } = element;
      if (element.scrollHeight - top - element.clientHeight < AT_END) isAtEnd.value = true;
      else if (top < last) isAtEnd.value = false;
      last = top;
      if (top < LOADS_FROM) load.current();
      if (loading.current())
        remember(); // until they have come, as one may scroll on
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
