/** Texts: their visible characters, their comparison in a search, and their form in one line. */

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** The visible characters of a text. */
export function* graphemes(text: string): Generator<string> {
  for (const { segment } of segmenter.segment(text)) yield segment;
}

// In other scripts, such as Devanagari and Thai, marks are vowels.
const ACCENTS =
  /([\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Arabic}\p{Script=Hebrew}])\p{M}+/gu;

/** A text without the differences that a person who searches does not type: case, accents, forms of letters. */
export function folded(text: string): string {
  return text.normalize("NFKD").replace(ACCENTS, "$1").toUpperCase().toLowerCase().replaceAll("ς", "σ");
}

/** Markdown without its marks, for places with one line. */
export function plain(text: string): string {
  return text.replace(/!?\[([^\]]*)\]\([^)]*\)?/g, "$1").replace(/[*_`~#|>]+/g, "");
}
