import { expect, it } from "vitest";

import { titleFrom } from "./titles.ts";

it.each([
  ["Where is **my** order?", "Where is my order?"],
  ["  two\n\nlines\t", "two lines"],
  ["می‌خواهم", "می‌خواهم"], // with a zero-width non-joiner
  ["👩‍👩‍👧", "👩‍👩‍👧"],
  ["", ""],
])("takes a title of one line from %j", (content, title) => {
  expect(titleFrom(content)).toBe(title);
});

it.each([
  [`${"word ".repeat(20)}`, `${"word ".repeat(11).trim()}…`],
  [`${"字".repeat(80)}`, `${"字".repeat(59)}…`],
  [`${"a".repeat(58)}👍🏽!!`, `${"a".repeat(58)}…`], // the thumb keeps its colour, or goes
])("cuts %j between words or visible characters", (content, title) => {
  expect(titleFrom(content)).toBe(title);
});
