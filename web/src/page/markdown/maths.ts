/** A formula: its source until the typesetter is loaded, then MathML. A selection that is copied has the source. */

import { type Formula, innerOf } from "./maths_source.ts";

const MOST = 500; // formulas that are kept

let loaded: typeof import("./typesetter.ts") | undefined;
const typeset = new Map<string, Element | undefined>(); // by source

export function mathsElement({ source, display }: Formula): HTMLElement {
  const element = document.createElement("span");
  element.className = display ? "md-maths display" : "md-maths";
  element.translate = false;
  element.dir = "ltr";
  const written = document.createElement("span");
  written.className = "source";
  written.textContent = source;
  element.append(written);
  const show = () => {
    const formula = typesetFormula(source, display);
    if (!formula) return; // it stays as it was written
    written.ariaHidden = "true";
    element.classList.add("typeset");
    if (display) element.tabIndex = 0; // it may be wider than the page, and is scrolled by keys then
    element.prepend(formula.cloneNode(true));
  };
  if (loaded) show();
  else void load().then(show, () => undefined);
  return element;
}

async function load(): Promise<void> {
  loaded = await import("./typesetter.ts");
}

/** While text streams in, the same formula is shown many times. */
function typesetFormula(source: string, display: boolean): Element | undefined {
  if (!typeset.has(source)) {
    if (typeset.size >= MOST) typeset.clear();
    typeset.set(source, loaded?.typeset(innerOf(source), display));
  }
  return typeset.get(source);
}
