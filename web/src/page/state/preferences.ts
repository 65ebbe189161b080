/** Preferences, stored in this browser. `public/before-paint.js` reads them before the first paint. */

import { signal } from "@preact/signals";

import { isLanguage, type Language, loadLanguage } from "../i18n/index.ts";

export type Theme = "system" | "light" | "dark";

/** A value of `localStorage`; null if that is forbidden. */
export function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function store(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Without storage the preference lasts until the page is closed.
  }
}

export const theme = signal<Theme>(asTheme(stored("backchat.theme")));

export function setTheme(value: Theme): void {
  theme.value = value;
  store("backchat.theme", value === "system" ? null : value);
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
}

/** Rejects if the language cannot be loaded. */
export async function setLanguage(language: Language): Promise<void> {
  if (await loadLanguage(language)) store("backchat.language", language);
}

/** The language chosen before, else the browser's, else English. */
export function preferredLanguage(): Language {
  for (const name of [stored("backchat.language"), ...navigator.languages.map((tag) => tag.slice(0, 2))]) {
    if (isLanguage(name)) return name;
  }
  return "en";
}

function asTheme(name: string | null): Theme {
  return name === "light" || name === "dark" ? name : "system";
}
