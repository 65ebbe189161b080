/** Completes half-written Markdown, so that nothing flickers while a reply streams in. */

import { withoutFormulas, withoutHalfFormula } from "./maths_source.ts";

/** The end of an open paragraph, list or heading, with half-written marks closed or, at the very end, removed. */
export function withClosedMarks(source: string): string {
  const lines = withoutHalfFormula(source)
    .replace(/(?<!\\)((?:\\\\)*)\\$/, "$1") // an escape without its character
    .replace(/(?<![\w$])\$$/, "")
    .split("\n");
  const last = lines.pop() ?? "";
  if (BEGINS.test(last) || NOTE_BEGINS.test(last)) return lines.join("\n");
  if (last.trimStart().startsWith("|")) return [...lines, ...tableThatBegins(lines.at(-1), last)].join("\n");
  const closed = closedMarks(withoutHalfLink(last));
  return [...lines, closed].join("\n");
}

/** Code without a half-written closing fence. */
export function withoutHalfFence(code: string): string {
  return code.replace(/(^|\n)[ ]{0,3}(`{1,2}|~{1,2})$/, "");
}

/** The first characters of a fence, list, rule or heading underline, while it is unknown which. */
const BEGINS = /^\s*(`{1,2}|~{1,2}|-+|=+|[*+])\s*$/;

/** The label of a footnote, while it is unknown whether it is a reference. */
const NOTE_BEGINS = /^\s*\[\^[^\s[\]]*\]?:?$/;

/** The last line of a table without rows: a header is shown once the line below it makes it a table. */
function tableThatBegins(above: string | undefined, last: string): string[] {
  const head = above?.trim() ?? "";
  if (!head.startsWith("|")) return [];
  if (!/^[\s|:-]+$/.test(last)) return [last];
  const columns = head.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).length;
  return [`|${"-|".repeat(columns)}`];
}

/** `[text](http://exa` shows only its text until the address is complete. */
function withoutHalfLink(line: string): string {
  return line
    .replace(/^(\s*[-*+]\s+)\[[ xX]?\]?$/, "$1") // a task's checkbox
    .replace(/!\[[^[\]]*\]?$|!\[[^[\]]*\]\([^()]*$/, "")
    .replace(/\[([^[\]]*)\]\([^()]*$/, "$1")
    .replace(/\[\^[^[\]]*$/, "") // a reference to a footnote
    .replace(/\[(?!\^)([^[\]]*)\]?$/, "$1")
    .replace(/<\/?(?:b|br ?\/?|s|su|su[bp]|k|kb|kbd)?$/i, ""); // a tag that is shown as one
}

/** Close emphasis and code opened on this line; remove an opening mark with nothing behind it. */
function closedMarks(whole: string): string {
  const bullet = /^\s*\*(\s+|$)/.exec(whole)?.[0] ?? "";
  return bullet + closedSpan(whole.slice(bullet.length).replace(/(?<!~)~$|(?<=^|\s)_$/, ""));
}

/** A mark of emphasis or code. A single underscore counts only at the edge of a word. */
const MARK = /`+|\*\*\*|\*\*|\*|~~|__|((?<!\w)_(?=[^\s_]))|(?<=[^\s_])_(?!\w)/g;

function closedSpan(line: string): string {
  const open: string[] = [];
  for (const [mark, opener] of withoutFormulas(line).text.replace(/\\./g, "  ").matchAll(MARK)) {
    if (open.at(-1)?.startsWith("`") && open.at(-1) !== mark) continue; // inside code
    const at = open.lastIndexOf(mark);
    if (at >= 0) open.length = at;
    else if (mark !== "_" || opener) open.push(mark);
  }
  const bare = open.at(-1);
  if (bare && line.endsWith(bare)) return closedWith(line.slice(0, -bare.length), open.slice(0, -1));
  return closedWith(line, open);
}

function closedWith(line: string, open: readonly string[]): string {
  if (open.length === 0) return line;
  const trimmed = line.trimEnd(); // a closing mark must follow a letter
  return trimmed + [...open].reverse().join("") + line.slice(trimmed.length);
}
