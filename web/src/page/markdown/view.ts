/** Renders Markdown into an element, and updates only the blocks that changed. */

import type { Token, Tokens } from "marked";

import { Blocks } from "./blocks.ts";
import type { Surroundings } from "./inline.ts";
import { CodeView, MathsView, TextView } from "./leaves.ts";
import type { NoteToken } from "./lexer.ts";
import { Notes } from "./notes.ts";
import { TableView } from "./table.ts";

/** What a block is rendered with. */
export interface Around extends Surroundings {
  /** Changes with the text's definitions. */
  readonly version: string;
}

/** A block in the page. */
export interface BlockView {
  readonly element: HTMLElement;
  /** Show the block's new state; `growing` while more of it may follow. */
  update(token: Token, around: Around, growing: boolean): void;
}

export class MarkdownView {
  private readonly blocks = new Blocks();
  private readonly notes = new Notes();
  private readonly children: ChildViews;
  private source = "";

  constructor(container: HTMLElement) {
    this.children = new ChildViews(container, true);
  }

  /** Show `source`; `open` while more text may follow. */
  update(source: string, open: boolean): void {
    if (!source.startsWith(this.source)) this.clear();
    this.source = source;
    const { tokens, links, notes, version } = this.blocks.update(source, open);
    this.notes.update(notes, open);
    if (this.notes.hasMissing) this.clear();
    this.children.update(tokens, { links, notes: this.notes, version }, open);
  }

  private clear(): void {
    this.children.clear();
    this.notes.clear();
  }
}

interface Shown {
  readonly kind: string;
  readonly view: BlockView;
  token: Token;
  version: string;
  growing: boolean;
}

/** The blocks of a text, a list item or a quotation. */
class ChildViews {
  private readonly shown: Shown[] = [];

  constructor(
    private readonly container: HTMLElement,
    private readonly isTop = false,
  ) {}

  update(tokens: readonly Token[], around: Around, open: boolean): void {
    const visible = tokens.filter(({ type }) => type !== "space" && type !== "def" && type !== "checkbox");
    visible.forEach((token, at) => this.show(token, at, around, open && at === visible.length - 1));
    this.remove(visible.length);
  }

  clear(): void {
    this.remove(0);
  }

  private show(token: Token, at: number, around: Around, growing: boolean): void {
    const kind = kindOf(token);
    let shown = this.shown[at];
    if (shown && shown.kind !== kind) {
      this.remove(at);
      shown = undefined;
    }
    if (shown && !hasChanged(shown, token, around, growing)) {
      shown.token = token;
      return;
    }
    if (!shown) {
      const view = viewOf(token);
      if (this.isTop && kind !== "code") view.element.dir = "auto"; // each block has the direction of its language
      shown = { kind, view, token, version: around.version, growing };
      this.shown.push(shown);
      this.container.append(view.element);
    }
    Object.assign(shown, { token, growing, version: around.version });
    shown.view.update(token, around, growing);
  }

  private remove(from: number): void {
    for (const { view } of this.shown.splice(from)) view.element.remove();
  }
}

function hasChanged(shown: Shown, token: Token, around: Around, growing: boolean): boolean {
  if (shown.growing || growing) return true;
  if (shown.version !== around.version && token.raw.includes("[")) return true; // it may refer to a definition
  return shown.token !== token && shown.token.raw !== token.raw;
}

/** Blocks of one kind are shown by the same element. */
function kindOf(token: Token): string {
  if (token.type === "heading") return `h${(token as Tokens.Heading).depth}`;
  if (token.type === "list") return `list ${String((token as Tokens.List).ordered)}`;
  return token.type === "paragraph" ? "text" : token.type;
}

function viewOf(token: Token): BlockView {
  switch (token.type) {
    case "code":
      return new CodeView();
    case "list":
      return new ListView(token as Tokens.List);
    case "table":
      return new TableView();
    case "blockquote":
      return new Container("blockquote");
    case "note":
      return new Container("aside");
    case "maths":
      return new MathsView();
    case "hr":
      return { element: document.createElement("hr"), update: () => undefined };
    default:
      return new TextView(token);
  }
}

class ListView implements BlockView {
  readonly element: HTMLElement;
  private readonly items: ItemView[] = [];

  constructor({ ordered }: Tokens.List) {
    this.element = document.createElement(ordered ? "ol" : "ul");
  }

  update(token: Token, around: Around, growing: boolean): void {
    const { items, loose, start } = token as Tokens.List;
    if (start !== "" && this.element instanceof HTMLOListElement && this.element.start !== start)
      this.element.start = start;
    this.element.classList.toggle("tight", !loose);
    items.forEach((item, at) => {
      const view = (this.items[at] ??= new ItemView(this.element));
      view.update(item, around, growing && at === items.length - 1);
    });
    for (const item of this.items.splice(items.length)) item.element.remove();
  }
}

class ItemView {
  readonly element = document.createElement("li");
  private readonly children = new ChildViews(this.element);
  private shown: Tokens.ListItem | undefined;
  private version = "";

  constructor(list: HTMLElement) {
    list.append(this.element);
  }

  update(item: Tokens.ListItem, around: Around, growing: boolean): void {
    if (this.shown === item && this.version === around.version) return;
    this.shown = growing ? undefined : item;
    this.version = around.version;
    this.element.className = item.task ? "task" : "";
    this.children.update(item.task ? withBox(item) : item.tokens, around, growing);
  }
}

/** The blocks of a task, with its checkbox in the text of the first one. */
function withBox({ checked, tokens }: Tokens.ListItem): readonly Token[] {
  const [first, ...others] = tokens.filter(({ type }) => type !== "checkbox");
  if (!first || !("text" in first)) return tokens;
  const text = `${checked ? "☑" : "☐"} ${String(first.text).replace(/^\[[ xX]\][ \t]+/, "")}`;
  return [{ ...first, text, raw: text } as Token, ...others];
}

/** A quotation or a footnote. */
class Container implements BlockView {
  readonly element: HTMLElement;
  private readonly children: ChildViews;
  private label: string | undefined;

  constructor(name: string) {
    this.element = document.createElement(name);
    this.children = new ChildViews(this.element);
  }

  update(token: Token, around: Around, growing: boolean): void {
    if (token.type === "note") this.mark((token as NoteToken).label, around.notes);
    this.children.update((token as Tokens.Blockquote).tokens ?? [], around, growing);
  }

  private mark(label: string, notes: Notes): void {
    if (label === this.label) return;
    this.label = label;
    this.element.className = "md-note";
    this.element.prepend(notes.mark(label, this.element));
  }
}
