// @vitest-environment happy-dom
import { describe, expect, it, vi } from "vitest";

import { MarkdownView } from "./view.ts";

function shown(source: string): HTMLElement {
  const container = document.createElement("div");
  new MarkdownView(container).update(source, false);
  return container;
}

/** The elements of the text, without the attributes that every block has. */
function html(source: string): string {
  return shown(source).innerHTML.replace(/ (?:dir="auto"|translate="no"|class="tight")/g, "");
}

describe("lists and tables", () => {
  it.each([
    ["1. a\n\nText.\n\n2. b", [1, 2]],
    ["1. a\n\n```\ncode\n```\n\n2. b\n\n```\nmore\n```\n\n3. c", [1, 2, 3]],
    ["1986. A great year", [1986]],
    ["0. zero\n1. one", [0]],
    ["> 4) four", [4]],
  ])("keep their numbers: %#", (source, starts) => {
    expect([...shown(source).querySelectorAll("ol")].map((list) => list.start)).toEqual(starts);
  });

  it.each(["|---:|", "|:---:|", "|:---|"])("align columns: %s", (line) => {
    const cells = shown(`| a |\n${line}\n| 1 |`).querySelectorAll<HTMLTableCellElement>("th, td");
    const aligned = { "|---:|": "right", "|:---:|": "center", "|:---|": "left" }[line];
    expect([...cells].map((cell) => cell.getAttribute("align"))).toEqual([aligned, aligned]);
  });
});

describe("code blocks", () => {
  it.each([
    ["top", "```python\nprint(1)\n```"],
    ["list", "1. Run:\n\n   ```python\n   print(1)\n   ```"],
    ["list in a list", "- a\n  - b\n\n    ```python\n    print(1)\n    ```"],
    ["quote", "> ```python\n> print(1)\n> ```"],
    ["list in a quote", "> - a\n>\n>   ```python\n>   print(1)\n>   ```"],
    ["footnote", "a[^1]\n\n[^1]: b\n\n    ```python\n    print(1)\n    ```"],
  ])("have a button, a language and colours in a %s", async (_, source) => {
    const figure = shown(source).querySelector("figure.code");
    expect(figure?.querySelector("figcaption span")?.textContent).toBe("python");
    expect(figure?.querySelector("button.code-copy")).not.toBeNull();
    await vi.waitFor(() => expect(figure?.querySelector(".hljs-number")?.textContent).toBe("1"));
    expect(figure?.querySelector("code")?.textContent).toBe("print(1)");
  });

  it.each([
    ["another answer", "```python\nprint(2)\n```"],
    ["a longer one", "```python\nprint(1)\nprint(2)\n```"],
    ["another language", "```js\nprint(1)\n```"],
    ["a shorter one, within a list", "- ```python\n  p\n  ```"],
  ])("follow the text when it is replaced by %s", async (_, source) => {
    const container = document.createElement("div");
    const view = new MarkdownView(container);
    view.update("```python\nprint(1)\n```", false);
    await vi.waitFor(() => expect(container.querySelector(".hljs-number")).not.toBeNull());
    view.update(source, false);
    const fresh = shown(source);
    expect(container.querySelector("code")?.textContent).toBe(fresh.querySelector("code")?.textContent);
    await vi.waitFor(() => {
      expect(fresh.querySelector("[class^=hljs], code")).not.toBeNull();
      expect(container.innerHTML).toBe(fresh.innerHTML);
    });
  });

  it("colours long code section by section, also where a string spans sections", async () => {
    const lines = Array.from({ length: 130 }, (_, n) =>
      n === 40 ? 's = """' : n === 60 ? '"""' : `x = ${n}`,
    );
    const code = shown(`\`\`\`python\n${lines.join("\n")}\n\`\`\``).querySelector("code");
    await vi.waitFor(() => expect(code?.lastElementChild?.querySelector(".hljs-number")).not.toBeNull());
    expect(code?.children.length).toBe(3);
    expect(code?.textContent).toBe(lines.join("\n"));
    expect(code?.children[1]?.querySelector(".hljs-string")?.textContent).toContain("x = 55");
  });
});

