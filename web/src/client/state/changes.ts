/** Pending changes: each is repeated, on every connection, until its outcome is known. */

import type { Random } from "../backoff.ts";
import { BackchatError } from "../errors.ts";
import { type Link, RetriedCall } from "./retried_call.ts";
import type { Answer, ClientEvent, Payload } from "../types.ts";

/** Client events that the server applies once, however often they are sent. */
export type Change = Extract<
  ClientEvent,
  | "update_chat"
  | "delete_chat"
  | "add_chatbot"
  | "remove_chatbot"
  | "accept_invite"
  | "leave_session"
  | "remove_user"
  | "stop_reply"
  | "regenerate_reply"
  | "edit_message"
  | "rate_reply"
  | "mark_read"
>;

/** After success the session is not found any more: on a repeated call, `not_found` means success. */
const ENDINGS: readonly Change[] = ["delete_chat", "leave_session"];

interface PendingChange {
  readonly call: RetriedCall<Change>;
  readonly fail: (error: BackchatError) => void;
}

export class Changes {
  private readonly pending = new Set<PendingChange>(); // in the order of requests

  constructor(
    private readonly link: Link,
    private readonly random?: Random,
  ) {}

  /** Request a change. Rejects with a final `BackchatError`. */
  ask<E extends Change>(event: E, payload: Payload<E>): Promise<Answer<E>> {
    return new Promise((resolve, reject) => {
      let calls = 0;
      const counted = () => {
        calls += 1;
        return payload;
      };
      const finish = (end: () => void) => {
        this.pending.delete(change);
        end();
      };
      const outcome = {
        done: (answer: Answer<E>) => finish(() => resolve(answer)),
        failed: (error: BackchatError) => {
          const done = calls > 1 && error.code === "not_found" && ENDINGS.includes(event);
          finish(() => (done ? resolve({} as Answer<E>) : reject(error)));
        },
      };
      const call = new RetriedCall(this.link, event, counted, outcome, this.random);
      const change: PendingChange = { call: call as unknown as RetriedCall<Change>, fail: reject };
      this.pending.add(change);
      call.go();
    });
  }

  connected(): void {
    for (const { call } of [...this.pending]) call.connected();
  }

  disconnected(): void {
    for (const { call } of this.pending) call.disconnected();
  }

  /** Stop repeating. The outcome of pending changes stays unknown. */
  close(): void {
    for (const { call, fail } of this.pending) {
      call.stop();
      fail(new BackchatError("closed", "The client was closed."));
    }
    this.pending.clear();
  }
}
