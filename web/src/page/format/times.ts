/** Times and days as people say them, in the language of the page. */

import { signal } from "@preact/signals";

import { language, t } from "../i18n/index.ts";

/** Ticks once a minute, so that "now" does not stay. */
const minute = signal(0);

/** Let the minutes pass, from when the page starts. */
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

/** 14:05 */
export function clock(time: string | number): string {
  return format(new Date(time), { hour: "numeric", minute: "2-digit" });
}

/** Monday, 23 November 2026 at 14:05:09 */
export function exact(time: string | number): string {
  return format(new Date(time), { dateStyle: "full", timeStyle: "medium" });
}

/** 23 November 2026 */
export function date(time: string | number): string {
  return format(new Date(time), { dateStyle: "long" });
}

/** Today, Yesterday, Monday 16 November; with the year where it is another one. */
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

/** As short as can be, for a list: 14:05, Mon, 16 Nov, 16/11/25. */
export function brief(time: string): string {
  void minute.value; // whoever shows it is shown anew
  const then = new Date(time);
  const age = startOfDay(Date.now()) - startOfDay(then.getTime());
  if (Math.abs(Date.now() - then.getTime()) < 60_000) return t("time.now");
  if (age < DAY) return clock(time);
  if (age < 6.5 * DAY) return format(then, { weekday: "short" });
  if (then.getFullYear() === new Date().getFullYear())
    return format(then, { day: "numeric", month: "short" });
  return format(then, { dateStyle: "short" });
}

/** The day that a time falls on here, as something to compare. */
export function startOfDay(time: string | number): number {
  return new Date(time).setHours(0, 0, 0, 0);
}
