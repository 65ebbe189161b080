/** Names of people, chatbots and chats, and the colour of each name. */

import type { Message, Session } from "../../client/index.ts";
import { t } from "../i18n/index.ts";
import { firstTitle } from "../state/titles.ts";
import { graphemes } from "./text.ts";

/** The title of a chat, or a substitute for an untitled one. */
export function titleOf(session: Session): string {
  return session.title ?? firstTitle(session.id) ?? t("chats.untitled");
}

/** The name of a message's sender. */
export function nameOf(
  message: Pick<Message, "sender_id" | "sender_type">,
  session: Session | undefined,
): string {
  return message.sender_type === "chatbot" ? chatbotName(message.sender_id, session) : message.sender_id;
}

/** The name of a chatbot; its id if it is no longer in the chat. */
export function chatbotName(id: string, session: Session | undefined): string {
  return session?.chatbots.find((each) => each.id === id)?.name ?? id;
}

/** Names of those who can be mentioned in a chat, by id. */
export function membersOf(session: Session | undefined): Readonly<Record<string, string>> {
  const users = (session?.users ?? []).map((id) => [id, id] as const);
  const chatbots = (session?.chatbots ?? []).map(({ id, name }) => [id, name] as const);
  return Object.fromEntries([...users, ...chatbots]);
}

/** A hue in degrees, constant for an id. */
export function hueOf(id: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (const character of id) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return Math.round(((hash >>> 0) * 137.508) % 360); // the golden angle spreads similar names
}

/** One or two letters for an avatar. */
export function initialsOf(name: string): string {
  const [first = "", second] = name.split(/[\s._-]+/).filter(Boolean);
  const [initial, next] = graphemes(first);
  const [last] = second ? graphemes(second) : [next];
  return [initial, last].join("") || "?";
}
