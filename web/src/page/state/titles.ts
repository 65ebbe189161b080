/**
 * Titles of new chats. The server gives a chat its title after the first reply; until then the page derives one from
 * the first message, in the same way.
 */

import { signal } from "@preact/signals";

import { graphemes, plain } from "../format/text.ts";

const LONGEST = 60; // code points, as on the server

const titles = signal<ReadonlyMap<string, string>>(new Map());

/** The title that the page gives a chat without one; `undefined` if it does not know the first message. */
export function firstTitle(id: string): string | undefined {
  return titles.value.get(id);
}

/** Take the title of a chat from its first message. */
export function setFirstTitle(id: string, content: string): void {
  if (titles.peek().has(id)) return;
  const title = titleFrom(content);
  if (title) titles.value = new Map(titles.peek()).set(id, title);
}

/** A title of one line, cut at a word boundary, or between two visible characters. */
export function titleFrom(content: string): string {
  const line = plain(content)
    .replace(/[\p{Cc}\s]+/gu, " ")
    .trim();
  if ([...line].length <= LONGEST) return line;
  let cut = "";
  for (const character of graphemes(line)) {
    if ([...(cut + character)].length >= LONGEST) break;
    cut += character;
  }
  const word = cut.lastIndexOf(" ");
  return `${(word > cut.length / 2 ? cut.slice(0, word) : cut).trimEnd()}…`;
}
