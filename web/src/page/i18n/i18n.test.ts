// @vitest-environment happy-dom
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import { ar } from "./ar.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { errorText, type Key, loadLanguage, t, type Text } from "./index.ts";

const SOURCES = join(import.meta.dirname, "..");

function formsOf(text: Text): string[] {
  return typeof text === "string" ? [text] : Object.values(text);
}

function placesOf(text: Text): string[] {
  return [...new Set(formsOf(text).flatMap((form) => form.match(/\{\w+\}/g) ?? []))].sort();
}

describe.each([
  ["German", de],
  ["Arabic", ar],
])("%s", (_, texts) => {
  it("has every text, and no others", () => {
    expect(Object.keys(texts).sort()).toEqual(Object.keys(en).sort());
  });

  it.each(Object.keys(en) as Key[])("uses the same placeholders: %s", (key) => {
    expect(formsOf(texts[key]).every((form) => form.trim() !== "")).toBe(true);
    expect(placesOf(texts[key])).toEqual(placesOf(en[key]));
  });
});

describe("the page", () => {
  it("uses every text", () => {
    const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" }).filter(
      (name) => /\.tsx?$/.test(name) && !name.startsWith("i18n/"),
    );
    const code = files.map((name) => readFileSync(join(SOURCES, name), "utf8")).join();
    const unused = Object.keys(en).filter(
      (key) => !code.includes(`"${key}"`) && !/^(error|people\.policy)\./.test(key),
    );
    expect(unused).toEqual([]);
  });
});

describe("speaking", () => {
  afterEach(() => loadLanguage("en"));

  it("chooses the form by number, and writes numbers as the language does", async () => {
    expect(t("chat.latest.new", { n: 1 })).toBe("1 new message");
    expect(t("chat.latest.new", { n: 1200 })).toBe("1,200 new messages");
    await loadLanguage("ar");
    expect(t("chat.latest.new", { n: 2 })).toBe("رسالتان جديدتان");
  });

  it("shows the language chosen last, whichever loads first", async () => {
    const slow = loadLanguage("de");
    expect(await loadLanguage("en")).toBe(true);
    expect(await slow).toBe(false);
    expect(t("login.submit")).toBe("Log in");
    expect(document.documentElement.lang).toBe("en");
  });

  it("changes the page's direction", async () => {
    await loadLanguage("ar");
    expect([document.documentElement.dir, document.documentElement.lang]).toEqual(["rtl", "ar"]);
    await loadLanguage("de");
    expect(document.documentElement.dir).toBe("ltr");
  });

  it("has a text for an unknown error code", () => {
    expect(errorText("brand_new")).toBe(en["error.other"]);
  });
});
