/** Texts in the language of the page. English comes with the page; the others are loaded when they are asked for. */

import { signal } from "@preact/signals";

import { en } from "./en.ts";

/** A text, or its forms by plural category of `n`. */
export type Text = string | Readonly<Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }>;
export type Key = keyof typeof en;
export type Texts = Readonly<Record<Key, Text>>;
export type Language = "en" | "de" | "ar";

/** What each language calls itself. */
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

const spoken = signal<Spoken>({ language: "en", texts: en, plural: new Intl.PluralRules("en") });

/** The language in use; reading it in a component makes it follow. */
export function language(): Language {
  return spoken.value.language;
}

export function isLanguage(name: string | null): name is Language {
  return name !== null && Object.hasOwn(LOADERS, name);
}

let wanted: Language = "en";

/** Speak a language from now on. Resolves to whether it is spoken: another one may be wanted by when it comes. */
export async function speak(language: Language): Promise<boolean> {
  wanted = language;
  const texts = await LOADERS[language]();
  if (wanted !== language) return false;
  spoken.value = { language, texts, plural: new Intl.PluralRules(language) };
  turn();
  return true;
}

/** Have the page say which language it is in, and turn it in the direction of that one. */
export function turn(): void {
  document.documentElement.lang = language();
  document.documentElement.dir = language() === "ar" ? "rtl" : "ltr";
}

/** The text of a key; numbers are written as the language does. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  const { language, texts, plural } = spoken.value;
  const text = texts[key];
  const form = typeof text === "string" ? text : (text[plural.select(Number(values.n))] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return typeof value === "number" ? value.toLocaleString(language) : (value ?? whole);
  });
}

/** What to tell people about an error of this code. */
export function errorText(code: string): string {
  const key = `error.${code}`;
  return t(Object.hasOwn(en, key) ? (key as Key) : "error.other");
}
