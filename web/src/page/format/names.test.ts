import { expect, it } from "vitest";

import { initialsOf } from "./names.ts";

it.each([
  ["ada", "ad"],
  ["ada.lovelace", "al"],
  ["👩‍👩‍👧 team", "👩‍👩‍👧t"],
  ["🇩🇪", "🇩🇪"],
  ["e\u0301mile", "e\u0301m"],
  ["---", "?"],
])("returns initials for %j", (name, expected) => {
  expect(initialsOf(name)).toBe(expected);
});
