/** Short notices at the edge of the page, and announcements for screen readers. */

import { signal } from "@preact/signals";

export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly tone: "plain" | "error";
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
}

const SHOWN_FOR = 6_000; // milliseconds
const OFFERED_FOR = 12_000; // milliseconds, for a notice with a button

export const notices = signal<readonly Notice[]>([]);
/** Read once by screen readers, politely. */
export const announcement = signal("");

let last = 0;
let isHeld = false;
/** Functions that restart a notice's timer, or stop it while notices are held; by the notice's id. */
const clocks = new Map<number, () => void>();

/** Show a notice for a while; the returned function removes it. `expired` is called if its button was not used. */
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
    isHeld &&= clocks.size > 0; // a removed element sends no leave event
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

/** Keep the notices while they have the pointer or the focus. */
export function hold(held: boolean): void {
  isHeld = held && clocks.size > 0;
  for (const begin of clocks.values()) begin();
}

/** Announce a text to screen readers, also if it equals the last one. */
export function announce(text: string): void {
  announcement.value = announcement.value === text ? `${text}\u00a0` : text;
}
