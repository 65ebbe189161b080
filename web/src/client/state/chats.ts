/**
 * The open sessions of a client, and its outbox: which calls to make, and what an answer or an event changes. It has no
 * socket; it uses a `Link`, and is notified of connections and events. It is synchronous, so that answers and events
 * are applied in the order of arrival.
 */

import type { Random } from "../backoff.ts";
import { BackchatError } from "../errors.ts";
import { Outbox, type OutboxListener } from "./outbox.ts";
import { type Link, RetriedCall } from "./retried_call.ts";
import { type Change, type Reply, SessionState } from "./session.ts";
import type { OutboxStorage } from "../storage.ts";
import type { JoinAnswer, Message, MessageDelta, ServerEvents, Session, StartChat } from "../types.ts";

/** Receives what happens. */
export interface ChatsListener extends OutboxListener {
  /** A `start_chat` succeeded; its session is open. */
  started(request: { client_request_id: string; session: SessionState }): void;
  /** A `start_chat` was refused. */
  startFailed(request: { client_request_id: string; error: BackchatError }): void;
  /** A session has caught up; live events follow. */
  synced(session: SessionState): void;
  /** A session was closed: deleted, or not accessible. */
  closed(session: { session_id: string; code: string }): void;
  /** A message was stored or updated, or a session changed, received live or by catching up. */
  changed(change: Change): void;
  /** A message of this user is stored. May be called several times. */
  stored(message: Message): void;
  /** An active reply has new text. */
  streamed(reply: Reply & { session_id: string }): void;
}

/** Messages in a first answer; catching up requests the maximum. */
const FIRST_PAGE = 50;
const PAGE = 200;

type Done = (error?: BackchatError) => void;

interface OpenSession {
  readonly state: SessionState;
  readonly join: RetriedCall<"join_chat">;
  older?: { readonly call: RetriedCall<"get_messages">; readonly waiting: Done[] } | undefined;
}

export interface ChatsOptions {
  readonly link: Link;
  readonly storage: OutboxStorage;
  readonly listener: ChatsListener;
  /** For tests. */
  readonly random?: Random | undefined;
}

export class Chats {
  readonly outbox: Outbox;
  private readonly link: Link;
  private readonly listener: ChatsListener;
  private readonly random: Random | undefined;
  private readonly followed = new Map<string, OpenSession>(); // in the order of `open`
  private readonly starts = new Map<string, RetriedCall<"start_chat">>();
  private userId: string | undefined;

  constructor({ link, storage, listener, random }: ChatsOptions) {
    this.link = link;
    this.listener = listener;
    this.random = random;
    this.outbox = new Outbox(link, storage, listener, random);
  }

  /** The open session with that id. */
  find(sessionId: string): SessionState | undefined {
    return this.followed.get(sessionId)?.state;
  }

  /** All open sessions, in the order of `open`. */
  get all(): readonly SessionState[] {
    return [...this.followed.values()].map(({ state }) => state);
  }

  /** A new connection is ready: make every call without a known outcome. */
  connected(userId: string): void {
    this.userId = userId.toLowerCase();
    for (const start of [...this.starts.values()]) start.connected();
    for (const { join } of [...this.followed.values()]) join.connected();
    for (const { older } of [...this.followed.values()]) older?.call.connected();
    this.outbox.connected();
  }

  /** The connection is lost. */
  disconnected(): void {
    for (const start of this.starts.values()) start.disconnected();
    for (const { state, join, older } of this.followed.values()) {
      join.disconnected();
      older?.call.disconnected();
      state.disconnected();
    }
    this.outbox.disconnected();
  }

  /** Open a session and follow it, on every connection, until `leave`. */
  open(sessionId: string): SessionState {
    const followed = this.followed.get(sessionId) ?? this.follow(sessionId);
    if (!followed.state.live) followed.join.go();
    return followed.state;
  }

  /** Close a session. */
  leave(sessionId: string): void {
    if (this.drop(sessionId) && this.link.connected) {
      this.link.call("leave_chat", { session_id: sessionId }, () => undefined);
    }
  }

  /** Start a session under a `client_request_id`; repeated until it is created or refused. */
  start(request: StartChat & { client_request_id: string }): void {
    const id = request.client_request_id;
    if (this.starts.has(id)) return;
    const outcome = {
      done: ({ session }: { session: Session }) => this.started(id, session),
      failed: (error: BackchatError) => {
        this.starts.delete(id);
        this.listener.startFailed({ client_request_id: id, error });
      },
    };
    const call = new RetriedCall(this.link, "start_chat", () => request, outcome, this.random);
    this.starts.set(id, call);
    call.go();
  }

  /** Load the previous page of an open session's history; `done` is called with the error, if any. */
  older(sessionId: string, done: Done, limit = FIRST_PAGE): void {
    const followed = this.followed.get(sessionId);
    if (followed?.older) {
      followed.older.waiting.push(done);
    } else if (followed?.state.hasOlder) {
      followed.older = this.fetchOlder(followed, done, limit);
      followed.older.call.go();
    } else {
      done();
    }
  }

