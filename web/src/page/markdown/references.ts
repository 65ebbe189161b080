/** All named character references of HTML, in a separate chunk that is loaded with the first unusual one. */

import createPurifier from "dompurify";

const purifier = createPurifier(window);
const known = new Map<string, string>();

/** A reference as one that has a number; unchanged if there is none of that name. */
export function escaped(reference: string): string {
  if (!/^&[a-z]/i.test(reference)) return reference;
  const numbered = known.get(reference) ?? numberedOf(reference);
  known.set(reference, numbered);
  return numbered;
}

function numberedOf(reference: string): string {
  const fragment = purifier.sanitize(`<b>${reference}</b>`, {
    ALLOWED_TAGS: ["#text"],
    RETURN_DOM_FRAGMENT: true,
  });
  const characters = fragment.textContent ?? "";
  if (characters === reference) return reference;
  return [...characters].map((each) => `&#${each.codePointAt(0)};`).join("");
}
