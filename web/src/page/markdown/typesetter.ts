/** Typesets TeX as MathML, in a separate chunk that is loaded with the first formula. */

import temml from "temml";

const MATHML = "http://www.w3.org/1998/Math/MathML";

/** What a formula may consist of; any other element is replaced by its contents. */
const ELEMENTS = new Set(
  (
    "math mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms mspace msqrt mstyle msub " +
    "msubsup msup mtable mtd mtext mtr munder munderover merror menclose none"
  ).split(" "),
);
const ATTRIBUTES = new Set(
  (
    "accent accentunder columnalign columnlines columnspacing columnspan depth dir display displaystyle fence form " +
    "height largeop linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize movablelimits " +
    "notation rowlines rowspacing rowspan rspace scriptlevel separator stretchy symmetric voffset width"
  ).split(" "),
);

/** A node of Temml's tree. */
interface Node {
  readonly type?: string;
  readonly text?: string;
  readonly classes?: readonly string[];
  readonly attributes?: Readonly<Record<string, string>>;
  readonly style?: Readonly<Record<string, string>>;
  readonly children?: readonly Node[];
}

/** The formula as an element; `undefined` for a syntax error. */
export function typeset(tex: string, display: boolean): Element | undefined {
  try {
    const tree: Node = temml.__renderToMathMLTree(tex, {
      displayMode: display,
      throwOnError: true,
      trust: false, // no links, images or ids
      maxExpand: 500,
      maxSize: [20, 20],
    });
    const built = build(tree);
    return built instanceof Element ? built : undefined;
  } catch {
    return undefined;
  }
}

/** Built node by node, because the page's policy forbids HTML in strings and styles in attributes. */
function build(node: Node): globalThis.Node {
  if (node.text !== undefined && !node.children?.length && !node.type)
    return document.createTextNode(node.text);
  const isElement = node.type !== undefined && ELEMENTS.has(node.type);
  const built = isElement ? document.createElementNS(MATHML, node.type) : document.createDocumentFragment();
  if (built instanceof Element) dress(built as MathMLElement, node);
  for (const child of node.children ?? []) built.appendChild(build(child));
  return built;
}

function dress(element: MathMLElement, { attributes = {}, classes = [], style = {} }: Node): void {
  for (const [name, value] of Object.entries(attributes))
    if (ATTRIBUTES.has(name)) element.setAttribute(name, value);
  if (classes.length) element.setAttribute("class", classes.filter(Boolean).join(" "));
  if (!("style" in element)) return; // a browser that knows no MathML
  if (attributes.style) element.style.cssText = attributes.style;
  Object.assign(element.style, style);
}
