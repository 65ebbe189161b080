/** A text as its author wrote it, in which only addresses and mentions are alive. */

import type { ComponentChildren } from "preact";

import { addressAt, targetOf } from "./addresses.ts";

interface Props {
  readonly text: string;
  /** Names by the id of those who can be mentioned. */
  readonly names: Readonly<Record<string, string>>;
}

const EMAIL = /^[\w.+-]+@[a-z\d-]+(?:\.[a-z\d-]*[a-z\d])+(?![\w-])/i;
const ALIVE = /(?<![a-z\d])(?:https?:\/\/|www\.)|(?<![\w.+-])[\w.+-]+@[a-z\d]|(?<![\w@])@[\w.-]+/gi;

export function PlainText({ text, names }: Props) {
  return (
    <div class="md plain" dir="auto">
      {piecesOf(text, names)}
    </div>
  );
}

function piecesOf(text: string, names: Readonly<Record<string, string>>): ComponentChildren[] {
  const pieces: ComponentChildren[] = [];
  let end = 0;
  for (const { index } of text.matchAll(ALIVE)) {
    if (index < end) continue; // within the last one
    const [raw, piece] = aliveAt(text.slice(index), names) ?? [];
    if (raw === undefined) continue;
    pieces.push(text.slice(end, index), piece);
    end = index + raw.length;
  }
  return [...pieces, text.slice(end)];
}

/** The address or mention at the start of a text. */
function aliveAt(
  text: string,
  names: Readonly<Record<string, string>>,
): readonly [string, ComponentChildren] | undefined {
  if (text.startsWith("@")) return mentionAt(text, names);
  const address = addressAt(text);
  if (address !== undefined) return [address, <Link address={address} href={targetOf(address)} />];
  const mail = EMAIL.exec(text)?.[0];
  return mail === undefined ? undefined : [mail, <Link address={mail} href={`mailto:${mail}`} />];
}

function mentionAt(
  text: string,
  names: Readonly<Record<string, string>>,
): readonly [string, ComponentChildren] | undefined {
  let id = /^@([\w.-]+)/.exec(text)?.[1] ?? "";
  const known = (wanted: string) =>
    Object.keys(names).find((each) => each.toLowerCase() === wanted.toLowerCase());
  while (id && known(id) === undefined && /[.-]$/.test(id)) id = id.slice(0, -1); // the sentence's own
  const found = known(id);
  if (!id || found === undefined) return undefined;
  return [
    `@${id}`,
    <strong class="mention" title={names[found]} translate={false}>
      @{id}
    </strong>,
  ];
}

function Link({ address, href }: { address: string; href: string }) {
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow ugc" translate={false}>
      {address}
    </a>
  );
}
