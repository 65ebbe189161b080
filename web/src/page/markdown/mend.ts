/** Half-written Markdown, made whole for the moment, so that nothing flickers while a reply streams in. */

/** The end of an open paragraph, list or heading with its half-written marks closed or, at the very end, left out. */
export function mended(source: string): string {
  const lines = source.split("\n");
  const last = lines.pop() ?? "";
  if (/^\s*(`{1,2}|~{1,2})$/.test(last)) return lines.join("\n"); // a fence that begins
  const closed = closedMarks(withoutHalfLink(last));
  return [...lines, closed].join("\n");
}

/** `[text](http://exa` shows its text until the address is whole. */
function withoutHalfLink(line: string): string {
  return line
    .replace(/!\[[^\]]*$|!\[[^\]]*\]\([^)]*$/, "")
    .replace(/\[([^\]]*)\]\([^)]*$/, "$1")
    .replace(/\[([^\]]*)$/, "$1");
}

/** Close emphasis and code that was opened on this line; an opener with nothing behind it is left out. */
function closedMarks(whole: string): string {
  const bullet = /^\s*\*(\s+|$)/.exec(whole)?.[0] ?? "";
  return bullet + closedSpan(whole.slice(bullet.length));
}

function closedSpan(line: string): string {
  const open: string[] = [];
  for (const [mark] of line.replace(/\\./g, "  ").matchAll(/`+|\*\*\*|\*\*|\*|~~|__/g)) {
    if (open.at(-1)?.startsWith("`") && open.at(-1) !== mark) continue; // inside code
    const at = open.lastIndexOf(mark);
    if (at >= 0) open.length = at;
    else open.push(mark);
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
