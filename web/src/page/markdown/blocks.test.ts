// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import type { Tokens } from "marked";

import { Blocks } from "./blocks.ts";
import { MarkdownView } from "./view.ts";

const LONG = "A line of words that goes on, with **bold** and 2 * 3 = 6\n".repeat(12);
const CORPUS = [
  "# Title\n\nSome **strong** and *soft* words, `code` and a [link](https://example.org).\n\n- one\n- two\n  - deep\n\nEnd.",
  "Before\n\n```python\ndef f(x):\n    return x * 2\n\nprint(f(2))\n```\n\nAfter ~~that~~.",
  "| a | b |\n|---|:-:|\n| 1 | 2 |\n\n> quoted\n> twice\n\n1. first\n2. second",
  "Emoji 👩‍👩‍👧 and عربي and 日本語 **mixed 👍**\n\n---\n\n<b>not html</b> <script>alert(1)</script>",
  "***both*** __under__ _single_ * lone star\n\n    indented code\n\nSetext\n===\n\n![img](https://x.y/z.png)",
  "7. seven\n8. eight\n   - deep\n\n   ```js\n   let a = 1;\n   ```\n\n9. nine\n\n   more\n10. ten\n\nEnd of it.",
  "| n | text |\n|--:|:--|\n| 1 | a **b** |\n| 2 | `c\\|d` |\n| 3 | e |\n| 4 | f |\n\n* x\n* y\n- z\n- w\n\n> a\n>\n> - b\n> - c",
  "Let $a_1 = 2$ and \\(b^{*} * c^{*}\\).\n\n\\[\nx\n= y\n\\]\n\n$$\n- a\n$$\n\nCosts $5 or $6.",
  "A note[^1] and[^b] another[^no].\n\n[^1]: The *first*.\n[^b]: Second\n    goes on.\n\nA [link][x].\n\n[x]: https://example.org",
  "- [x] done\n- [ ] open\n\n- [x] loose\n- plain",
  `${LONG}\n${LONG}the end of ${"plain words ".repeat(60)}`,
  `${"A **bold** word, a [link](https://example.org), `code`, $x_1$ and \\(y\\). ".repeat(20)}The *end* \\$ 2 * 3.`,
  `- ${"Item text with $5 in it and **bold** and more. ".repeat(20)}\n- b`,
  "H<sub>2</sub>O, <kbd>Ctrl</kbd>, a<br>b\n\n<details>\n  <summary>x</summary>\n  y\n</details>\n\n<br>\n\nend",
];

describe("Blocks", () => {
  it.each(CORPUS)("shows every prefix, and the end as if it had come whole: %#", (source) => {
    const streamed = new Blocks();
    for (let end = 0; end <= source.length; end += 1) streamed.update(source.slice(0, end), true);
    expect(streamed.update(source, false)).toEqual(new Blocks().update(source, false));
  });

  it("does not parse again what is finished", () => {
    const blocks = new Blocks();
    const [first] = blocks.update("one\n\ntwo", true).tokens;
    expect(blocks.update("one\n\ntwo\n\nthree", true).tokens[0]).toBe(first);
  });

  it.each([
    ["list", "- one\n- two\n- three", "\n- four"],
    ["numbered list", "7. one\n8. two\n9. three", "\n10. four"],
    ["loose list", "- one\n\n- two\n\n- three", "\n\n- four"],
    ["list with nested blocks", "- one\n\n  ```\n  code\n  ```\n- two\n- three", "\n- four"],
  ])("does not parse the finished items of a %s again", (_, start, more) => {
    const blocks = new Blocks();
    const items = (source: string) => (blocks.update(source, true).tokens[0] as Tokens.List).items;
    const before = items(start);
    const after = items(start + more);
    expect(after).toHaveLength(4);
    expect(after.slice(0, 2).map((item, at) => item === before[at])).toEqual([true, true]);
  });

  it("does not parse the finished rows of a table again", () => {
    const blocks = new Blocks();
    const rows = (source: string) => (blocks.update(source, true).tokens[0] as Tokens.Table).rows;
    const before = rows("| a | b |\n|--:|---|\n| 1 | 2 |\n| 3 | 4 |");
    const after = rows("| a | b |\n|--:|---|\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |\n| 7 |");
    expect(after.map((row) => row.map(({ text }) => text))).toEqual([
      ["1", "2"],
      ["3", "4"],
      ["5", "6"],
      ["7", ""],
    ]);
    expect(after[0]).toBe(before[0]);
  });
});

describe("MarkdownView", () => {
  it.each([
    "Some **bold words**, `code` and [a link](https://example.org):\n- one\n- *soft item*\n- _softer_\n\nEnd ~~very~~ now.",
    "Before\n\n```python\nprint(1)\n\nprint(2)\n```\n\nAfter.\n~~~\nplain\n~~~\nEnd.",
    "See:\n| name | how many |\n|:--|--:|\n| apples | 12 |\n\n***\n\nTitle\n===\n\nEnd.",
  ])("never shows a half-written Markdown mark: %#", (source) => {
    const container = document.createElement("div");
    const view = new MarkdownView(container);
    for (let end = 1; end <= source.length; end += 1) {
      view.update(source.slice(0, end), true);
      expect([source.slice(0, end), container.textContent]).toEqual([
        source.slice(0, end),
        expect.not.stringMatching(/[`*~|\]_=]|--|https:/),
      ]);
    }
  });

  it.each(CORPUS)("ends as if the text had come whole: %#", (source) => {
    const streamed = document.createElement("div");
    const view = new MarkdownView(streamed);
    for (let end = 0; end < source.length; end += 3) view.update(source.slice(0, end), true);
    view.update(source, false);
    const whole = document.createElement("div");
    new MarkdownView(whole).update(source, false);
    expect(streamed.innerHTML).toBe(whole.innerHTML);
  });

  it("does not touch the elements of finished blocks", () => {
    const container = document.createElement("div");
    const view = new MarkdownView(container);
    view.update("one\n\ntwo", true);
    const paragraph = container.firstElementChild?.firstElementChild;
    view.update("one\n\ntwo **three", true);
    expect(container.firstElementChild?.firstElementChild).toBe(paragraph);
    expect(container.lastElementChild?.querySelector("strong")?.textContent).toBe("three");
  });

  it("opens links in a new tab, without access to this page", () => {
    const container = document.createElement("div");
    new MarkdownView(container).update("[a](https://example.org) [b](javascript:alert(1))", false);
    const [link, ...others] = container.querySelectorAll("a");
    expect(link?.rel).toContain("noopener");
    expect(others).toEqual([]);
  });

  it("shows a checkbox for a task mark", () => {
    const container = document.createElement("div");
    new MarkdownView(container).update("- [x] done\n- [ ] open\n- neither", false);
    expect([...container.querySelectorAll("li")].map((item) => item.className)).toEqual(["task", "task", ""]);
  });

  it("loads an image only on request", () => {
    const container = document.createElement("div");
    new MarkdownView(container).update("![a cat](https://example.org/cat.png)", false);
    expect(container.querySelector("img")).toBeNull();
    container.querySelector<HTMLButtonElement>(".md-image")?.click();
    expect(container.querySelector("img")?.alt).toBe("a cat");
  });
});
