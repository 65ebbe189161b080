/** The client of one user: a connection, the open sessions, and an outbox. */

import { type Change, Changes } from "./state/changes.ts";
import { Chats } from "./state/chats.ts";
import { Connection, type ConnectionState, type TokenSource } from "./connection.ts";
import { Emitter, type Listener } from "./emitter.ts";
import { BackchatError } from "./errors.ts";
import { newId } from "./id.ts";
import type { Reply, SessionState } from "./state/session.ts";
import { MemoryStorage, type OutboxEntry, type OutboxStorage } from "./storage.ts";
import type { Answer, ClientEvent, Message, Payload, ServerEvents, StartChat } from "./types.ts";

/** Events to listen to. A session's events are emitted after its state has changed. */
export interface Events {
  state: { readonly state: ConnectionState; readonly error?: BackchatError | undefined };
  ready: ServerEvents["ready"];
  /** A message of an open session was stored or changed, received live or by catching up; each change once. */
  message: Message;
  message_updated: Message;
  /** The same for a session, open or not. */
  session_updated: ServerEvents["session_updated"];
  /** An active reply, with its whole text so far. Its `message` ends it. */
  reply: Reply & { readonly session_id: string };
  /** A session is complete: after its first load, and after each catch-up. */
  synced: SessionState;
  /** A session was closed. */
  closed: { readonly session_id: string; readonly code: string };
  accepted: { readonly session_id: string; readonly client_message_id: string; readonly message_id: string };
  failed: {
    readonly session_id: string;
    readonly client_message_id: string;
    readonly code: string;
    readonly message: string;
  };
  session_deleted: ServerEvents["session_deleted"];
  session_activity: ServerEvents["session_activity"];
  typing: ServerEvents["typing"];
  read: ServerEvents["read"];
  presence: ServerEvents["presence"];
}

export interface ClientOptions {
  /** The server's origin, `https://chat.example`. */
  readonly url: string;
  /** `account.token`, or another source. */
  readonly token: TokenSource;
  /** Keeps unaccepted messages; in memory by default. A store belongs to one user. */
  readonly storage?: OutboxStorage;
  /** Milliseconds to wait for an ack. */
  readonly ackTimeout?: number;
  readonly transports?: readonly ("websocket" | "polling")[];
}

/** The outcome of a sent message. `stored` resolves only if the session is open; both reject with a `BackchatError`. */
export interface Sent {
  readonly client_message_id: string;
  /** The server holds the message durably; resolves to its id. */
  readonly accepted: Promise<string>;
  readonly stored: Promise<Message>;
}

const PASSED_ON = ["ready", "session_deleted", "session_activity", "typing", "read", "presence"] as const;

interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: BackchatError) => void;
}

export class Client {
  private readonly emitter = new Emitter<Events>();
  private readonly connection: Connection;
  private readonly chats: Chats;
  private readonly changes: Changes;
  private readonly sends = new Map<string, { accepted: Deferred<string>; stored: Deferred<Message> }>();
  private readonly starts = new Map<string, Deferred<SessionState>>();
  private readonly opens = new Map<string, Deferred<SessionState>>();

  constructor({ url, token, storage, ackTimeout, transports }: ClientOptions) {
    this.connection = new Connection({
      url,
      token,
      ...(ackTimeout === undefined ? {} : { ackTimeout }),
      ...(transports === undefined ? {} : { transports }),
      listener: {
        state: (state, error) => this.stateChanged(state, error),
        event: (name, payload) => this.arrived(name, payload),
      },
    });
    this.changes = new Changes(this.connection);
    this.chats = new Chats({
      link: this.connection,
      storage: storage ?? new MemoryStorage(),
      listener: {
        accepted: (sent) => this.accepted(sent),
        failed: (sent) => this.failed(sent),
        started: ({ client_request_id, session }) => this.started(client_request_id, session),
        startFailed: ({ client_request_id, error }) => take(this.starts, client_request_id)?.reject(error),
        synced: (session) => this.synced(session),
        closed: (session) => this.closed(session),
        changed: ({ event, payload }) => this.emitter.emit(event, payload as never),
        stored: (message) => take(this.sends, message.client_message_id ?? "")?.stored.resolve(message),
        streamed: (reply) => this.emitter.emit("reply", reply),
      },
    });
  }

  get state(): ConnectionState {
    return this.connection.state;
  }

  /** While reconnecting: the time of the next attempt, as `Date.now()`. */
  get retryAt(): number | undefined {
    return this.connection.retryAt;
  }

  /** The open sessions, in the order of `open`. */
  get sessions(): readonly SessionState[] {
    return this.chats.all;
  }

  /** Messages that are not known to be accepted, in the order of sending. */
  get outbox(): readonly OutboxEntry[] {
    return this.chats.outbox.entries;
  }

  /** Register a listener; the returned function unregisters it. */
  on<E extends keyof Events>(event: E, listener: Listener<Events[E]>): () => void {
    return this.emitter.on(event, listener);
  }

  /** Connect, and reconnect after every loss until `close`. While reconnecting: try now. */
  connect(): void {
    this.connection.connect();
  }

  /** Drop the connection and reconnect at once. */
  reconnect(): void {
    this.connection.reconnect();
  }