  /** Apply a server event. */
  event<E extends keyof ServerEvents>(name: E, payload: ServerEvents[E]): void {
    const handle = this.handlers[name] as ((payload: ServerEvents[E]) => void) | undefined;
    handle?.(payload);
  }

  /** Stop all calls. The outbox's store keeps unaccepted messages. */
  close(): void {
    for (const start of this.starts.values()) start.stop();
    for (const followed of this.followed.values()) end(followed);
    this.outbox.close();
  }

  private readonly handlers: { [E in keyof ServerEvents]?: (payload: ServerEvents[E]) => void } = {
    message: (message) => this.message({ event: "message", payload: message }),
    message_updated: (message) => this.message({ event: "message_updated", payload: message }),
    message_rejected: (rejection) => this.outbox.rejected(rejection),
    message_delta: (delta) => this.stream(delta, "text"),
    reasoning_delta: (delta) => this.stream(delta, "reasoning"),
    session_updated: (session) => {
      const state = this.find(session.id);
      if (!state || state.applySession(session)) {
        this.listener.changed({ event: "session_updated", payload: session });
      }
    },
    session_deleted: ({ session_id }) => this.lost(session_id, "not_found"),
    read: ({ session_id, user_id, seq }) => {
      if (user_id === this.userId) this.find(session_id)?.applyRead(seq);
    },
  };

  private message(change: Change & { payload: Message }): void {
    if (this.find(change.payload.session_id)?.applyMessage(change.payload)) this.listener.changed(change);
    this.confirm(change.payload);
  }

  private stream(delta: MessageDelta, part: "text" | "reasoning"): void {
    const reply = this.find(delta.session_id)?.applyDelta(delta, part);
    if (reply) this.listener.streamed({ ...reply, session_id: delta.session_id });
  }

  private confirm(message: Message): void {
    if (message.sender_type !== "user" || message.sender_id !== this.userId) return;
    this.outbox.stored(message);
    this.listener.stored(message);
  }

  private follow(sessionId: string): OpenSession {
    const state = new SessionState(sessionId);
    let after: number | undefined;
    const payload = () => {
      after = state.cursor;
      return {
        session_id: sessionId,
        ...(after === undefined ? { limit: FIRST_PAGE } : { after_seq: after, limit: PAGE }),
      };
    };
    const outcome = {
      done: (answer: JoinAnswer) => this.joined(state, answer, after),
      failed: (error: BackchatError) => this.joinFailed(state, error, after),
    };
    const join = new RetriedCall(this.link, "join_chat", payload, outcome, this.random);
    const followed = { state, join };
    this.followed.set(sessionId, followed);
    return followed;
  }

  private fetchOlder(followed: OpenSession, done: Done, limit: number): NonNullable<OpenSession["older"]> {
    const { state } = followed;
    const waiting = [done];
    const ended = (error?: BackchatError) => {
      followed.older = undefined;
      for (const each of waiting) each(error);
    };
    let before = 0;
    const payload = () => {
      before = state.oldest;
      return { session_id: state.id, before_seq: before, limit };
    };
    const outcome = {
      done: (page: { messages: readonly Message[]; has_more: boolean }) => {
        state.applyOlder(page, before);
        for (const message of page.messages) this.confirm(message);
        ended();
      },
      failed: ended,
    };
    return { call: new RetriedCall(this.link, "get_messages", payload, outcome, this.random), waiting };
  }

  private joined(state: SessionState, answer: JoinAnswer, after: number | undefined): void {
    for (const change of state.applyJoin(answer, after)) this.listener.changed(change);
    for (const message of answer.messages) this.confirm(message);
    if (state.live) this.listener.synced(state);
    else this.followed.get(state.id)?.join.go();
  }

  private joinFailed(state: SessionState, error: BackchatError, after: number | undefined): void {
    if (error.code === "conflict" && after !== undefined) {
      state.reset();
      this.followed.get(state.id)?.join.go();
    } else {
      this.lost(state.id, error.code);
    }
  }

  private started(requestId: string, session: Session): void {
    this.starts.delete(requestId);
    const followed = this.followed.get(session.id) ?? this.follow(session.id);
    if (session.last_seq === 0) followed.state.applyStart(session);
    this.listener.started({ client_request_id: requestId, session: followed.state });
    if (followed.state.live) this.listener.synced(followed.state);
    else followed.join.go(); // a repeated request: other members may have written in between
  }

  private lost(sessionId: string, code: string): void {
    if (this.drop(sessionId)) this.listener.closed({ session_id: sessionId, code });
  }

  private drop(sessionId: string): boolean {
    const followed = this.followed.get(sessionId);
    if (followed) end(followed);
    return this.followed.delete(sessionId);
  }
}

function end({ state, join, older }: OpenSession): void {
  join.stop();
  state.disconnected();
  older?.call.stop();
  for (const done of older?.waiting ?? []) done(new BackchatError("closed", "The session was closed."));
}
