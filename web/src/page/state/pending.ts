/** The user's own messages that are not stored yet, as the page shows them. */

import { type Signal, signal } from "@preact/signals";

import { BackchatError, type Client, type Message, newId } from "../../client/index.ts";
import { store, stored } from "./preferences.ts";
import { setFirstTitle } from "./titles.ts";

export interface Pending {
  readonly session_id: string;
  readonly client_message_id: string;
  readonly content: string;
  /** Milliseconds since the epoch at which it was sent. */
  readonly at: number;
  readonly state: "sending" | "accepted" | "failed";
  /** The error code of a failed message. */
  readonly code?: string;
}

/** Unstored messages of all chats. Failed ones stay, also across reloads, until the user retries or discards them. */
export class PendingMessages {
  readonly all: Signal<readonly Pending[]>;
  private readonly key: string;

  constructor(
    private readonly client: Client,
    userId: string,
  ) {
    this.key = `backchat.failed.${userId}`;
    const waiting = client.outbox.map(({ session_id, client_message_id, content, order }): Pending => ({
      session_id,
      client_message_id,
      content,
      at: order,
      state: "sending",
    }));
    this.all = signal([...failedBefore(stored(this.key)), ...waiting]);
    client.on("accepted", (sent) => this.change(sent.client_message_id, { state: "accepted" }));
    client.on("failed", (sent) => this.change(sent.client_message_id, { state: "failed", code: sent.code }));
  }

  /** Send a message and show it at once; the first one gives a chat its title. Throws if it cannot be stored. */
  send(session_id: string, content: string): void {
    const isFirst = !this.client.sessions.find(({ id }) => id === session_id)?.messages.length;
    const client_message_id = newId();
    this.client.send(session_id, content, { client_message_id });
    if (isFirst) setFirstTitle(session_id, content);
    this.set([
      ...this.all.value,
      { session_id, client_message_id, content, at: Date.now(), state: "sending" },
    ]);
  }

  /** Send a failed message again under the same id, so that it cannot be stored twice. */
  retry({ session_id, client_message_id, content }: Pending): void {
    this.change(client_message_id, { state: "sending" });
    try {
      this.client.send(session_id, content, { client_message_id });
    } catch {
      this.change(client_message_id, { state: "failed", code: "unavailable" });
    }
  }

  discard({ client_message_id }: Pending): void {
    this.set(this.all.value.filter((each) => each.client_message_id !== client_message_id));
  }

  /** Remove a message that is stored now. */
  stored({ client_message_id }: Message): void {
    if (this.all.value.some((each) => each.client_message_id === client_message_id))
      this.set(this.all.value.filter((each) => each.client_message_id !== client_message_id));
  }

  private change(id: string, change: Partial<Pending>): void {
    if (this.all.value.some((each) => each.client_message_id === id))
      this.set(this.all.value.map((each) => (each.client_message_id === id ? { ...each, ...change } : each)));
  }

  private set(all: readonly Pending[]): void {
    this.all.value = all;
    const failed = all.filter((each) => each.state === "failed");
    store(this.key, failed.length ? JSON.stringify(failed) : null);
  }
}

function failedBefore(text: string | null): Pending[] {
  try {
    return JSON.parse(text ?? "[]") as Pending[];
  } catch {
    return [];
  }
}

/** Whether the browser's storage is full or forbidden. */
export function isStorageFull(error: unknown): boolean {
  return !(error instanceof BackchatError);
}
