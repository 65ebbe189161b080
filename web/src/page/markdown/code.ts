/**
 * A code block: its language, a copy button, and highlighting once it is complete. Its lines are in sections, so that the
 * browser lays out only the last one while text streams in, and highlights them in separate tasks.
 */

import { copyText } from "../platform/clipboard.ts";
import { t } from "../i18n/index.ts";
import { codeFragment } from "./sanitise.ts";

const COPIED_FOR = 2_000; // milliseconds
const LONGEST = 100_000; // characters; a longer text is not highlighted, as that would block the page
const SECTION = 50; // lines

export class CodeBlock {
  readonly element = document.createElement("figure");
  private readonly code = document.createElement("code");
  private readonly label = document.createElement("span");
  private text = "";
  private language = "";
  private lines = 0; // of the last section
  private isColoured = false;
  private version = 0; // changes with the text, so that late highlighting of an earlier one is dropped

  constructor() {
    const head = document.createElement("figcaption");
    const pre = document.createElement("pre");
    this.element.className = "code";
    pre.tabIndex = 0;
    pre.dir = "ltr";
    pre.translate = this.label.translate = false;
    pre.append(this.code);
    head.append(this.label, this.copyButton());
    this.element.append(head, pre);
  }

  /** Show a text; it is highlighted when it is `complete`. */
  update(text: string, language: string, complete: boolean): void {
    this.label.textContent = language || t("code.plain");
    if (text !== this.text || language !== this.language || !this.version) this.show(text);
    this.language = language;
    if (complete && language && text.length <= LONGEST)
      void this.colour(this.version, language.toLowerCase());
  }

  private show(text: string): void {
    const isLonger = text.startsWith(this.text) && !this.isColoured;
    if (!isLonger) this.clear();
    const added = text.slice(isLonger ? this.text.length : 0);
    for (const line of added.match(/[^\n]*\n|[^\n]+$/g) ?? []) this.add(line);
    this.text = text;
    this.version += 1;
  }

  private clear(): void {
    this.code.replaceChildren();
    this.lines = 0;
    this.isColoured = false;
  }

  /** Append (a part of) a line to the last section, or to a new one. */
  private add(line: string): void {
    let last = this.code.lastElementChild?.firstChild;
    if (!last || this.lines >= SECTION) {
      const section = document.createElement("span");
      last = section.appendChild(document.createTextNode(""));
      this.code.append(section);
      this.lines = 0;
    }
    (last as Text).appendData(line);
    if (line.endsWith("\n")) this.lines += 1;
  }

  private async colour(version: number, language: string): Promise<void> {
    if (this.isColoured) return;
    this.isColoured = true;
    // without the highlighter the code stays plain
    const highlighter = await import("./highlight.ts").catch(() => undefined);
    if (version !== this.version) return;
    const sections = [...this.code.children];
    for (const step of highlighter?.highlightedSections(this.text, language, SECTION) ?? []) {
      for (const html of step) sections.shift()?.replaceChildren(codeFragment(html));
      await new Promise((done) => setTimeout(done)); // a separate task
      if (version !== this.version) return;
    }
  }

  private copyButton(): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "code-copy";
    button.textContent = t("message.copy");
    button.setAttribute("aria-label", t("code.copy"));
    button.addEventListener("click", () => {
      void copyText(this.text).then((isCopied) => {
        if (!isCopied) return;
        button.textContent = t("message.copied");
        setTimeout(() => (button.textContent = t("message.copy")), COPIED_FOR);
      });
    });
    return button;
  }
}
