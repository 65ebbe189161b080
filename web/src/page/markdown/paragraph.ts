/** The text of a block. While it grows, its beginning is not built again once nothing that follows can change it. */

import { inlineOf } from "./lexer.ts";
import { inlineFragment, type Surroundings } from "./inline.ts";

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
  if (formulas.length) return 0; // the tokens have placeholders, and other lengths
  let length = 0;
  let cut = 0;
  for (const token of tokens.slice(0, -1)) {
    if ((token.type === "text" && OPENERS.test(token.raw)) || token.type === "html") break;
    if (token.type === "br") cut = length; // outside: at the end of a text it would be none
    length += token.raw.length;
  }
  const next = tokens.at(-1);
  if (cut || next?.type !== "text" || tokens.length > 1) return cut;
  const space = next.raw.slice(0, -LONG / 2).search(/\S \S*$/); // one long line of plain text
  return space < 0 || OPENERS.test(next.raw.slice(0, space + 2)) ? 0 : space + 2;
}
