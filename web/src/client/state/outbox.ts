/**
 * Messages without a known outcome. Each is stored before it is first sent, and resent under the same id until its
 * outcome is known. A session has one active message at a time, so that the next one cannot overtake it.
 */

import type { Random } from "../backoff.ts";
import type { BackchatError } from "../errors.ts";
import { type Link, RetriedCall } from "./retried_call.ts";
import { keyOf, type OutboxEntry, type OutboxStorage } from "../storage.ts";
import type { Message, MessageRejected } from "../types.ts";

export interface Draft {
  readonly session_id: string;
  readonly content: string;
  readonly client_message_id: string;
  readonly reply_to?: string | null | undefined;
}

/** Receives the outcome of messages. */
export interface OutboxListener {
  /** The server holds the message durably: it will be stored, or `failed` follows. */
  accepted(sent: { session_id: string; client_message_id: string; message_id: string }): void;
  /** The message will not be stored; `code` is `not_found`, `invalid_request` … */
  failed(sent: { session_id: string; client_message_id: string; code: string; message: string }): void;
}

interface Item {
  readonly entry: OutboxEntry;
  readonly call: RetriedCall<"send_message">;
}

export class Outbox {
  private readonly items = new Map<string, Item>(); // by `keyOf`, in the order of sending
  private order = 0;

  constructor(
    private readonly link: Link,
    private readonly storage: OutboxStorage,
    private readonly listener: OutboxListener,
    private readonly random?: Random,
  ) {
    for (const entry of storage.load().sort((a, b) => a.order - b.order)) this.keep(entry);
  }

  /** The messages without a known outcome, in the order of sending. */
  get entries(): readonly OutboxEntry[] {
    return [...this.items.values()].map((item) => item.entry);
  }

  /** Store a message and send it as soon as possible. A known id changes nothing. Throws what the store throws. */
  send(draft: Draft): void {
    if (this.items.has(keyOf(draft))) return;
    const entry: OutboxEntry = {
      client_message_id: draft.client_message_id,
      session_id: draft.session_id,
      content: draft.content,
      reply_to: draft.reply_to ?? null,
      order: Math.max(this.order + 1, Date.now()),
    };
    this.storage.save(entry);
    this.keep(entry);
    this.first(entry.session_id)?.call.go();
  }

  /** A connection is ready: send the first message of each session. */
  connected(): void {
    const sessions = new Set(this.entries.map((entry) => entry.session_id));
    for (const id of sessions) this.first(id)?.call.connected();
  }

  /** The connection is lost: the outcome of active messages is unknown. */
  disconnected(): void {
    for (const item of this.items.values()) item.call.disconnected();
  }

  /** A message of this user is stored. This counts as its ack, which may arrive later or never. */
  stored(message: Message): void {
    const item = this.find(message.session_id, message.client_message_id);
    if (item) this.accept(item, message.id);
  }

  /** Apply `message_rejected`, which may arrive before the ack, after it, or instead of it. */
  rejected(rejection: MessageRejected): void {
    const item = this.find(rejection.session_id, rejection.client_message_id);
    if (item) this.remove(item);
    const { session_id, client_message_id, code } = rejection;
    if (client_message_id !== null) {
      this.listener.failed({
        session_id,
        client_message_id,
        code,
        message: "The message could not be stored.",
      });
    }
    if (item) this.sendNext(item);
  }

  /** Stop all calls. The store keeps the messages. */
  close(): void {
    for (const item of this.items.values()) item.call.stop();
  }

  private keep(entry: OutboxEntry): void {
    const { session_id, content, client_message_id, reply_to } = entry;
    const payload = { session_id, content, client_message_id, ...(reply_to === null ? {} : { reply_to }) };
    const outcome = {
      done: (answer: { message_id: string }) => this.accept(item, answer.message_id),
      failed: (error: BackchatError) => this.refuse(item, error),
    };
    const item: Item = {
      entry,
      call: new RetriedCall(this.link, "send_message", () => payload, outcome, this.random),
    };
    this.order = Math.max(this.order, entry.order);
    this.items.set(keyOf(entry), item);
  }

  private accept(item: Item, messageId: string): void {
    const { session_id, client_message_id } = item.entry;
    this.remove(item);
    this.listener.accepted({ session_id, client_message_id, message_id: messageId });
    this.sendNext(item);
  }

  private refuse(item: Item, error: BackchatError): void {
    const { session_id, client_message_id } = item.entry;
    this.remove(item);
    this.listener.failed({ session_id, client_message_id, code: error.code, message: error.message });
    this.sendNext(item);
  }

  private remove(item: Item): void {
    item.call.stop();
    this.items.delete(keyOf(item.entry));
    this.storage.remove(item.entry);
  }

  private sendNext(ended: Item): void {
    this.first(ended.entry.session_id)?.call.go();
  }

  private first(sessionId: string): Item | undefined {
    for (const item of this.items.values()) if (item.entry.session_id === sessionId) return item;
    return undefined;
  }

  private find(session_id: string, client_message_id: string | null): Item | undefined {
    return client_message_id === null ? undefined : this.items.get(keyOf({ session_id, client_message_id }));
  }
}
