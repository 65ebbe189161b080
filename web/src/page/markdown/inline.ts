/** Builds the elements of a block's text: emphasis, links, code, formulas, and the few tags of HTML that are allowed. */

import type { Token, Tokens } from "marked";

import { inlineOf, type Links, type NoteToken } from "./lexer.ts";
import { mathsElement } from "./maths.ts";
import { type Formula, withFormulas } from "./maths_source.ts";
import type { Notes } from "./notes.ts";
import { decoded, imageButton, linkTo, textNode } from "./sanitise.ts";

/** What the blocks of a text share. */
export interface Surroundings {
  readonly links: Links;
  readonly notes: Notes;
}

/** HTML that is shown as HTML; anything else, and every attribute, is shown as text. */
const TAG = /^<(\/?)(sub|sup|kbd)>$/i;
const BREAK = /^<br ?\/?>$/i;

/** Whether a block of HTML is text with allowed tags. */
export function hasOnlyAllowedTags(html: string): boolean {
  return !/<(?!\/?(?:sub|sup|kbd)>|br ?\/?>)/i.test(html);
}

/** The text as elements. */
export function inlineFragment(text: string, around: Surroundings): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const { tokens, formulas } = inlineOf(text, around.links);
  new Builder(formulas, around).append(fragment, tokens);
  return fragment;
}

class Builder {
  constructor(
    private readonly formulas: readonly Formula[],
    private readonly around: Surroundings,
  ) {}

  append(parent: Node, tokens: readonly Token[]): void {
    let at = parent;
    for (const [index, token] of tokens.entries()) {
      const [, closing, name = ""] = (token.type === "html" && TAG.exec(token.raw)) || [];
      if (name && !closing && isClosedIn(tokens.slice(index), name)) {
        at = at.appendChild(document.createElement(name.toLowerCase()));
      } else if (closing && at !== parent && at.nodeName.toLowerCase() === name.toLowerCase()) {
        at = at.parentNode ?? parent;
      } else {
        at.appendChild(this.node(token));
      }
    }
  }

  private node(token: Token): Node {
    switch (token.type) {
      case "strong":
      case "em":
      case "del":
        return this.element(token.type, token.tokens);
      case "codespan":
        return inlineCode(this.source((token as Tokens.Codespan).text));
      case "br":
        return document.createElement("br");
      case "link":
        return this.link(token as Tokens.Link);
      case "image":
        return imageButton(
          this.source((token as Tokens.Image).href),
          decoded(this.source((token as Tokens.Image).text)),
        );
      case "html":
        return BREAK.test(token.raw) ? document.createElement("br") : this.text(this.source(token.raw));
      case "escape":
        return this.text((token as Tokens.Escape).text);
      case "maths":
        return this.formula(Number((token as Tokens.Generic).number), token.raw);
      case "note":
        return this.around.notes.reference((token as NoteToken).label) ?? this.text(token.raw);
      case "checkbox":
        return this.text((token as Tokens.Checkbox).checked ? "☑ " : "☐ ");
      default:
        return textNode(this.source("text" in token ? String(token.text) : token.raw));
    }
  }

  private element(name: string, tokens: readonly Token[] | undefined): HTMLElement {
    const element = document.createElement(name);
    this.append(element, tokens ?? []);
    return element;
  }

  /** A link; an address that is not allowed is not lost: a relative one follows its text. */
  private link({ href, title, tokens }: Tokens.Link): Node {
    const address = this.source(href);
    const link = linkTo(address, title && this.source(title));
    const element = link ?? document.createDocumentFragment();
    this.append(element, tokens);
    if (!link && /^[^:#]+$/.test(address)) element.append(` (${decoded(address)})`);
    return element;
  }

  private formula(number: number, raw: string): Node {
    const formula = this.formulas[number];
    return formula ? mathsElement(formula) : this.text(raw);
  }

  private text(text: string): Text {
    return document.createTextNode(text);
  }

  private source(text: string): string {
    return withFormulas(text, this.formulas);
  }
}

function isClosedIn(tokens: readonly Token[], name: string): boolean {
  return tokens.some(
    (token) => token.type === "html" && token.raw.toLowerCase() === `</${name.toLowerCase()}>`,
  );
}

function inlineCode(text: string): HTMLElement {
  const code = document.createElement("code");
  code.translate = false; // a translated name is another name
  code.textContent = text;
  return code;
}
