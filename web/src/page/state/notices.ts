/** Short notices at the edge of the page, and what screen readers are told. */

import { signal } from "@preact/signals";

export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly tone: "plain" | "error";
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
}

const SHOWN_FOR = 6_000; // milliseconds
const OFFERED_FOR = 12_000; // milliseconds that there are to press a notice's button

export const notices = signal<readonly Notice[]>([]);
/** Said once by screen readers, politely. */
export const announcement = signal("");

let last = 0;
let isHeld = false;
/** What lets a notice begin its time anew, or not while they are held; by its id. */
const clocks = new Map<number, () => void>();

/** Show a notice for a while; the returned function takes it away. `expired` is told when nobody acted on it. */
export function notify(
  text: string,
  options: { tone?: Notice["tone"]; action?: Notice["action"]; expired?: () => void } = {},
): () => void {
  const id = ++last;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const remove = () => {
    clearTimeout(timer);
    clocks.delete(id);
    notices.value = notices.value.filter((notice) => notice.id !== id);
    isHeld &&= clocks.size > 0; // what goes away is left without a word
  };
  const expire = () => {
    remove();
    options.expired?.();
  };
  const begin = () => {
    clearTimeout(timer);
    if (!isHeld) timer = setTimeout(expire, options.action ? OFFERED_FOR : SHOWN_FOR);
  };
  const action = options.action && {
    label: options.action.label,
    run: () => {
      remove();
      options.action?.run();
    },
  };
  notices.value = [...notices.value.slice(-2), { id, text, tone: options.tone ?? "plain", action }];
  clocks.set(id, begin);
  begin();
  return remove;
}

/** Keep the notices as long as somebody points at them or has the focus there. */
export function hold(held: boolean): void {
  isHeld = held && clocks.size > 0;
  for (const begin of clocks.values()) begin();
}

/** Have screen readers say something; the same text again is said again. */
export function announce(text: string): void {
  announcement.value = announcement.value === text ? `${text}\u00a0` : text;
}
