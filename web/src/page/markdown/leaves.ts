/** Blocks that contain no other blocks: code, formulas, and text. */

import type { Token, Tokens } from "marked";

import { CodeBlock } from "./code.ts";
import { hasOnlyAllowedTags } from "./inline.ts";
import { mathsElement } from "./maths.ts";
import { GrowingText } from "./paragraph.ts";
import type { Around, BlockView } from "./view.ts";

export class CodeView implements BlockView {
  private readonly block = new CodeBlock();
  readonly element = this.block.element;

  update(token: Token, _: Around, growing: boolean): void {
    const { text, lang } = token as Tokens.Code;
    this.block.update(text, (lang ?? "").split(/\s/)[0] ?? "", !growing);
  }
}

export class MathsView implements BlockView {
  readonly element = document.createElement("div");
  private source = "";

  update(token: Token): void {
    const source = String((token as Tokens.Generic).source);
    if (source === this.source) return;
    this.source = source;
    this.element.replaceChildren(mathsElement({ source, display: true }));
  }
}

/** A paragraph, heading, or block of HTML, which is shown as it was written. */
export class TextView implements BlockView {
  readonly element: HTMLElement;
  private readonly text: GrowingText;
  private version = "";

  constructor(token: Token) {
    const { depth } = token as Tokens.Heading;
    // a `div`, because a list item's text may become a paragraph when another item follows
    this.element = document.createElement(token.type === "heading" ? `h${depth}` : "div");
    if (token.type === "html") this.element.className = "md-html";
    this.text = new GrowingText(this.element);
  }

  update(token: Token, around: Around, growing: boolean): void {
    if (this.version !== around.version) this.text.reset();
    this.version = around.version;
    const text = "text" in token ? String(token.text).replace(/\n+$/, "") : "";
    if (token.type === "html" && !hasOnlyAllowedTags(text)) this.text.replaceWith(text);
    else this.text.update(text, around, growing);
  }
}
