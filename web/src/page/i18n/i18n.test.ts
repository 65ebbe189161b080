// @vitest-environment happy-dom
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import { ar } from "./ar.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { errorText, type Key, speak, t, type Text } from "./index.ts";

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
  it("has every text, and no other", () => {
    expect(Object.keys(texts).sort()).toEqual(Object.keys(en).sort());
  });

  it.each(Object.keys(en) as Key[])("fills in the same values: %s", (key) => {
    expect(formsOf(texts[key]).every((form) => form.trim() !== "")).toBe(true);
    expect(placesOf(texts[key])).toEqual(placesOf(en[key]));
  });
});

describe("the page", () => {
  it("uses every text that there is", () => {
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
  afterEach(() => speak("en"));

  it("chooses the form by number, and writes numbers as the language does", async () => {
    expect(t("chat.latest.new", { n: 1 })).toBe("1 new message");
    expect(t("chat.latest.new", { n: 1200 })).toBe("1,200 new messages");
    await speak("ar");
    expect(t("chat.latest.new", { n: 2 })).toBe("رسالتان جديدتان");
  });

  it("keeps to the language that was wanted last, whichever comes first", async () => {
    const slow = speak("de");
    expect(await speak("en")).toBe(true);
    expect(await slow).toBe(false);
    expect(t("login.submit")).toBe("Log in");
    expect(document.documentElement.lang).toBe("en");
  });

  it("turns the page around", async () => {
    await speak("ar");
    expect([document.documentElement.dir, document.documentElement.lang]).toEqual(["rtl", "ar"]);
    await speak("de");
    expect(document.documentElement.dir).toBe("ltr");
  });

  it("has something to say about a code that it does not know", () => {
    expect(errorText("brand_new")).toBe(en["error.other"]);
  });
});
