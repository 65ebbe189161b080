/** Renders Markdown into an element, and updates only the blocks that changed. */

import { Blocks, type Block } from "./blocks.ts";
import { CodeBlock } from "./code.ts";
import { sanitised } from "./sanitise.ts";

interface Shown {
  block: Block;
  readonly element: HTMLElement;
  readonly code: CodeBlock | undefined;
}

export class MarkdownView {
  private readonly blocks = new Blocks();
  private readonly shown: Shown[] = [];

  constructor(private readonly container: HTMLElement) {}

  /** Show `source`; `open` while more text may follow. */
  update(source: string, open: boolean): void {
    const blocks = this.blocks.update(source, open);
    blocks.forEach((block, at) => this.show(block, at, open && at === blocks.length - 1));
    for (const { element } of this.shown.splice(blocks.length)) element.remove();
  }

  private show(block: Block, at: number, growing: boolean): void {
    let shown = this.shown[at];
    if (shown && (shown.code === undefined) !== (block.kind === "html")) {
      for (const { element } of this.shown.splice(at)) element.remove();
      shown = undefined;
    }
    if (!shown) {
      shown = this.made(block);
      this.shown.push(shown);
      this.container.append(shown.element);
      this.fill(shown, block, growing);
    } else if (shown.block !== block) {
      this.fill(shown, block, growing);
    }
  }

  private made(block: Block): Shown {
    const code = block.kind === "code" ? new CodeBlock() : undefined;
    const element = code?.element ?? document.createElement("div");
    if (!code) element.dir = "auto"; // each paragraph has the direction of its language
    return { block, code, element };
  }

  private fill(shown: Shown, block: Block, growing: boolean): void {
    const same =
      shown.block !== block &&
      shown.block.kind === "html" &&
      block.kind === "html" &&
      shown.block.html === block.html;
    shown.block = block;
    if (block.kind === "code") shown.code?.update(block.text, block.language, !growing);
    else if (!same) shown.element.replaceChildren(sanitised(block.html));
  }
}
