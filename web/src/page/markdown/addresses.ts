/** Addresses in plain text, and where they end: before the punctuation and the words that follow them. */

const START = /^(?:https?:\/\/|www\.(?=[^\s.]))/i;

/** What no address contains: space, marks of Markdown and HTML, and punctuation of any script outside ASCII. */
const END =
  /[\s<>"`\\|\p{Cc}\p{Z}]|\*\*|~~|[,;](?=https?:\/\/)|(?![\u200c\u200d])\p{Cf}|(?![\u00b7\u30fb])[^\0-\x7f](?<=[\p{P}\p{S}])/u;

/** A letter of a script without spaces after one of ASCII: a word that follows the address. */
const NEXT_WORD =
  /(?<=[\w%~-])(?=[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}])/u;

const TRAILING = /(?:[?!.,:;*_~'\u00b7\u30fb]|&[a-z\d]+;|'s)$/i;

const CLOSING: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };

/** The address at the start of a text; `undefined` if there is none. */
export function addressAt(text: string): string | undefined {
  const scheme = START.exec(text)?.[0];
  if (scheme === undefined) return undefined;
  let rest = text.slice(scheme.length);
  rest = rest.slice(0, endOf(END, rest));
  rest = rest.slice(0, endOf(NEXT_WORD, rest));
  rest = rest.slice(0, unbalanced(rest));
  while (TRAILING.test(rest)) rest = rest.replace(TRAILING, "");
  return /^(?:\[|[\p{L}\p{N}])/u.test(rest) ? scheme + rest : undefined;
}

/** The target of an address: `www.` begins a web address. */
export function targetOf(address: string): string {
  return /^www\./i.test(address) ? `http://${address}` : address;
}

function endOf(pattern: RegExp, text: string): number {
  const at = text.search(pattern);
  return at < 0 ? text.length : at;
}

/** The place of the first closing bracket that is not opened within the address. */
function unbalanced(text: string): number {
  const open: string[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if ("([{".includes(character)) open.push(character);
    const opener = CLOSING[character];
    if (opener === undefined) continue;
    const last = open.lastIndexOf(opener);
    if (last < 0) return at;
    open.length = last;
  }
  return text.length;
}
