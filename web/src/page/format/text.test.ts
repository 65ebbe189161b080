import { expect, it } from "vitest";

import { folded, plain } from "./text.ts";

it.each([
  ["see [the page](https://example.org) **now**", "see the page now"],
  ["![a cat](https://example.org/c.png)", "a cat"],
  ["cut off in [a link](https://exam", "cut off in a link"],
  ["an array[0] stays", "an array[0] stays"],
])("removes the marks from %j", (text, expected) => {
  expect(plain(text)).toBe(expected);
});

it.each([
  ["Bücher", "bucher"],
  ["İstanbul", "ISTANBUL"],
  ["ΟΔΌΣ", "οδος"],
  ["Straße", "strasse"],
  ["cafe\u0301", "café"],
])("finds %j by %j", (title, query) => {
  expect(folded(title)).toBe(folded(query));
});

it("keeps vowels that are marks", () => {
  expect(folded("हिन्दी")).not.toBe(folded("हनद"));
});
