/** The text of a block. While it grows, its beginning is not built again once nothing that follows can change it. */

import { inlineOf } from "./lexer.ts";
import { inlineFragment, type Surroundings } from "./inline.ts";
import { withFormulas } from "./maths_source.ts";

const LONG = 300; // characters that are worth looking for a place to cut

/** Characters that may open something which later text closes. Some are harmless between spaces or inside a word. */
const OPENERS = /[`[<$\\]|\*(?!\s)|(?<!\s)\*|~~|(?<!\w)_|_(?!\w)|&[\w#]*$/;

export class GrowingText {
  private finished = "";
  private nodes: ChildNode[] = []; // of the text after `finished`

  constructor(private readonly element: HTMLElement) {}

  /** Show a text; `growing` while more may follow. */
  update(text: string, around: Surroundings, growing: boolean): void {
    if (!text.startsWith(this.finished)) this.reset();
    this.replace(text.slice(this.finished.length), around);
    if (growing) this.finish(text.slice(this.finished.length), around);
  }

  /** Show a text as it is. */
  replaceWith(text: string): void {
    this.reset();
    this.element.textContent = text;
  }

  /** Remove everything, also the finished part. */
  reset(): void {
    this.finished = "";
    this.nodes = [];
    this.element.replaceChildren();
  }

  private replace(text: string, around: Surroundings): void {
    for (const node of this.nodes) node.remove();
    this.append(text, around);
  }

  private append(text: string, around: Surroundings): void {
    const fragment = inlineFragment(text, around);
    this.nodes = [...fragment.childNodes];
    this.element.append(fragment);
  }

  private finish(text: string, around: Surroundings): void {
    if (text.length < LONG) return;
    const length = cutOf(text, around);
    if (!length) return;
    this.replace(text.slice(0, length), around);
    this.finished += text.slice(0, length);
    this.append(text.slice(length), around);
  }
}

/** The length of the beginning of a text that nothing behind it can change; 0 if there is none. */
function cutOf(text: string, { links }: Surroundings): number {
  const { tokens, formulas } = inlineOf(text, links);
  let length = 0;
  let cut = 0;
  for (const token of tokens) {
    if (token.type === "html") break;
    if (token.type === "text") {
      if (OPENERS.test(token.raw)) break;
      const sure = token === tokens.at(-1) ? token.raw.slice(0, -LONG / 2) : token.raw;
      const space = sure.lastIndexOf(" ", sure.length - 2);
      if (space >= 0) cut = length + space + 1;
    }
    if (token.type === "br") cut = length; // outside: at the end of a text it would be none
    length += withFormulas(token.raw, formulas).length;
  }
  return text.charAt(cut) === " " || text.charAt(cut - 2) === " " ? 0 : cut; // several spaces may be a line break
}
