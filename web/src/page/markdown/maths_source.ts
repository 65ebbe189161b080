/**
 * Finds maths in Markdown: `\(…\)`, `\[…\]`, `$$…$$`, `\begin{…}…\end{…}`, and `$…$` by Pandoc's rule (no white space
 * inside next to either dollar, and no digit behind the second), but never across code or an address.
 */

/** A formula as it was written. */
export interface Formula {
  /** With its delimiters. */
  readonly source: string;
  readonly display: boolean;
}

const NO_GAP = "(?!\\n[ \\t]*\\n)"; // no formula spans a blank line
const until = (end: string) => `(?:${NO_GAP}(?!${end})(?:\\\\[\\s\\S]|[^\\\\]))+?${end}`;
const ROUND = `\\\\\\((?:${NO_GAP}(?!\\\\\\))[\\s\\S])+?\\\\\\)`;
const SQUARE = `\\\\\\[(?:${NO_GAP}(?!\\\\\\])[\\s\\S])+?\\\\\\]`;
const DOUBLE = `\\$\\$${until("\\$\\$")}`;
const SINGLE = `\\$(?![\\s$])(?:${NO_GAP}(?!:\\/\\/)(?:\\\\[\\s\\S]|[^\\\\$\\x60]))*?(?<!\\s)\\$(?![\\d$])`;
const NAMED = "\\\\begin\\{([a-zA-Z]+\\*?)\\}[\\s\\S]+?\\\\end\\{\\1\\}";

/** Code, addresses and tags, in which nothing is maths. */
const OTHERS =
  "(?<ticks>`+)(?:[^`]|[^`][\\s\\S]*?[^`])\\k<ticks>(?!`)|`+|https?:\\/\\/[^\\s<)\\]]+|<\\/?[a-z][^<>]*>|\\]\\([^\\s()]*\\)";
const FORMULA = `(?<formula>${ROUND}|${SQUARE}|${DOUBLE}|${SINGLE})`;
const INLINE = new RegExp(`${OTHERS}|${FORMULA}|\\\\[\\s\\S]|\\$+`, "gi");

const BLOCK = new RegExp(`^ {0,3}(${SQUARE}|${DOUBLE}|${NAMED.replace("\\1", "\\2")})[ \\t]*(?:\\n+|$)`);
const BLOCK_START = /\n(?= {0,3}(?:\$\$|\\\[|\\begin\{))/g;

/** Characters that Unicode reserves for a program's own use; a placeholder is a number between them. */
const [OPEN, CLOSE] = ["\ufdd0", "\ufdd1"];
const PLACEHOLDER = new RegExp(`^${OPEN}(\\d+)${CLOSE}`);
const PLACEHOLDERS = new RegExp(`${OPEN}(\\d+)${CLOSE}`, "g");

/** The text with each formula replaced by a placeholder, so that Markdown cannot damage it. */
export function withoutFormulas(text: string): {
  readonly text: string;
  readonly formulas: readonly Formula[];
} {
  const formulas: Formula[] = [];
  if (!/[$\\]/.test(text) || text.includes(OPEN)) return { text, formulas };
  const replaced = text.replace(INLINE, (whole, ...details) => {
    const { formula } = details.at(-1) as { formula?: string };
    if (formula === undefined) return whole;
    formulas.push({ source: formula, display: isDisplay(formula) });
    return `${OPEN}${formulas.length - 1}${CLOSE}`;
  });
  return { text: replaced, formulas };
}

/** The number of the placeholder at the start of a text, and its length. */
export function placeholderAt(text: string): { readonly raw: string; readonly number: number } | undefined {
  const match = PLACEHOLDER.exec(text);
  return match ? { raw: match[0], number: Number(match[1]) } : undefined;
}

/** The place of the next placeholder. */
export const placeholderIn = (text: string): number => text.indexOf(OPEN);

/** The text with its formulas in place. */
export function withFormulas(text: string, formulas: readonly Formula[]): string {
  return text.replace(PLACEHOLDERS, (whole, number) => formulas[Number(number)]?.source ?? whole);
}

/** The formula that is a block at the start of a text. */
export function formulaBlock(text: string): { readonly raw: string; readonly source: string } | undefined {
  const match = BLOCK.exec(text);
  return match?.[1] === undefined ? undefined : { raw: match[0], source: match[1] };
}

/** The place of the next line that begins such a block. */
export function formulaBlockIn(text: string): number | undefined {
  for (const { index } of text.matchAll(BLOCK_START))
    if (formulaBlock(text.slice(index + 1))) return index + 1;
  return undefined;
}

/** The text up to a formula that begins and does not end, while it streams in. */
export function withoutHalfFormula(text: string): string {
  const paragraph = Math.max(0, ...[...text.matchAll(/\n[ \t]*\n/g)].map(({ index }) => index));
  const { text: rest } = withoutFormulas(text.slice(paragraph));
  const begun = [...rest.matchAll(new RegExp(`${OTHERS}|(?<begun>\\\\[([]|\\$\\$)|\\\\[\\s\\S]`, "gi"))].find(
    ({ groups }) => groups?.begun,
  );
  return begun ? text.slice(0, text.length - rest.length + begun.index).trimEnd() : text;
}

/** The formula without its delimiters. */
export function innerOf(source: string): string {
  if (source.startsWith("\\begin")) return source;
  const width = source.startsWith("$") && !source.startsWith("$$") ? 1 : 2;
  return source.slice(width, -width);
}

function isDisplay(source: string): boolean {
  return source.startsWith("$$") || source.startsWith("\\[");
}
