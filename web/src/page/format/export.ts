/** Exports a whole chat as a file. */

import type { Client, Message, Session } from "../../client/index.ts";
import { nameOf, titleOf } from "./names.ts";
import { exact } from "./times.ts";

/** Load every message, and offer them as a download. */
export async function exportChat(client: Client, session: Session, form: "markdown" | "json"): Promise<void> {
  const messages = await allMessages(client, session.id);
  const name =
    titleOf(session)
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .slice(0, 60) || "chat";
  if (form === "json")
    download(`${name}.json`, "application/json", JSON.stringify({ session, messages }, null, 2));
  else download(`${name}.md`, "text/markdown", asMarkdown(session, messages));
}

/** Save a text as a file, through the browser's download. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/**
 * The messages of a chat as Markdown, without superseded ones. Each text is a quotation: its headings stay below its
 * sender's name, and its open code blocks and HTML end with it.
 */
export function asMarkdown(session: Session, messages: readonly Message[]): string {
  const said = messages
    .filter((message) => !message.superseded_by && message.status !== "erased")
    .map(
      (message) =>
        `### ${literal(nameOf(message, session))}\n\n*${exact(message.created_at)}*\n\n${quoted(message.content)}\n`,
    );
  return [`# ${literal(titleOf(session))}\n`, ...said].join("\n");
}

/** A text as a block quotation. */
function quoted(text: string): string {
  return text
    .split(/\r\n|[\r\n]/)
    .map((line) => (line ? `> ${line}` : ">"))
    .join("\n");
}

/** A name in one line, without effect as Markdown. */
function literal(name: string): string {
  return name.replace(/\s+/g, " ").replace(/[\\`*_[\]<>#~|&$]/g, "\\$&");
}

/** Every message of a chat, loaded page by page. */
export async function allMessages(client: Client, session_id: string): Promise<Message[]> {
  const all: Message[] = [];
  for (let after = 0, more = true; more;) {
    const page = await client.call("get_messages", { session_id, after_seq: after, limit: 200 });
    all.push(...page.messages);
    after = page.messages.at(-1)?.seq ?? after;
    more = page.has_more && page.messages.length > 0;
  }
  return all;
}