  /** Disconnect until `connect`; messages sent in the meantime stay in the outbox. */
  disconnect(): void {
    this.connection.close();
  }

  /** Disconnect permanently. The next client with this store sends what is left in it. */
  close(): void {
    this.chats.close();
    this.changes.close();
    this.connection.close();
    const error = new BackchatError("closed", "The client was closed.");
    for (const { accepted, stored } of this.sends.values())
      for (const each of [accepted, stored]) each.reject(error);
    for (const waiting of [...this.starts.values(), ...this.opens.values()]) waiting.reject(error);
  }

  /** Open a session and follow it until `leave`; resolves once it is complete. */
  open(sessionId: string): Promise<SessionState> {
    const state = this.chats.open(sessionId);
    if (state.live) return Promise.resolve(state);
    const waiting = this.opens.get(sessionId) ?? deferred<SessionState>();
    this.opens.set(sessionId, waiting);
    return waiting.promise;
  }

  /** Close a session. Membership stays. */
  leave(sessionId: string): void {
    this.chats.leave(sessionId);
    take(this.opens, sessionId)?.reject(new BackchatError("closed", "The session was left."));
  }

  /** Start a session; repeated under the same request id until it is created or refused. */
  start(request: StartChat = {}): Promise<SessionState> {
    const client_request_id = request.client_request_id ?? newId();
    const waiting = this.starts.get(client_request_id) ?? deferred<SessionState>();
    this.starts.set(client_request_id, waiting);
    this.chats.start({ ...request, client_request_id });
    return waiting.promise;
  }

  /**
   * Send a message. On return it is in the outbox, and it is sent as soon as there is a connection. Throws what the
   * store throws (for example `QuotaExceededError`); then nothing is sent.
   */
  send(
    sessionId: string,
    content: string,
    options: { reply_to?: string; client_message_id?: string } = {},
  ): Sent {
    const client_message_id = options.client_message_id ?? newId();
    const known = this.sends.get(client_message_id);
    const promises = known ?? { accepted: deferred<string>(), stored: deferred<Message>() };
    this.sends.set(client_message_id, promises);
    try {
      this.chats.outbox.send({
        session_id: sessionId,
        content,
        client_message_id,
        reply_to: options.reply_to,
      });
    } catch (error) {
      if (!known) this.sends.delete(client_message_id);
      throw error;
    }
    return { client_message_id, accepted: promises.accepted.promise, stored: promises.stored.promise };
  }

  /** Load the previous page of an open session's history. */
  older(sessionId: string, limit?: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.chats.older(sessionId, (error) => (error ? reject(error) : resolve()), limit);
    });
  }

  /**
   * Request a change; repeated on every connection until it is applied or finally refused. Rejects with a
   * `BackchatError`. If two changes concern the same thing, await the first one before requesting the second.
   */
  change<E extends Change>(event: E, payload: Payload<E>): Promise<Answer<E>> {
    return this.changes.ask(event, payload);
  }

  /** Become a member by an invite; resolves to the session, open and complete. */
  async accept(invite: string): Promise<SessionState> {
    return this.open((await this.change("accept_invite", { invite })).session.id);
  }

  /** Send any other event once; rejects with a `BackchatError`. */
  call<E extends ClientEvent>(event: E, payload: Payload<E>): Promise<Answer<E>> {
    return this.connection.ask(event, payload);
  }

  private stateChanged(state: ConnectionState, error: BackchatError | undefined): void {
    if (state !== "online") {
      this.chats.disconnected();
      this.changes.disconnected();
    }
    this.emitter.emit("state", { state, error });
  }

  private arrived<E extends keyof ServerEvents>(name: E, payload: ServerEvents[E]): void {
    if (name === "ready") {
      this.chats.connected((payload as ServerEvents["ready"]).user_id);
      this.changes.connected();
    }
    this.chats.event(name, payload);
    for (const passed of PASSED_ON) if (passed === name) this.emitter.emit(passed, payload as never);
  }

  private accepted(sent: Events["accepted"]): void {
    this.sends.get(sent.client_message_id)?.accepted.resolve(sent.message_id);
    // its session is not open, so `stored` cannot resolve
    if (!this.chats.find(sent.session_id)) this.sends.delete(sent.client_message_id);
    this.emitter.emit("accepted", sent);
  }

  private failed(sent: Events["failed"]): void {
    const promises = take(this.sends, sent.client_message_id);
    const error = new BackchatError(sent.code, sent.message);
    promises?.accepted.reject(error);
    promises?.stored.reject(error);
    this.emitter.emit("failed", sent);
  }

  private started(requestId: string, session: SessionState): void {
    take(this.starts, requestId)?.resolve(session);
  }

  private synced(session: SessionState): void {
    take(this.opens, session.id)?.resolve(session);
    this.emitter.emit("synced", session);
  }

  private closed(session: Events["closed"]): void {
    take(this.opens, session.session_id)?.reject(
      new BackchatError(session.code, "The session cannot be opened."),
    );
    this.emitter.emit("closed", session);
  }
}

/** A promise with its resolvers. An unhandled rejection is not reported. */
function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: BackchatError) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function take<T>(map: Map<string, T>, key: string): T | undefined {
  const value = map.get(key);
  map.delete(key);
  return value;
}
