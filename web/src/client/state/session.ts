/**
 * One session as a client holds it: messages, replies under way, and the cursor. Pure: no socket, no clock.
 *
 * The rules are those of the contract, "One cursor a session". Two of them are easy to get wrong:
 * only what arrives while the socket has joined moves the cursor (`session_updated` reaches sockets that have
 * not, and a number then says nothing about the ones before it), and offsets count code points, not UTF-16 units.
 */

import type { ActiveReply, JoinAnswer, Message, MessageDelta, Session } from "../types.ts";

/** A reply under way. `length` is that of `text`, in code points. */
export interface Reply {
  readonly message_id: string;
  readonly chatbot_id: string;
  readonly attempt: number;
  readonly text: string;
  readonly length: number;
}

/** What applying something changed, as the event that would have told it. */
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
  /** Messages from this place on are held without a hole; below it are only those that changed meanwhile. */
  private floor = 0;
  private readonly held = new Map<string, Message>();
  private readonly streaming = new Map<string, Reply>();
  private ordered: readonly Message[] | undefined;

  constructor(id: string) {
    this.id = id;
  }

  /** The session itself; `undefined` until the first join. */
  get session(): Session | undefined {
    return this.view;
  }

  /** The highest number applied, to be sent as `after_seq`; `undefined` until the first join. */
  get cursor(): number | undefined {
    return this.applied;
  }

  /** Whether live events complete what is held: the last join was whole and the socket is the same since. */
  get live(): boolean {
    return this.joined;
  }

  /** Whether there are messages older than those held. */
  get hasOlder(): boolean {
    return this.floor > 0;
  }

  /** The `before_seq` that fetches the page before what is held. */
  get oldest(): number {
    return this.floor;
  }

  /** The messages without a hole, ascending by `seq`; none before the first join. */
  get messages(): readonly Message[] {
    if (this.applied === undefined) return [];
    this.ordered ??= [...this.held.values()].filter((m) => m.seq >= this.floor).sort((a, b) => a.seq - b.seq);
    return this.ordered;
  }

  /** Replies under way, by the id that their message will have. */
  get replies(): ReadonlyMap<string, Reply> {
    return this.streaming;
  }

  /** A message that is held, by its id. */
  message(id: string): Message | undefined {
    return this.held.get(id);
  }

  /** The ack of `start_chat` with `last_seq` 0: nothing is missing. */
  applyStart(session: Session): void {
    this.view = session;
    this.applied = session.last_seq;
    this.joined = true;
  }

  /**
   * The ack of a `join_chat` that was sent with `afterSeq`; without, what it says replaces all that is held.
   * Unless the session is `live` then, join again with the new cursor. Returned is what was missed.
   */
  applyJoin(answer: JoinAnswer, afterSeq: number | undefined): Change[] {
    if (afterSeq === undefined) {
      this.forget();
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
    for (const reply of answer.active_replies) this.applyDelta(asSnapshot(reply, this.id));
    if (whole) this.dropRepliesExcept(answer.active_replies);
    this.applied = answer.last_seq;
    this.joined = whole;
    return afterSeq === undefined ? [] : changes;
  }

  /** A page of `get_messages` that was sent with `before_seq` = `beforeSeq`, which was `oldest`. */
  applyOlder(page: { messages: readonly Message[]; has_more: boolean }, beforeSeq: number): void {
    if (beforeSeq !== this.floor) return; // loaded anew meanwhile
    for (const message of page.messages) this.hold(message);
    this.floor = page.has_more ? (page.messages[0]?.seq ?? this.floor) : 0;
    this.ordered = undefined;
  }

  /** `message` or `message_updated`; false if it was known already. */
  applyMessage(message: Message): boolean {
    const news = this.hold(message);
    this.advance(message.updated_seq);
    return news;
  }

  /** `session_updated`; false if it was known already. */
  applySession(session: Session): boolean {
    const news = this.see(session);
    this.advance(session.seq);
    return news;
  }

  /** The user has read up to that number, on whatever device. */
  applyRead(seq: number): void {
    if (this.view) this.view = { ...this.view, ...readSeq(seq, this.view.read_seq) };
  }

  /** `message_delta`; the reply as it is now, or `undefined` if the delta is to be ignored. */
  applyDelta(delta: MessageDelta): Reply | undefined {
    if (this.held.has(delta.message_id)) return undefined;
    const known = this.streaming.get(delta.message_id);
    if (known && delta.attempt < known.attempt) return undefined;
    const started = known?.attempt === delta.attempt ? known : startOf(delta);
    const fits = delta.snapshot || delta.offset === started.length;
    if (!fits && started === known) return undefined;
    const reply = fits ? extended(delta.snapshot ? startOf(delta) : started, delta.text) : started;
    this.streaming.set(delta.message_id, reply);
    return reply;
  }

  /** Forget everything: the server's numbers went back. */
  forget(): void {
    this.held.clear();
    this.streaming.clear();
    this.ordered = undefined;
    this.view = undefined;
    this.applied = undefined;
    this.joined = false;
    this.floor = 0;
  }

  /** The connection is lost: from here on something may be missing. */
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
    const underWay = new Set(active.map((reply) => reply.message_id));
    for (const id of this.streaming.keys()) if (!underWay.has(id)) this.streaming.delete(id);
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
  };
}

function extended(reply: Reply, text: string): Reply {
  return { ...reply, text: reply.text + text, length: reply.length + codePoints(text) };
}

/** A read mark only grows. */
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
