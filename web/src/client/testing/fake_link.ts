/** A scripted connection: it records calls, and answers them on request. */

import type { Link } from "../state/retried_call.ts";
import type { Ack, Answer, ClientEvent, Payload } from "../types.ts";

type Done = (ack: Ack<never> | null) => void;

export class FakeLink implements Link {
  connected = false;
  /** Calls since the last `take`. */
  private calls: [string, Record<string, unknown>][] = [];
  private unanswered: { event: string; done: Done }[] = [];

  call<E extends ClientEvent>(
    event: E,
    payload: Payload<E>,
    done: (ack: Ack<Answer<E>> | null) => void,
  ): void {
    this.calls.push([event, JSON.parse(JSON.stringify(payload))]);
    this.unanswered.push({ event, done: done as Done });
  }

  take(): [string, Record<string, unknown>][] {
    const calls = this.calls;
    this.calls = [];
    return calls;
  }

  /** Answer the oldest unanswered call of an event; `null`: no ack arrived. */
  answer(event: string, ack: unknown): void {
    const at = this.unanswered.findIndex((call) => call.event === event);
    const [call] = at < 0 ? [] : this.unanswered.splice(at, 1);
    if (!call) throw new Error(`there is no pending call of ${event}`);
    call.done(ack as Ack<never> | null);
  }

  lose(): void {
    this.connected = false;
    this.unanswered = [];
  }
}
