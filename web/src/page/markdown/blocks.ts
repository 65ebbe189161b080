/**
 * Splits Markdown into blocks. While text streams in, what is finished is not parsed again: blocks, and in a list or table
 * that grows, its items and rows.
 */

import type { Token, Tokens } from "marked";

import { blocksOf, type Links, type NoteToken } from "./lexer.ts";
import { withClosedMarks, withoutHalfFence } from "./open_marks.ts";

/** The blocks of a text, and what their inline text may refer to. */
export interface Parsed {
  readonly tokens: readonly Token[];
  readonly links: Links;
  /** Labels of the footnotes. */
  readonly notes: ReadonlySet<string>;
  /** Changes with `links` and `notes`. */
  readonly version: string;
}

/** The finished part of a list or table that grows. */
interface Growing {
  readonly token: Tokens.List | Tokens.Table;
  readonly length: number; // characters of the source
  readonly head: string; // what a row needs before it to be parsed as one
}

/** The blocks of a text. While the text is `open`, its last block may grow. */
export class Blocks {
  private finished: Token[] = [];
  private finishedLength = 0; // number of source characters that `finished` covers
  private growing: Growing | undefined;
  private links: Links = {};
  private notes = new Set<string>();
  private source = "";

  /** Parse the new part; unchanged blocks are the same objects as before. */
  update(source: string, open: boolean): Parsed {
    if (!open || !source.startsWith(this.source)) this.reset();
    this.source = source;
    // a trailing line break is ambiguous while the text is open
    const rest = open ? source.slice(this.finishedLength).trimEnd() : source;
    const tokens = this.lexed(rest, open);
    const last = tokens.findLastIndex((token) => token.type !== "space");
    const shown = tokens.filter((token) => token.type !== "space" && token.type !== "def");
    if (!open) return this.parsed(shown);
    const whole = tokens.slice(0, Math.max(last, 0));
    this.finished.push(...whole.filter((token) => shown.includes(token)));
    this.finishedLength += whole.reduce((sum, token) => sum + token.raw.length, 0);
    if (whole.length) this.growing = undefined;
    const rests = shown.filter((token) => !whole.includes(token));
    this.growing = growingOf(rests.at(-1), this.growing) ?? this.growing;
    return this.parsed([...this.finished, ...rests]);
  }

  /** The tokens of the unfinished part. A growing list or table is completed by its new items or rows. */
  private lexed(rest: string, open: boolean): Token[] {
    const { growing } = this;
    if (!growing) return this.lex(rest, open);
    const [first, ...others] = this.lex(growing.head + rest.slice(growing.length), open);
    const joined = first && joinedWith(growing, first, rest);
    if (joined) return [joined, ...others];
    this.growing = undefined;
    return this.lex(rest, open);
  }

  private lex(source: string, open: boolean): Token[] {
    const parsed = open ? openBlocksOf(source) : blocksOf(source);
    this.define(parsed.tokens, parsed.links);
    return parsed.tokens;
  }

  private define(tokens: readonly Token[], links: Links): void {
    this.links = { ...links, ...this.links }; // the first definition is valid
    for (const token of tokens) if (token.type === "note") this.notes.add((token as NoteToken).label);
  }

  private parsed(tokens: readonly Token[]): Parsed {
    const { links, notes } = this;
    return { tokens, links, notes, version: JSON.stringify([links, [...notes]]) };
  }

  private reset(): void {
    this.finished = [];
    this.finishedLength = 0;
    this.growing = undefined;
    this.links = {};
    this.notes = new Set();
  }
}

/** The blocks of a text whose end is not written yet. */
function openBlocksOf(source: string): ReturnType<typeof blocksOf> {
  const parsed = blocksOf(source);
  const last = deepest(parsed.tokens);
  if (last?.type === "table") return parsed;
  if (last?.type === "code") {
    last.text = withoutHalfFence((last as Tokens.Code).text);
    return parsed;
  }
  // a definition is not valid yet, because its address may be incomplete
  const end = last?.type === "def" ? source.lastIndexOf(last.raw) : source.length;
  const closed = withClosedMarks(source.slice(0, Math.max(end, 0)));
  return closed === source ? parsed : blocksOf(closed);
}

/** The block at the very end, inside lists and quotes. */
function deepest(tokens: readonly Token[]): Token | undefined {
  const last = tokens.findLast((token) => token.type !== "space");
  if (last?.type === "list") return deepest((last as Tokens.List).items.at(-1)?.tokens ?? []) ?? last;
  if (last?.type === "blockquote" || last?.type === "note") return deepest(last.tokens ?? []) ?? last;
  return last;
}

/** The part of a list or table that is finished: all but its last item or row. */
function growingOf(token: Token | undefined, before: Growing | undefined): Growing | undefined {
  if (token?.type === "list") return growingList(token as Tokens.List, before);
  if (token?.type === "table") return growingTable(token as Tokens.Table, before);
  return undefined;
}

function growingList(list: Tokens.List, before: Growing | undefined): Growing | undefined {
  const known = before?.token as Tokens.List | undefined;
  const added = list.items.slice(known?.items.length ?? 0, -1);
  if (!added.length) return undefined;
  const length = added.reduce((sum, { raw }) => sum + raw.length, before?.length ?? 0);
  const loose = list.loose || added.some(({ raw }) => /\n[ \t]*\n$/.test(raw));
  return { token: { ...list, items: list.items.slice(0, -1), loose }, length, head: "" };
}

function growingTable(table: Tokens.Table, before: Growing | undefined): Growing | undefined {
  const known = before?.token as Tokens.Table | undefined;
  const added = table.rows.length - 1 - (known?.rows.length ?? 0);
  if (added < 1) return undefined;
  const lines = table.raw.slice(before?.length ?? 0).split("\n");
  const head = before?.head ?? `${lines.splice(0, 2).join("\n")}\n`;
  const length = lines
    .slice(0, added)
    .reduce((sum, line) => sum + line.length + 1, before?.length ?? head.length);
  return { token: { ...table, rows: table.rows.slice(0, -1) }, length, head };
}

/** The whole list or table; `undefined` if the new part does not continue it. */
function joinedWith({ token, length, head }: Growing, next: Token, source: string): Token | undefined {
  const raw = source.slice(0, length - head.length + next.raw.length);
  if (token.type === "list" && next.type === "list") {
    const list = next as Tokens.List;
    if (markOf(list) !== markOf(token as Tokens.List)) return undefined;
    return { ...token, raw, items: [...token.items, ...list.items], loose: token.loose || list.loose };
  }
  if (token.type === "table" && next.type === "table")
    return { ...token, raw, rows: [...token.rows, ...(next as Tokens.Table).rows] };
  return undefined;
}

/** The character that marks the items of a list: another one begins another list. */
function markOf(list: Tokens.List): string | undefined {
  return /^\s*(?:[*+-]|\d+[.)])/.exec(list.items[0]?.raw ?? "")?.[0].at(-1);
}
