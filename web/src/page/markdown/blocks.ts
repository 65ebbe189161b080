/** Splits Markdown into blocks, so that finished blocks are not parsed again while text streams in. */

import { Marked, type Token, type Tokens } from "marked";

import { withClosedMarks, withoutHalfFence } from "./open_marks.ts";

/** A block: code, shown as it is, or HTML that is not sanitised yet. */
export type Block =
  | { readonly kind: "code"; readonly raw: string; readonly language: string; readonly text: string }
  | { readonly kind: "html"; readonly raw: string; readonly html: string };

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => escapes[character] ?? "");
}

const marked = new Marked({
  gfm: true,
  breaks: true,
  renderer: {
    html: ({ text }) => escaped(text), // HTML in Markdown is shown as text
    image: ({ href, text }) => `<span data-image="${escaped(href)}">${escaped(text)}</span>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** The blocks of a text. While the text is `open`, its last block may grow. */
export class Blocks {
  private finished: Block[] = [];
  private finishedLength = 0; // number of source characters that `finished` covers
  private source = "";

  /** Parse the new part and return all blocks; unchanged blocks are the same objects as before. */
  update(source: string, open: boolean): readonly Block[] {
    if (!open || !source.startsWith(this.source)) this.reset();
    this.source = source;
    const rest = source.slice(this.finishedLength);
    // a trailing line break is ambiguous while the text is open
    const tokens = marked.lexer(open ? rest.trimEnd() : rest);
    const last = tokens.findLastIndex((token) => token.type !== "space");
    const growing: Block[] = [];
    tokens.forEach((token, at) => {
      const whole = !open || at < last;
      if (token.type !== "space") (whole ? this.finished : growing).push(asBlock(token, tokens, !whole));
      if (whole) this.finishedLength += token.raw.length;
    });
    return [...this.finished, ...growing];
  }

  private reset(): void {
    this.finished = [];
    this.finishedLength = 0;
  }
}

function asBlock(token: Token, tokens: Token[] & { links?: unknown }, growing: boolean): Block {
  if (token.type === "code") {
    const { text, lang } = token as Tokens.Code;
    const shown = growing ? withoutHalfFence(text) : text;
    return { kind: "code", raw: token.raw, language: (lang ?? "").split(/\s/)[0] ?? "", text: shown };
  }
  if (!growing || token.type === "table")
    return { kind: "html", raw: token.raw, html: html([token], tokens) };
  const whole = marked.lexer(withClosedMarks(token.raw));
  return { kind: "html", raw: token.raw, html: html(whole, whole) };
}

function html(tokens: Token[], of: { links?: unknown }): string {
  return marked.parser(Object.assign(tokens, { links: of.links }) as Parameters<typeof marked.parser>[0]);
}
