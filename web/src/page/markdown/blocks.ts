/** Markdown as blocks, so that what is finished is not parsed again with each word that streams in. */

import { Marked, type Token, type Tokens } from "marked";

import { mended, withoutHalfFence } from "./mend.ts";

/** One block: code, which is shown as it is, or HTML that is still to be sanitised. */
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
    html: ({ text }) => escaped(text), // people write HTML to show it
    image: ({ href, text }) => `<span data-image="${escaped(href)}">${escaped(text)}</span>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** The blocks of a text. Of an `open` one the last block may still grow. */
export class Blocks {
  private settled: Block[] = [];
  private settledLength = 0; // characters of the source that `settled` stands for
  private source = "";

  /** Bring up to date and return all blocks; those in front are the same objects as last time. */
  update(source: string, open: boolean): readonly Block[] {
    if (!open || !source.startsWith(this.source)) this.forget();
    this.source = source;
    const rest = source.slice(this.settledLength);
    const tokens = marked.lexer(open ? rest.trimEnd() : rest); // what only ends a line says nothing yet
    const last = tokens.findLastIndex((token) => token.type !== "space");
    const growing: Block[] = [];
    tokens.forEach((token, at) => {
      const whole = !open || at < last;
      if (token.type !== "space") (whole ? this.settled : growing).push(asBlock(token, tokens, !whole));
      if (whole) this.settledLength += token.raw.length;
    });
    return [...this.settled, ...growing];
  }

  private forget(): void {
    this.settled = [];
    this.settledLength = 0;
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
  const whole = marked.lexer(mended(token.raw));
  return { kind: "html", raw: token.raw, html: html(whole, whole) };
}

function html(tokens: Token[], of: { links?: unknown }): string {
  return marked.parser(Object.assign(tokens, { links: of.links }) as Parameters<typeof marked.parser>[0]);
}
