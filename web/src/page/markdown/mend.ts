/** Half-written Markdown, made whole for the moment, so that nothing flickers while a reply streams in. */

/** The end of an open paragraph, list or heading with its half-written marks closed or, at the very end, left out. */
export function mended(source: string): string {
  const lines = source.split("\n");
  const last = lines.pop() ?? "";
  if (BEGINS.test(last)) return lines.join("\n");
  if (last.trimStart().startsWith("|")) return [...lines, ...tableThatBegins(lines.at(-1), last)].join("\n");
  const closed = closedMarks(withoutHalfLink(last));
  return [...lines, closed].join("\n");
}

/** Code without the beginning of the fence that ends it. */
export function withoutHalfFence(code: string): string {
  return code.replace(/(^|\n)[ ]{0,3}(`{1,2}|~{1,2})$/, "");
}

/** A fence, a list, a rule, or the line below a heading, of which it is not known yet which. */
const BEGINS = /^\s*(`{1,2}|~{1,2}|-+|=+|[*+])\s*$/;

/** The last line of a table that has no body yet: its head is shown once the line below it makes it one. */
function tableThatBegins(above: string | undefined, last: string): string[] {
  const head = above?.trim() ?? "";
  if (!head.startsWith("|")) return [];
  if (!/^[\s|:-]+$/.test(last)) return [last];
  const columns = head.replace(/^\||\|$/g, "").split(/(?<!\\)\|/).length;
  return [`|${"-|".repeat(columns)}`];
}

/** `[text](http://exa` shows its text until the address is whole. */
function withoutHalfLink(line: string): string {
  return line
    .replace(/^(\s*[-*+]\s+)\[[ xX]?\]?$/, "$1") // a box to be ticked
    .replace(/!\[[^[\]]*\]?$|!\[[^[\]]*\]\([^()]*$/, "")
    .replace(/\[([^[\]]*)\]\([^()]*$/, "$1")
    .replace(/\[([^[\]]*)\]?$/, "$1");
}

/** Close emphasis and code that was opened on this line; an opener with nothing behind it is left out. */
function closedMarks(whole: string): string {
  const bullet = /^\s*\*(\s+|$)/.exec(whole)?.[0] ?? "";
  return bullet + closedSpan(whole.slice(bullet.length).replace(/(?<!~)~$|(?<=^|\s)_$/, ""));
}

/** A mark of emphasis or code; a single line below counts only at the edge of a word. */
const MARK = /`+|\*\*\*|\*\*|\*|~~|__|((?<!\w)_(?=[^\s_]))|(?<=[^\s_])_(?!\w)/g;

function closedSpan(line: string): string {
  const open: string[] = [];
  for (const [mark, opener] of line.replace(/\\./g, "  ").matchAll(MARK)) {
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
