/**
 * The state of one session: messages, active replies, and the cursor. Pure: no socket, no clock.
 *
 * The rules are those of contract.md §3.6. Two are easy to get wrong. Only events that arrive while the socket has
 * joined move the cursor: `session_updated` also reaches sockets that have not joined, and then its number says nothing
 * about the numbers before it. Offsets count code points, not UTF-16 units.
 */

import type { ActiveReply, JoinAnswer, Message, MessageDelta, Session } from "../types.ts";

/** An active reply. `length` and `reasoningLength` are the lengths of `text` and `reasoning` in code points. */
export interface Reply {
  readonly message_id: string;
  readonly chatbot_id: string;
  readonly attempt: number;
  readonly text: string;
  readonly length: number;
  /** What the model wrote before its answer, so far. */
  readonly reasoning: string;
  readonly reasoningLength: number;
}

/** The two texts of a reply, and the field with the length of each. */
const LENGTHS = { text: "length", reasoning: "reasoningLength" } as const;

/** A change, as the event that reports it. */
export type Change =
  | { readonly event: "message"; readonly payload: Message }
  | { readonly event: "message_updated"; readonly payload: Message }
  | { readonly event: "session_updated"; readonly payload: Session };

/** The number of code points of a text. */
export function codePoints(text: string): number {
  let count = text.length;
  for (let at = 0; at + 1 < text.length; at += 1) {
    if (isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1))) {
      count -= 1;
      at += 1;
    }
  }
  return count;
}

export class SessionState {
  readonly id: string;
  private view: Session | undefined;
  private applied: number | undefined;
  private joined = false;
  /** From this `seq` on the history has no gaps; below it are only messages that changed since the load. */
  private floor = 0;
  private readonly held = new Map<string, Message>();
  private readonly streaming = new Map<string, Reply>();
  private ordered: readonly Message[] | undefined;

  constructor(id: string) {
    this.id = id;
  }

  /** The session; `undefined` until the first join. */
  get session(): Session | undefined {
    return this.view;
  }

  /** The highest number applied, sent as `after_seq`; `undefined` until the first join. */
  get cursor(): number | undefined {
    return this.applied;
  }

  /**
   * Whether the state is complete and kept up to date by live events: the last join was complete, on the current
   * connection.
   */
  get live(): boolean {
    return this.joined;
  }

  /** Whether there are messages before the loaded ones. */
  get hasOlder(): boolean {
    return this.floor > 0;
  }

  /** The `before_seq` that requests the previous page. */
  get oldest(): number {
    return this.floor;
  }

  /** The history without gaps, ascending by `seq`; empty before the first join. */
  get messages(): readonly Message[] {
    if (this.applied === undefined) return [];
    this.ordered ??= [...this.held.values()].filter((m) => m.seq >= this.floor).sort((a, b) => a.seq - b.seq);
    return this.ordered;
  }

  /** Active replies, by the id that their message will have. */
  get replies(): ReadonlyMap<string, Reply> {
    return this.streaming;
  }

  /** The loaded message with that id. */
  message(id: string): Message | undefined {
    return this.held.get(id);
  }

  /** Apply the ack of `start_chat` with `last_seq` 0: there is nothing to load. */
  applyStart(session: Session): void {
    this.view = session;
    this.applied = session.last_seq;
    this.joined = true;
  }

  /**
   * Apply the ack of a `join_chat` that was sent with `afterSeq`; without it, the ack replaces the whole state. Unless
   * the session is `live` afterwards, join again with the new cursor. Returns the missed changes.
   */
  applyJoin(answer: JoinAnswer, afterSeq: number | undefined): Change[] {
    if (afterSeq === undefined) {
      this.reset();
      this.floor = answer.has_more ? (answer.messages[0]?.seq ?? 0) : 0;
    }
    const whole = afterSeq === undefined || !answer.has_more;
    const known = this.applied ?? 0;
    const changes: Change[] = [];
    for (const message of answer.messages) {
      const event = message.seq <= known ? "message_updated" : "message";
      if (this.hold(message)) changes.push({ event, payload: message });
    }
    if (this.see(answer.session)) changes.push({ event: "session_updated", payload: answer.session });
    for (const reply of answer.active_replies) {
      this.applyDelta(asSnapshot(reply, this.id));
      this.applyDelta({ ...asSnapshot(reply, this.id), text: reply.reasoning ?? "" }, "reasoning");
    }
    if (whole) this.dropRepliesExcept(answer.active_replies);
    this.applied = answer.last_seq;
    this.joined = whole;
    return afterSeq === undefined ? [] : changes;
  }

