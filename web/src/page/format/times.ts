/** Formats times and days in the language of the page. */

import { signal } from "@preact/signals";

import { language, t } from "../i18n/index.ts";

/** Changes once a minute, to refresh relative times. */
const minute = signal(0);

/** Start the minute's timer. */
export function followClock(): void {
  setInterval(() => (minute.value += 1), 60_000);
}

const DAY = 86_400_000; // milliseconds

const formats = new Map<string, Intl.DateTimeFormat>();

function format(time: Date, options: Intl.DateTimeFormatOptions): string {
  const locale = navigator.languages.find((tag) => tag.startsWith(language())) ?? language();
  const key = locale + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.DateTimeFormat(locale, options)));
  return made.format(time);
}

/** For example "14:05". */
export function clock(time: string | number): string {
  return format(new Date(time), { hour: "numeric", minute: "2-digit" });
}

/** For example "Monday, 23 November 2026 at 14:05:09". */
export function exact(time: string | number): string {
  return format(new Date(time), { dateStyle: "full", timeStyle: "medium" });
}

/** For example "23 November 2026". */
export function date(time: string | number): string {
  return format(new Date(time), { dateStyle: "long" });
}

/** "Today", "Yesterday" or "Monday 16 November"; with the year if it is not the current one. */
export function day(time: string | number): string {
  const then = new Date(time);
  const days = Math.round((startOfDay(Date.now()) - startOfDay(then.getTime())) / DAY);
  if (days === 0) return t("time.today");
  if (days === 1) return t("time.yesterday");
  const thisYear = then.getFullYear() === new Date().getFullYear();
  return format(then, {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(thisYear ? {} : { year: "numeric" }),
  });
}

/** The shortest form, for a list: "14:05", "Mon", "16 Nov" or "16/11/25". */
export function brief(time: string): string {
  void minute.value; // subscribes the caller, so that it is rendered again
  const then = new Date(time);
  const age = startOfDay(Date.now()) - startOfDay(then.getTime());
  if (Math.abs(Date.now() - then.getTime()) < 60_000) return t("time.now");
  if (age < DAY) return clock(time);
  if (age < 6.5 * DAY) return format(then, { weekday: "short" });
  if (then.getFullYear() === new Date().getFullYear())
    return format(then, { day: "numeric", month: "short" });
  return format(then, { dateStyle: "short" });
}

/** Midnight of that day in local time, to compare days. */
export function startOfDay(time: string | number): number {
  return new Date(time).setHours(0, 0, 0, 0);
}
