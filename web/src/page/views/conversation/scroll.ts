/**
 * Scrolling of a conversation: it follows new messages at the end, keeps its place elsewhere, and does not jump when
 * older messages are inserted above.
 */

import { type Signal, useSignal } from "@preact/signals";
import { type RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

const AT_END = 2; // pixels from the end within which fractions of a pixel are no scroll upwards
const NEAR_END = 80; // pixels from the end at which a scroll downwards has reached it
const INTENT = 400; // milliseconds after a wheel, key or finger in which the scroll that it causes arrives
const KEYS_UP = ["ArrowUp", "PageUp", "Home"];
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
    let leaving = 0; // time of the last attempt to scroll upwards
    const follow = () => {
      // Browsers animate wheel and keys: to follow growing content would cancel a small step before it is seen.
      if (!isAtEnd.peek() || Date.now() - leaving < INTENT) return;
      element.scrollTop = element.scrollHeight;
      last = element.scrollTop; // else a small step in the same frame would look like a scroll downwards
    };
    const leave = () => {
      leaving = Date.now();
      setTimeout(follow, INTENT + 50); // nothing has scrolled
    };
    const onScroll = () => {
      // Growing content also moves the end away: only a scroll upwards means that the user left the end.
      const { scrollTop: top } = element;
      const left = element.scrollHeight - top - element.clientHeight;
      if (top < last && left > AT_END) isAtEnd.value = false;
      else if (left <= AT_END || (top > last && left < NEAR_END)) isAtEnd.value = true;
      last = top;
      if (top < LOADS_FROM) load.current();
      if (loading.current())
        saveAnchor(); // again on arrival, because the user may scroll in between
      else anchor.current = undefined;
    };
    let finger = 0;
    const intents: Partial<{ [E in keyof HTMLElementEventMap]: (event: HTMLElementEventMap[E]) => void }> = {
      scroll: onScroll,
      wheel: ({ deltaY }) => deltaY < 0 && leave(),
      keydown: ({ key, shiftKey }) => {
        if (KEYS_UP.includes(key) || (key === " " && shiftKey)) leave();
        else if (key === "End") toEnd(); // the browser's scroll to a growing end would arrive too late
      },
      touchstart: ({ touches }) => (finger = touches[0]?.clientY ?? 0),
      touchmove: ({ touches }) => (touches[0]?.clientY ?? 0) > finger && leave(),
    };
    const stop = new AbortController();
    for (const [name, listener] of Object.entries(intents))
      element.addEventListener(name, listener as EventListener, { passive: true, signal: stop.signal });
    const grown = new ResizeObserver(follow);
    grown.observe(content.current);
    grown.observe(element);
    toEnd();
    return () => {
      grown.disconnect();
      stop.abort();
    };
  }, []);

  return { isAtEnd, toEnd };
}