  /** Apply a page of `get_messages` that was sent with `before_seq` = `beforeSeq`, which was `oldest`. */
  applyOlder(page: { messages: readonly Message[]; has_more: boolean }, beforeSeq: number): void {
    if (beforeSeq !== this.floor) return; // reloaded since
    for (const message of page.messages) this.hold(message);
    this.floor = page.has_more ? (page.messages[0]?.seq ?? this.floor) : 0;
    this.ordered = undefined;
  }

  /** Apply `message` or `message_updated`; return whether it was new. */
  applyMessage(message: Message): boolean {
    const news = this.hold(message);
    this.advance(message.updated_seq);
    return news;
  }

  /** Apply `session_updated`; return whether it was new. */
  applySession(session: Session): boolean {
    const news = this.see(session);
    this.advance(session.seq);
    return news;
  }

  /** Raise the user's read mark. */
  applyRead(seq: number): void {
    if (this.view) this.view = { ...this.view, ...readSeq(seq, this.view.read_seq) };
  }

  /**
   * Apply `message_delta`, or `reasoning_delta`, whose offsets are those of the reasoning; return the reply, or
   * `undefined` if the delta is ignored.
   */
  applyDelta(delta: MessageDelta, part: keyof typeof LENGTHS = "text"): Reply | undefined {
    if (this.held.has(delta.message_id)) return undefined;
    const known = this.streaming.get(delta.message_id);
    if (known && delta.attempt < known.attempt) return undefined;
    const started = known?.attempt === delta.attempt ? known : startOf(delta);
    const fits = delta.snapshot || delta.offset === started[LENGTHS[part]];
    if (!fits && started === known) return undefined;
    const reply = fits ? extended(started, delta, part) : started;
    this.streaming.set(delta.message_id, reply);
    return reply;
  }

  /** Discard everything: the server's numbers went backwards. */
  reset(): void {
    this.held.clear();
    this.streaming.clear();
    this.ordered = undefined;
    this.view = undefined;
    this.applied = undefined;
    this.joined = false;
    this.floor = 0;
  }

  /** The connection is lost: events may be missed from here on. */
  disconnected(): void {
    this.joined = false;
  }

  private hold(message: Message): boolean {
    if (message.updated_seq <= (this.held.get(message.id)?.updated_seq ?? 0)) return false;
    this.held.set(message.id, message);
    this.streaming.delete(message.id);
    this.ordered = undefined;
    return true;
  }

  private see(session: Session): boolean {
    const known = this.view;
    const news = known === undefined || session.seq > known.seq;
    this.view = {
      ...(news ? session : known),
      last_seq: Math.max(session.last_seq, known?.last_seq ?? 0),
      ...readSeq(session.read_seq, known?.read_seq),
    };
    return news;
  }

  private advance(number: number): void {
    if (this.view && number > this.view.last_seq) this.view = { ...this.view, last_seq: number };
    if (this.joined && number > (this.applied ?? 0)) this.applied = number;
  }

  private dropRepliesExcept(active: readonly ActiveReply[]): void {
    const listed = new Set(active.map((reply) => reply.message_id));
    for (const id of this.streaming.keys()) if (!listed.has(id)) this.streaming.delete(id);
  }
}

function asSnapshot(reply: ActiveReply, sessionId: string): MessageDelta {
  return { ...reply, session_id: sessionId, offset: 0, snapshot: true };
}

function startOf(reply: { message_id: string; chatbot_id: string; attempt: number }): Reply {
  return {
    message_id: reply.message_id,
    chatbot_id: reply.chatbot_id,
    attempt: reply.attempt,
    text: "",
    length: 0,
    reasoning: "",
    reasoningLength: 0,
  };
}

function extended(reply: Reply, { text, snapshot }: MessageDelta, part: keyof typeof LENGTHS): Reply {
  const length = LENGTHS[part];
  const [before, known] = snapshot ? ["", 0] : [reply[part], reply[length]];
  return { ...reply, [part]: before + text, [length]: known + codePoints(text) };
}

/** A read mark never decreases. */
function readSeq(seq: number | undefined, known: number | undefined): { read_seq?: number } {
  const highest = Math.max(seq ?? -1, known ?? -1);
  return highest < 0 ? {} : { read_seq: highest };
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
