/** Footnotes of a text: their numbers, in the order of the first reference, and the ways between reference and note. */

import { t } from "../i18n/index.ts";

export class Notes {
  private readonly numbers = new Map<string, number>();
  private readonly places = new Map<string, HTMLElement>(); // notes by label
  private readonly references = new Map<string, HTMLElement>(); // the newest reference by label
  private defined: ReadonlySet<string> = new Set();
  private isOpen = false;

  /** Set which notes the text has. While it is `open`, others may follow. */
  update(defined: ReadonlySet<string>, open: boolean): void {
    this.defined = defined;
    this.isOpen = open;
  }

  /** Whether a reference was numbered that turned out to have no note. */
  get hasMissing(): boolean {
    return !this.isOpen && [...this.numbers.keys()].some((label) => !this.defined.has(label));
  }

  clear(): void {
    this.numbers.clear();
    this.places.clear();
    this.references.clear();
  }

  /** A reference; `undefined` if there is no such note. */
  reference(label: string): HTMLElement | undefined {
    if (!this.isOpen && !this.defined.has(label)) return undefined;
    const element = document.createElement("sup");
    const button = this.button(
      String(this.numberOf(label)),
      t("message.note", { number: this.numberOf(label) }),
    );
    button.addEventListener("click", () => show(this.places.get(label)));
    element.append(button);
    this.references.set(label, button);
    return element;
  }

  /** The mark before a note, which leads back to its reference. */
  mark(label: string, place: HTMLElement): HTMLElement {
    this.places.set(label, place);
    place.tabIndex = -1;
    const number = this.numberOf(label);
    const button = this.button(`${number}.`, t("message.note.back", { number }));
    button.addEventListener("click", () => show(this.references.get(label)));
    return button;
  }

  private numberOf(label: string): number {
    const number = this.numbers.get(label) ?? this.numbers.size + 1;
    this.numbers.set(label, number);
    return number;
  }

  private button(text: string, label: string): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "md-note-mark";
    button.textContent = text;
    button.setAttribute("aria-label", label);
    return button;
  }
}

/** Not by an address: the page's own addresses name chats. */
function show(target: HTMLElement | undefined): void {
  target?.scrollIntoView({ block: "nearest" });
  target?.focus({ preventScroll: true });
}
