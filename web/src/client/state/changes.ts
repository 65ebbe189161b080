/** Pending changes: each is repeated, on every connection, until its outcome is known. */

import type { Random } from "../backoff.ts";
import { BackchatError } from "../errors.ts";
import { type Link, Pursuit } from "./pursuit.ts";
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

interface UnderWay {
  readonly pursuit: Pursuit<Change>;
  readonly fail: (error: BackchatError) => void;
}

export class Changes {
  private readonly underWay = new Set<UnderWay>(); // in the order of requests

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
      const settle = (end: () => void) => {
        this.underWay.delete(change);
        end();
      };
      const outcome = {
        done: (answer: Answer<E>) => settle(() => resolve(answer)),
        failed: (error: BackchatError) => {
          const done = calls > 1 && error.code === "not_found" && ENDINGS.includes(event);
          settle(() => (done ? resolve({} as Answer<E>) : reject(error)));
        },
      };
      const pursuit = new Pursuit(this.link, event, counted, outcome, this.random);
      const change: UnderWay = { pursuit: pursuit as unknown as Pursuit<Change>, fail: reject };
      this.underWay.add(change);
      pursuit.go();
    });
  }

  connected(): void {
    for (const { pursuit } of [...this.underWay]) pursuit.connected();
  }

  disconnected(): void {
    for (const { pursuit } of this.underWay) pursuit.disconnected();
  }

  /** Stop repeating. The outcome of pending changes stays unknown. */
  close(): void {
    for (const { pursuit, fail } of this.underWay) {
      pursuit.stop();
      fail(new BackchatError("closed", "The client was closed."));
    }
    this.underWay.clear();
  }
}