describe("emphasis", () => {
  it.each([
    ["**これは（かっこ）。**次", "<strong>これは（かっこ）。</strong>次"],
    ["这是**“引用”**的例子", "这是<strong>“引用”</strong>的例子"],
    ["**중요:**한국어", "<strong>중요:</strong>한국어"],
    ["*重要！*後", "<em>重要！</em>後"],
    ["~~削除。~~次", "<del>削除。</del>次"],
    ["前**「太字」**後", "前<strong>「太字」</strong>後"],
    ["**a** and *b* and ***c***", "<strong>a</strong> and <em>b</em> and <em><strong>c</strong></em>"],
    ['a**"x"**b', 'a**"x"**b'],
    ["2 * 3 * 4, a_b_c, __init__", "2 * 3 * 4, a_b_c, <strong>init</strong>"],
    ["*a **b** c*", "<em>a <strong>b</strong> c</em>"],
  ])("%s", (source, expected) => {
    expect(html(source)).toBe(`<div>${expected}</div>`);
  });

  it.each(["~3 days (about ~$10)", "5~7, 100~200", "~/bin and ~/lib", "~a~ b~"])(
    "leaves single tildes as they are: %s",
    (source) => {
      expect(html(source)).toBe(`<div>${source}</div>`);
    },
  );
});

describe("bare addresses", () => {
  it.each([
    ["见 https://example.com/docs（说明）了解", "https://example.com/docs"],
    ["https://example.com/docs。下", "https://example.com/docs"],
    ["https://example.com/a，b", "https://example.com/a"],
    ["https://example.com/docs了解更多", "https://example.com/docs"],
    ["https://example.com을 보세요", "https://example.com"],
    ["https://ja.wikipedia.org/wiki/日本語", "https://ja.wikipedia.org/wiki/日本語"],
    ["انظر https://example.com/a، ثم", "https://example.com/a"],
    ["https://example.com/a؛ b", "https://example.com/a"],
    ["https://example.com/a।", "https://example.com/a"],
    ["(see https://example.com/a_(b)), then", "https://example.com/a_(b)"],
    ["**https://example.com/a**的", "https://example.com/a"],
    ["“https://example.com/a”", "https://example.com/a"],
    ["https://example.com/a?b=c&d=e#f.", "https://example.com/a?b=c&d=e#f"],
    ["https://example.com/🎉", "https://example.com/"],
    ["https://example.com/a,https://example.org", "https://example.com/a"],
    ["https://example.com's docs", "https://example.com"],
  ])("end where a person would end them: %s", (source, address) => {
    expect(shown(source).querySelector("a")?.textContent).toBe(address);
    expect(shown(source).textContent).toBe(source.replaceAll("**", ""));
  });
});

describe("HTML", () => {
  it.each([
    ["a<br>b<br/>c<br />d", "a<br>b<br>c<br>d"],
    ["H<sub>2</sub>O x<sup>2</sup>", "H<sub>2</sub>O x<sup>2</sup>"],
    ["<kbd>Ctrl</kbd>+<KBD>C</KBD>", "<kbd>Ctrl</kbd>+<kbd>C</kbd>"],
    ["<sub>**a**</sub>", "<sub><strong>a</strong></sub>"],
    ["<sub>never closed", "&lt;sub&gt;never closed"],
    ["never opened</sup>", "never opened&lt;/sup&gt;"],
    ['<sub onclick="x">a</sub>', '&lt;sub onclick="x"&gt;a&lt;/sub&gt;'],
    ["<b>bold</b> <script>1</script>", "&lt;b&gt;bold&lt;/b&gt; &lt;script&gt;1&lt;/script&gt;"],
    ["&copy; &lt;b&gt; &amp;amp; &#65;", "© &lt;b&gt; &amp;amp; A"],
    ["R&D a&b &nosuch;", "R&amp;D a&amp;b &amp;nosuch;"],
  ])("%s", (source, expected) => {
    expect(html(source)).toBe(`<div>${expected}</div>`);
  });

  it.each([
    ["a &NotEqualTilde; &amp;xi; &xi; &nosuch;", "a \u2242\u0338 &xi; ξ &nosuch;"],
    ["&Aacute;&aacute;", "Áá"],
    ["&frac12; &#189; &#xbd; &#0;", "½ ½ ½ \ufffd"],
  ])("decodes unusual character references once their names are loaded: %s", async (source, expected) => {
    const container = shown(source);
    await vi.waitFor(() => expect(container.textContent).toBe(expected));
  });

  it("breaks lines in table cells", () => {
    expect(shown("| a |\n|---|\n| open<br>close<br/>again |").querySelectorAll("td br")).toHaveLength(2);
  });

  it.each([
    "<details>\n  <summary>A</summary>\n\tb\n</details>",
    "<!-- a\n     b -->",
    "<div>\n  <p>**x**\n</div>",
    '<img src="x" onerror="1">',
  ])("shows a block as it was written: %#", (source) => {
    expect(shown(source).querySelector(".md-html")?.textContent).toBe(source);
    expect(shown(source).querySelector(".md-html")?.children.length).toBe(0);
  });
});

