// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import { Blocks } from "./blocks.ts";
import { MarkdownView } from "./view.ts";

const CORPUS = [
  "# Title\n\nSome **strong** and *soft* words, `code` and a [link](https://example.org).\n\n- one\n- two\n  - deep\n\nEnd.",
  "Before\n\n```python\ndef f(x):\n    return x * 2\n\nprint(f(2))\n```\n\nAfter ~~that~~.",
  "| a | b |\n|---|:-:|\n| 1 | 2 |\n\n> quoted\n> twice\n\n1. first\n2. second",
  "Emoji 👩‍👩‍👧 and عربي and 日本語 **mixed 👍**\n\n---\n\n<b>not html</b> <script>alert(1)</script>",
  "***both*** __under__ _single_ * lone star\n\n    indented code\n\nSetext\n===\n\n![img](https://x.y/z.png)",
];

describe("Blocks", () => {
  it.each(CORPUS)("shows every prefix, and the end as if it had come whole: %#", (source) => {
    const streamed = new Blocks();
    for (let end = 0; end <= source.length; end += 1) streamed.update(source.slice(0, end), true);
    expect(streamed.update(source, false)).toEqual(new Blocks().update(source, false));
  });

  it("does not parse again what is finished", () => {
    const blocks = new Blocks();
    const [first] = blocks.update("one\n\ntwo", true);
    expect(blocks.update("one\n\ntwo\n\nthree", true)[0]).toBe(first);
  });

  it("writes HTML as text", () => {
    const [block] = new Blocks().update("<img src=x onerror=alert(1)>", false);
    expect(block).toMatchObject({ kind: "html", html: "&lt;img src=x onerror=alert(1)&gt;" });
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
