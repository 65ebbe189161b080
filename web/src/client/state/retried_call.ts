/** A call that is repeated with the same ids until its outcome is known. */

import { Backoff, type Random } from "../backoff.ts";
import { BackchatError } from "../errors.ts";
import type { Ack, Answer, ClientEvent, Payload } from "../types.ts";

/** What the rules need of a connection. */
export interface Link {
  /** Whether calls can be made: connected, and `ready` has arrived. */
  readonly connected: boolean;
  /**
   * Call the server. `done` gets the ack, or `null` if none arrived in time. It is called synchronously when the ack
   * arrives, so that no later event is applied first, and not at all once the connection is lost.
   */
  call<E extends ClientEvent>(
    event: E,
    payload: Payload<E>,
    done: (ack: Ack<Answer<E>> | null) => void,
  ): void;
}

export interface Outcome<E extends ClientEvent> {
  /** The call succeeded. */
  readonly done: (answer: Answer<E>) => void;
  /** The call was finally refused. */
  readonly failed: (error: BackchatError) => void;
}

export class RetriedCall<E extends ClientEvent> {
  private readonly backoff: Backoff;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private turn = 0; // acks of an earlier turn are ignored
  private busy = false;
  private over = false;

  constructor(
    private readonly link: Link,
    private readonly event: E,
    private readonly payload: () => Payload<E>,
    private readonly outcome: Outcome<E>,
    random?: Random,
  ) {
    this.backoff = new Backoff(random);
  }

  /** Call, unless a call or a delay is pending or there is no connection. */
  go(): void {
    if (this.over || this.busy || this.timer !== undefined || !this.link.connected) return;
    this.busy = true;
    const turn = ++this.turn;
    this.link.call(this.event, this.payload(), (ack) => {
      if (turn === this.turn && !this.over) this.answered(ack);
    });
  }

  /** A new connection is ready: call without a delay. */
  connected(): void {
    this.backoff.reset();
    this.again();
  }

  /** The connection is lost: a pending call will not be answered. */
  disconnected(): void {
    this.pause();
    this.busy = false;
    this.turn += 1;
  }

  /** Stop: the outcome is known from elsewhere, or not needed any more. */
  stop(): void {
    this.pause();
    this.over = true;
  }

  private again(): void {
    this.pause();
    this.go();
  }

  private answered(ack: Ack<Answer<E>> | null): void {
    this.busy = false;
    if (ack?.ok) {
      this.backoff.reset();
      this.outcome.done(ack);
      return;
    }
    const error = refusal(ack);
    if (error.temporary) {
      this.timer = setTimeout(() => this.again(), this.backoff.next(error.retryAfter) * 1000);
    } else {
      this.outcome.failed(error);
    }
  }

  private pause(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}

/** The error in an ack that is not ok. */
export function refusal(ack: Ack<unknown> | null): BackchatError {
  if (ack === null || ack.ok) return new BackchatError("unavailable", "The server did not answer.");
  return new BackchatError(ack.error.code, ack.error.message, ack.error.retry_after);
}
