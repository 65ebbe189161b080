/** A code block: its language, a copy button, and highlighting once it is complete. */

import { copyText } from "../platform/clipboard.ts";
import { t } from "../i18n/index.ts";
import { sanitisedCode } from "./sanitise.ts";

const COPIED_FOR = 2_000; // milliseconds
const LONGEST = 20_000; // characters; a longer text is not highlighted, as that would block the page

export class CodeBlock {
  readonly element = document.createElement("figure");
  private readonly code = document.createElement("code");
  private readonly label = document.createElement("span");
  private readonly node = document.createTextNode("");
  private coloured = false;

  constructor() {
    const head = document.createElement("figcaption");
    const pre = document.createElement("pre");
    this.element.className = "code";
    pre.tabIndex = 0;
    pre.dir = "ltr";
    this.code.append(this.node);
    pre.append(this.code);
    head.append(this.label, this.copyButton());
    this.element.append(head, pre);
  }

  update(text: string, language: string, complete: boolean): void {
    this.label.textContent = language || t("code.plain");
    if (this.coloured) return;
    const known = this.node.data;
    if (text.startsWith(known)) this.node.appendData(text.slice(known.length));
    else this.node.data = text;
    if (complete && language && text.length <= LONGEST) void this.colour(text, language);
  }

  private async colour(text: string, language: string): Promise<void> {
    this.coloured = true;
    // without the highlighter the code stays plain
    const highlighter = await import("./highlight.ts").catch(() => undefined);
    const html = highlighter?.highlighted(text, language.toLowerCase());
    if (html !== undefined) this.code.replaceChildren(sanitisedCode(html));
  }

  private copyButton(): HTMLButtonElement {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "code-copy";
    button.textContent = t("message.copy");
    button.setAttribute("aria-label", t("code.copy"));
    button.addEventListener("click", () => {
      void copyText(this.code.textContent ?? "").then((isCopied) => {
        if (!isCopied) return;
        button.textContent = t("message.copied");
        setTimeout(() => (button.textContent = t("message.copy")), COPIED_FOR);
      });
    });
    return button;
  }
}
