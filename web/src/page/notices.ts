/** Short notices at the edge of the page, and what screen readers are told. */

import { signal } from "@preact/signals";

export interface Notice {
  readonly id: number;
  readonly text: string;
  readonly tone: "plain" | "error";
  readonly action?: { readonly label: string; readonly run: () => void } | undefined;
}

const SHOWN_FOR = 6_000; // milliseconds

export const notices = signal<readonly Notice[]>([]);
/** Said once by screen readers, politely. */
export const announcement = signal("");

let last = 0;

/** Show a notice for a while; the returned function takes it away. `expired` is told when nobody acted on it. */
export function notify(
  text: string,
  options: { tone?: Notice["tone"]; action?: Notice["action"]; expired?: () => void } = {},
): () => void {
  const id = ++last;
  const remove = () => {
    clearTimeout(timer);
    notices.value = notices.value.filter((notice) => notice.id !== id);
  };
  const action = options.action && {
    label: options.action.label,
    run: () => {
      remove();
      options.action?.run();
    },
  };
  notices.value = [...notices.value.slice(-2), { id, text, tone: options.tone ?? "plain", action }];
  const timer = setTimeout(() => {
    remove();
    options.expired?.();
  }, SHOWN_FOR);
  return remove;
}

/** Have screen readers say something; the same text again is said again. */
export function announce(text: string): void {
  announcement.value = announcement.value === text ? `${text}\u00a0` : text;
}
