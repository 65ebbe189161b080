/** What texts of users and chatbots may put into the page. All elements are built one by one, none from a text of HTML. */

import { t } from "../i18n/index.ts";

/** Addresses that a link may have: the web, mail and telephone. */
const ALLOWED = /^(?:https?:\/\/|mailto:|tel:)/i;

const REFERENCE = /&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z][a-z\d]{1,31}));/gi;

/** Usual character references; all others are in a part of the page that is loaded on demand. */
const USUAL = new Map(
  (
    "amp & lt < gt > quot \" apos ' copy © reg ® trade ™ hellip … mdash — ndash – lsquo ‘ rsquo ’ ldquo “ rdquo ” " +
    "laquo « raquo » bull • middot · times × divide ÷ plusmn ± deg ° micro µ sect § para ¶ euro € pound £ yen ¥ " +
    "cent ¢ larr ← rarr → uarr ↑ darr ↓ harr ↔ rArr ⇒ le ≤ ge ≥ ne ≠ infin ∞ alpha α beta β pi π nbsp \u00a0"
  )
    .split(/ (?=[a-z])/i)
    .map((each) => each.split(" ") as [string, string]),
);

/** The text with its usual character references (`&copy;`) decoded. */
export function decoded(text: string): string {
  return text.replace(REFERENCE, (whole, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined) return USUAL.get(name) ?? whole;
    const code = decimal === undefined ? parseInt(hex ?? "", 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : "\ufffd";
  });
}

/** The text with its character references decoded, unusual ones as soon as their names are loaded. */
export function textNode(text: string): Text {
  const node = document.createTextNode(decoded(text));
  const isUnusual = [...text.matchAll(REFERENCE)].some(
    ([, , , name]) => name !== undefined && !USUAL.has(name),
  );
  if (isUnusual)
    void import("./references.ts").then(
      (names) => (node.data = decoded(text.replace(REFERENCE, (each) => names.escaped(each)))),
      () => undefined, // they stay as they were written
    );
  return node;
}

const PARTS = /<span class="([\w -]+)">|<\/span>|[^<]+|</g;
const ESCAPED: Readonly<Record<string, string>> = {
  "&amp;": "&",
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&#x27;": "'",
};

/** Highlighted code, from the highlighter's HTML: `span`s with classes, and text. */
export function codeFragment(html: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  let at: Node = fragment;
  for (const [part, scope] of html.matchAll(PARTS)) {
    if (scope !== undefined) {
      const span = document.createElement("span");
      span.className = scope;
      at = at.appendChild(span);
    } else if (part === "</span>") {
      at = at.parentNode ?? fragment;
    } else {
      at.appendChild(document.createTextNode(part.replace(/&[a-z\d#]+;/g, (each) => ESCAPED[each] ?? each)));
    }
  }
  return fragment;
}

/** A link in a new tab, without access to this page; `undefined` for an address that is not allowed. */
export function linkTo(address: string, title?: string | null): HTMLAnchorElement | undefined {
  const href = decoded(address);
  if (!ALLOWED.test(href)) return undefined;
  const link = document.createElement("a");
  link.href = href;
  if (title) link.title = decoded(title);
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow ugc";
  return link;
}

/** Loading an image reveals the reader to its host, so each image is a button until it is clicked. */
export function imageButton(address: string, alt: string): Node {
  const url = URL.parse(decoded(address));
  if (url?.protocol !== "https:") return document.createTextNode(alt);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "md-image";
  button.textContent = t("message.image", {
    alt: alt || url.pathname.split("/").pop() || "…",
    host: url.host,
  });
  button.addEventListener("click", () => {
    const image = new Image();
    image.referrerPolicy = "no-referrer";
    image.alt = alt;
    image.src = url.href;
    button.replaceWith(image);
  });
  return button;
}
