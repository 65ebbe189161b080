/** The page's texts. English is part of the first load; translations are loaded on demand. */

import { signal } from "@preact/signals";

import { en } from "./en.ts";

/** A text, or its forms by plural category of `n`. */
export type Text = string | Readonly<Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }>;
export type Key = keyof typeof en;
export type Texts = Readonly<Record<Key, Text>>;
export type Language = "en" | "de" | "ar";

/** The name of each language in that language. */
export const LANGUAGES: Readonly<Record<Language, string>> = { en: "English", de: "Deutsch", ar: "العربية" };

const LOADERS: Readonly<Record<Language, () => Promise<Texts>>> = {
  en: () => Promise.resolve(en),
  de: () => import("./de.ts").then((module) => module.de),
  ar: () => import("./ar.ts").then((module) => module.ar),
};

interface Spoken {
  readonly language: Language;
  readonly texts: Texts;
  readonly plural: Intl.PluralRules;
}

const current = signal<Spoken>({ language: "en", texts: en, plural: new Intl.PluralRules("en") });

/** The current language. A component that reads it is rendered again when it changes. */
export function language(): Language {
  return current.value.language;
}

export function isLanguage(name: string | null): name is Language {
  return name !== null && Object.hasOwn(LOADERS, name);
}

let wanted: Language = "en";

/** Load a language and switch to it. Resolves to false if another language was chosen in the meantime. */
export async function loadLanguage(language: Language): Promise<boolean> {
  wanted = language;
  const texts = await LOADERS[language]();
  if (wanted !== language) return false;
  current.value = { language, texts, plural: new Intl.PluralRules(language) };
  applyLanguage();
  return true;
}

/** Set the document's language and direction. */
export function applyLanguage(): void {
  document.documentElement.lang = language();
  document.documentElement.dir = language() === "ar" ? "rtl" : "ltr";
}

/** The text of a key; numbers are formatted in the language. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  const { language, texts, plural } = current.value;
  const text = texts[key];
  const form = typeof text === "string" ? text : (text[plural.select(Number(values.n))] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return typeof value === "number" ? value.toLocaleString(language) : (value ?? whole);
  });
}

/** The text for an error code. */
export function errorText(code: string): string {
  return t(hasErrorText(code) ? (`error.${code}` as Key) : "error.other");
}

/** Whether there is a text for an error code, so that users need not see the code. */
export function hasErrorText(code: string): boolean {
  return Object.hasOwn(en, `error.${code}`);
}