describe("links", () => {
  it.each([
    ["[call](tel:+491234)", "tel:+491234"],
    ["[a](https://example.org/?a=1&amp;b=2)", "https://example.org/?a=1&b=2"],
    ["<mailto:a@example.org>", "mailto:a@example.org"],
    ["[a][b]\n\n[b]: https://example.org", "https://example.org"],
  ])("%s", (source, target) => {
    expect(shown(source).querySelector("a")?.getAttribute("href")).toBe(target);
  });

  it.each([
    "javascript:void(0)",
    "JaVaScRiPt:1",
    "data:text/html,x",
    "vbscript:x",
    "java&#x73;cript:x",
    "file:///x",
  ])("shows the text of %s alone", (address) => {
    expect(html(`[text](${address})`)).toBe("<div>text</div>");
  });

  it("keeps the address of a relative link, which leads nowhere here", () => {
    expect(html("[the guide](docs/guide.md)")).toBe("<div>the guide (docs/guide.md)</div>");
  });
});

describe("footnotes", () => {
  it.each([
    ["A[^1] B[^x] A again[^1]\n\n[^1]: One.\n[^x]: Two.", ["1", "2", "1"], ["1.One.", "2.Two."]],
    ["A[^b]\n\n[^b]: First\nsecond line\n\n    A paragraph.", ["1"], ["1.FirstsecondlineA paragraph."]],
    ["- item[^n]\n\n[^n]: With `code`.", ["1"], ["1.With code."]],
  ])("are numbered and shown: %#", (source, references, notes) => {
    const container = shown(source);
    expect([...container.querySelectorAll("sup")].map((each) => each.textContent)).toEqual(references);
    expect(
      [...container.querySelectorAll("aside")].map((each) =>
        each.textContent?.replace("second line", "secondline"),
      ),
    ).toEqual(notes);
  });

  it("stay as they are without a note", () => {
    expect(html("see [^1] there")).toBe("<div>see [^1] there</div>");
  });
});

describe("maths", () => {
  it.each([
    ["Euler: \\(e^{i\\pi} + 1 = 0\\).", ["\\(e^{i\\pi} + 1 = 0\\)"]],
    ["a $x^{*} y^{*}$ b $z_1$ c_d_e", ["$x^{*} y^{*}$", "$z_1$"]],
    ["\\[\na \\\\\n= b\n\\]", ["\\[\na \\\\\n= b\n\\]"]],
    ["Text:\n$$\n- a\n+ b\n$$\nmore", ["$$\n- a\n+ b\n$$"]],
    ["inline $$x$$ too, *a $b*c$ d*", ["$$x$$", "$b*c$"]],
    [
      "\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}",
      ["\\begin{align}\na &= b \\\\\nc &= d\n\\end{align}"],
    ],
    ["- item \\(a_1\\)\n\n  $$\n  b\n  $$", ["\\(a_1\\)", "$$\nb\n$$"]],
    ["| a |\n|---|\n| $x_1*y*$ |", ["$x_1*y*$"]],
  ])("keeps its source: %#", (source, formulas) => {
    expect([...shown(source).querySelectorAll(".md-maths .source")].map((each) => each.textContent)).toEqual(
      formulas,
    );
  });

  it.each([
    "It costs $5 and $6.",
    "from $20,000 to $30,000",
    "a $ b $ c",
    "$x $y",
    "`$a$ \\(b\\)`",
    "It costs $5, and `$x$` is code.",
    "pay $5 at https://example.com/$a",
    "\\$a\\$",
    "\\\\(a\\\\)",
    "https://example.com/$a/$b",
  ])("is not found in %s", (source) => {
    expect(shown(source).querySelector(".md-maths")).toBeNull();
  });

  it.each(["\\(", "$$a", "a \\[ b", "$a\n\nb$", "\\(a\n\nb\\)"])(
    "is not found where it does not end: %s",
    (source) => {
      expect(shown(source).querySelector(".md-maths")).toBeNull();
    },
  );

  it("is typeset as MathML, and its source is what a selection copies", async () => {
    const formula = shown("\\(\\frac{a}{b}\\)").querySelector(".md-maths");
    await vi.waitFor(() => expect(formula?.querySelector("math mfrac")).not.toBeNull());
    expect(formula?.querySelector(".source")?.textContent).toBe("\\(\\frac{a}{b}\\)");
  });

  it.each([
    "\\(\\frac{a}\\)",
    "$$\\nosuch{x}$$",
    "\\(\\href{javascript:void(0)}{x}\\)",
    "\\(\\includegraphics{x}\\)",
  ])("stays as it was written if it cannot be typeset: %s", async (source) => {
    const formula = shown(source).querySelector(".md-maths");
    await import("./typesetter.ts");
    await new Promise((done) => setTimeout(done));
    expect(formula?.querySelector("a, img, [href], [src]")).toBeNull();
    expect(formula?.querySelector(".source")?.textContent).toBe(source);
  });
});
