import { describe, expect, it } from "vitest";

import { withClosedMarks } from "./open_marks.ts";

describe("withClosedMarks", () => {
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
    ["a link without its address yet", "see [the page]", "see the page"],
    ["half a box", "- [x", "- "],
    ["a whole link", "[a](https://b.c) d", "[a](https://b.c) d"],
    ["half an image", "see ![a pho", "see "],
    ["a fence that begins", "text\n``", "text"],
    ["a list that begins below a line", "such as:\n-", "such as:"],
    ["a bullet that begins", "- one\n*", "- one"],
    ["the head of a table", "see\n| a | b |", "see"],
    ["the line below the head", "| a | b |\n|-", "| a | b |\n|-|-|"],
    ["a column that holds a bar", "| a \\| b | c |\n|", "| a \\| b | c |\n|-|-|"],
    ["no table after all", "| a\n| b", "| a\n| b"],
    ["half the mark that closes", "~~gone~", "~~gone~~"],
    ["about", "in ~5 minutes", "in ~5 minutes"],
    ["open emphasis with a line below", "an _open word", "an _open word_"],
    ["a line below that begins", "an _", "an "],
    ["a name with lines below", "call get_all_ids now", "call get_all_ids now"],
    ["escaped", "2 \\* 3", "2 \\* 3"],
  ])("%s", (_, source, expected) => {
    expect(withClosedMarks(source)).toBe(expected);
  });
});
