// @vitest-environment happy-dom
import { expect, it } from "vitest";

import { mentionAt } from "./mentions.tsx";

it.each([
  ["@el", 3, "el"],
  ["hi @", 4, ""],
  ["mail a@b", 8, undefined],
  ["@eliza hello", 12, undefined],
  ["@eliza hello", 4, "eli"],
])("finds the mention in %j at %i", (text, caret, expected) => {
  expect(mentionAt(text, caret)).toBe(expected);
});
