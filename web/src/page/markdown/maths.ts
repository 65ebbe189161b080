/** A formula: its source until the typesetter is loaded, then MathML. A selection that is copied has the source. */

import { type Formula, innerOf } from "./maths_source.ts";

export function mathsElement({ source, display }: Formula): HTMLElement {
  const element = document.createElement("span");
  element.className = display ? "md-maths display" : "md-maths";
  element.translate = false;
  element.dir = "ltr";
  const written = document.createElement("span");
  written.className = "source";
  written.textContent = source;
  element.append(written);
  void typeset(element, written, { source, display });
  return element;
}

async function typeset(
  element: HTMLElement,
  written: HTMLElement,
  { source, display }: Formula,
): Promise<void> {
  // without the typesetter, and for what it cannot read, the source stays
  const typesetter = await import("./typesetter.ts").catch(() => undefined);
  const formula = typesetter?.typeset(innerOf(source), display);
  if (!formula) return;
  written.ariaHidden = "true";
  element.classList.add("typeset");
  if (display) element.tabIndex = 0; // it may be wider than the page, and is scrolled by keys then
  element.prepend(formula);
}
