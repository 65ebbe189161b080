/** The Markdown dialect: CommonMark and GFM by `marked`, with maths, footnotes, and other rules for emphasis and addresses. */

import { Lexer, type MarkedOptions, type Token, Tokenizer, type Tokens } from "marked";

import { addressAt, targetOf } from "./addresses.ts";
import { EMPHASIS } from "./emphasis.ts";
import {
  type Formula,
  formulaBlock,
  formulaBlockIn,
  placeholderAt,
  placeholderIn,
  withoutFormulas,
} from "./maths_source.ts";

/** A block of maths, or (inline) a placeholder with the number of a formula. */
export interface MathsToken extends Tokens.Generic {
  type: "maths";
  source: string;
  number: number;
}

/** A footnote, or (inline) a reference to one. */
export interface NoteToken extends Tokens.Generic {
  type: "note";
  label: string;
  tokens: Token[];
}

export type Links = Record<string, Pick<Tokens.Link, "href" | "title">>;

const NOTE =
  /^ {0,3}\[\^([^\s[\]]+)\]:[ \t]*(.*(?:\n(?! {0,3}\[\^[^\s[\]]+\]:)(?:[ \t]+\S.*|(?![ \t]*$|[#>*+-]|\d+[.)]).+))*(?:\n[ \t]*\n(?: {4}|\t).*(?:\n(?![ \t]*\n).+)*)*)(?:\n+|$)/;
const NOTE_START = /\n(?= {0,3}\[\^[^\s[\]]+\]:)/;
const REFERENCE = /^\[\^([^\s[\]]+)\]/;

type Extensions = NonNullable<NonNullable<ConstructorParameters<typeof Lexer>[0]>["extensions"]>;

const extensions: Extensions = {
  renderers: {},
  childTokens: {},
  block: [
    (source) => {
      const block = formulaBlock(source);
      return block && { type: "maths", ...block, number: -1 };
    },
    function (source) {
      const [raw, label, text] = NOTE.exec(source) ?? [];
      if (raw === undefined) return undefined;
      const inner = (text ?? "").replace(/^(?: {1,4}|\t)/gm, "");
      return { type: "note", raw, label, tokens: this.lexer.blockTokens(inner, []) };
    },
  ],
  startBlock: [
    (source) => formulaBlockIn(source),
    (source) => {
      const match = NOTE_START.exec(source);
      return match ? match.index + 1 : undefined;
    },
  ],
  inline: [
    (source) => {
      const found = placeholderAt(source);
      return found && { type: "maths", raw: found.raw, source: "", number: found.number };
    },
    (source) => {
      const [raw, label] = REFERENCE.exec(source) ?? [];
      return raw === undefined ? undefined : { type: "note", raw, label, tokens: [] };
    },
  ],
  startInline: [placeholderIn],
};

class Dialect extends Tokenizer {
  override url(source: string): Tokens.Link | undefined {
    const text = addressAt(source);
    if (text === undefined) return /^(?:https?:|www\.)/i.test(source) ? undefined : super.url(source);
    const href = targetOf(text);
    return { type: "link", raw: text, text, href, tokens: [{ type: "text", raw: text, text }] };
  }
}

function lexer(): Lexer {
  const tokenizer = new Dialect();
  const options: MarkedOptions = { gfm: true, breaks: true, tokenizer };
  const made = new Lexer({ ...options, extensions } as ConstructorParameters<typeof Lexer>[0]);
  tokenizer.rules = { ...tokenizer.rules, inline: { ...tokenizer.rules.inline, ...EMPHASIS } };
  return made;
}

/** The blocks of a text, without their inline tokens: those are lexed when they are shown. */
export function blocksOf(source: string): { readonly tokens: Token[]; readonly links: Links } {
  const made = lexer();
  const tokens = made.blockTokens(source.replace(/\r\n|\r/g, "\n"), made.tokens);
  return { tokens, links: made.tokens.links as Links };
}

/** The inline tokens of a block's text, and the formulas for its placeholders. */
export function inlineOf(
  source: string,
  links: Links,
): { readonly tokens: Token[]; readonly formulas: readonly Formula[] } {
  const { text, formulas } = withoutFormulas(source);
  const made = lexer();
  Object.assign(made.tokens.links, links);
  return { tokens: made.inlineTokens(text), formulas };
}
