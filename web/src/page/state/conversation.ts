/** The state of a chat that is or was open: the kit's session as signals. */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";

import type { Client, Message, Reply, Session, SessionState } from "../../client/index.ts";
import type { ServerEvents } from "../../client/types.ts";
import { setFirstTitle } from "./titles.ts";

const TYPING_ENDS = 8_000; // milliseconds without news after which a typing indicator disappears
const ATTENDED_WITHIN = 10_000; // milliseconds in which a chatbot that has a turn reports that it is typing

export interface Typist {
  readonly type: "user" | "chatbot";
  readonly id: string;
}

/** A row of the conversation: a message or an active reply, with the replies that it supersedes. */
export interface Row {
  readonly id: string;
  /** `undefined` while the reply is active or awaited. */
  readonly message: Message | undefined;
  /** Superseded replies, oldest first. */
  readonly earlier: readonly Message[];
}

export class Conversation {
  readonly id: string;
  readonly session = signal<Session | undefined>(undefined);
  readonly messages = signal<readonly Message[]>([]);
  readonly state = signal<"loading" | "ready" | "gone">("loading");
  readonly hasOlder = signal(false);
  /** Ids of the active replies. */
  readonly activeReplies = signal<readonly string[]>([]);
  readonly typists = signal<readonly Typist[]>([]);
  /** Ids of the users who have the chat open on any device. */
  readonly present = signal<readonly string[]>([]);
  /** Read marks of other members: seq by user id. */
  readonly readers = signal<Readonly<Record<string, number>>>({});
  /** Whether an answer is awaited, and no chatbot has reported to be at work: no worker consumes turns. */
  readonly isUnattended = signal(false);
  readonly rows: ReadonlySignal<readonly Row[]>;
  private attendance: ReturnType<typeof setTimeout> | undefined;
  private readonly texts = new Map<string, Signal<Reply>>();
  private readonly typingEnds = new Map<string, ReturnType<typeof setTimeout>>();
  private held: SessionState | undefined;

  constructor(
    private readonly client: Client,
    id: string,
    private readonly me: string,
  ) {
    this.id = id;
    this.rows = computed(() => rowsOf(this.messages.value, this.activeReplies.value));
  }

  /** Open the chat, and show what is loaded already. */
  open(): void {
    this.client.open(this.id).then(
      () => undefined,
      () => undefined, // reported by `closed`
    );
    this.held = this.client.sessions.find((each) => each.id === this.id);
    if (this.held?.live) this.refresh();
  }

  /** Copy the kit's state into the signals. */
  refresh(): void {
    const held = (this.held = this.client.sessions.find((each) => each.id === this.id));
    if (!held?.session) return;
    const [first] = held.messages;
    if (first && !held.session.title && !held.hasOlder) setFirstTitle(this.id, first.content);
    batch(() => {
      this.session.value = held.session;
      this.messages.value = held.messages;
      this.hasOlder.value = held.hasOlder;
      this.state.value = "ready";
      this.repliesChanged(held);
    });
  }

  /** Expect a sign of life from a chatbot, because a message was stored or a reply is awaited. */
  awaitChatbot(): void {
    const { reply_policy, chatbots } = this.session.peek() ?? {};
    if (
      this.attendance ||
      this.isUnattended.peek() ||
      this.isTyping() ||
      reply_policy === "silent" ||
      !chatbots?.length
    )
      return;
    this.attendance = setTimeout(() => (this.isUnattended.value = true), ATTENDED_WITHIN);
  }

  /** A chatbot is at work, or nothing is known without a connection. */
  private attended(): void {
    clearTimeout(this.attendance);
    this.attendance = undefined;
    this.isUnattended.value = false;
  }

  /** Update the text of an active reply. */
  streamed(reply: Reply): void {
    if (reply.text || reply.reasoning) this.attended();
    const text = this.texts.get(reply.message_id);
    if (text) {
      text.value = reply;
      return;
    }
    this.texts.set(reply.message_id, signal(reply));
    if (this.held) this.repliesChanged(this.held);
  }

  /** The text of an active reply; `undefined` before its first text. */
  reply(id: string): Reply | undefined {
    return this.texts.get(id)?.value;
  }

  typing({ sender_type, sender_id, typing }: ServerEvents["typing"]): void {
    if (sender_type === "user" && sender_id === this.me) return;
    if (sender_type === "chatbot" && typing) this.attended();
    const key = `${sender_type}/${sender_id}`;
    clearTimeout(this.typingEnds.get(key));
    const others = this.typists.value.filter((each) => `${each.type}/${each.id}` !== key);
    this.typists.value = typing ? [...others, { type: sender_type, id: sender_id }] : others;
    const end = () => {
      this.typing({ session_id: this.id, sender_type, sender_id, typing: false });
      if (sender_type === "chatbot" && this.activeReplies.peek().length) this.awaitChatbot(); // its worker is gone
    };
    if (typing) this.typingEnds.set(key, setTimeout(end, TYPING_ENDS));
  }

  /** A message was stored: its sender no longer types, and one of a user is to be answered. */
  arrived({ sender_type, sender_id }: Message): void {
    if (sender_type === "chatbot") this.attended();
    else this.awaitChatbot();
    if (this.typists.value.some((each) => each.type === sender_type && each.id === sender_id))
      this.typing({ session_id: this.id, sender_type, sender_id, typing: false });
  }

  read({ user_id, seq }: ServerEvents["read"]): void {
    if ((this.readers.value[user_id] ?? 0) < seq)
      this.readers.value = { ...this.readers.value, [user_id]: seq };
  }

  /** Clear presence and typing indicators: they are unknown without a connection. */
  disconnected(): void {
    this.attended();
    this.typists.value = [];
    this.present.value = [];
  }

  private isTyping(): boolean {
    return this.typists.peek().some(({ type }) => type === "chatbot");
  }

  /** Load the previous page; rejects with a `BackchatError`. */
  async older(): Promise<void> {
    await this.client.older(this.id, 100);
    this.refresh();
  }

  private repliesChanged(held: SessionState): void {
    for (const [id, reply] of held.replies) if (!this.texts.has(id)) this.texts.set(id, signal(reply));
    for (const id of this.texts.keys()) if (!held.replies.has(id)) this.texts.delete(id);
    const ids = [...held.replies.keys()];
    if (ids.join() !== this.activeReplies.peek().join()) this.activeReplies.value = ids;
    if (held.replies.size && [...held.replies.values()].every(({ text, reasoning }) => !text && !reasoning))
      this.awaitChatbot();
  }
}

/** One row for each message; superseded replies are grouped with their replacement. */
export function rowsOf(messages: readonly Message[], activeReplies: readonly string[]): Row[] {
  const earlier = new Map<string, Message[]>(); // by the id of their replacement
  const rows: Row[] = [];
  const held = new Set<string>();
  for (const message of messages) {
    held.add(message.id);
    const before = earlier.get(message.id) ?? [];
    const { superseded_by: next } = message;
    if (next) earlier.set(next, [...(earlier.get(next) ?? []), ...before, message]);
    else rows.push({ id: message.id, message, earlier: before });
  }
  for (const id of new Set([...earlier.keys(), ...activeReplies])) {
    if (!held.has(id)) rows.push({ id, message: undefined, earlier: earlier.get(id) ?? [] });
  }
  return rows;
}
