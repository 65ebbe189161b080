import { describe, expect, it } from "vitest";

import { mended } from "./mend.ts";

describe("mended", () => {
  it.each([
    ["whole", "a **b** c", "a **b** c"],
    ["open strong", "a **b", "a **b**"],
    ["open strong, space at the end", "a **b ", "a **b** "],
    ["an opener with nothing behind it", "a **", "a "],
    ["nested", "**a *b", "**a *b***"],
    ["open code", "use `git", "use `git`"],
    ["marks inside open code", "`a * b", "`a * b`"],
    ["a bullet is no emphasis", "* one", "* one"],
    ["emphasis in a bullet", "* *one", "* *one*"],
    ["half a link", "see [the page](https://exa", "see the page"],
    ["half the text of a link", "see [the pa", "see the pa"],
    ["a whole link", "[a](https://b.c) d", "[a](https://b.c) d"],
    ["half an image", "see ![a pho", "see "],
    ["a fence that begins", "text\n``", "text"],
    ["escaped", "2 \\* 3", "2 \\* 3"],
  ])("%s", (_, source, expected) => {
    expect(mended(source)).toBe(expected);
  });
});
