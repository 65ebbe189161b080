/**
 * The Socket.IO connection: authenticates with a token that may be renewed, and reconnects after every loss.
 *
 * socket.io-client reconnects when the transport is lost, but not when the server refused the connect or disconnected
 * the namespace; this class handles both.
 */

import { Manager, type Socket } from "socket.io-client";

import { Backoff } from "./backoff.ts";
import { asBackchatError, BackchatError, NotConnected } from "./errors.ts";
import { type Link, refusal } from "./state/retried_call.ts";
import type { Ack, Answer, ClientEvent, Payload, ServerEvents } from "./types.ts";

/** `signed_out`: no token is accepted any more; only `connect()` with another login helps. */
export type ConnectionState = "offline" | "connecting" | "online" | "signed_out";

/**
 * Returns an access token. With `renew` a new one, because the last one expires or was refused. If it rejects with a
 * temporary `BackchatError` it is called again later, with any other the client is signed out.
 */
export type TokenSource = (renew: boolean) => string | Promise<string>;

export interface ConnectionListener {
  state(state: ConnectionState, error?: BackchatError): void;
  /** Server events, in order, including `ready`. */
  event<E extends keyof ServerEvents>(name: E, payload: ServerEvents[E]): void;
}

export interface ConnectionOptions {
  /** The server's origin, `https://chat.example`. */
  readonly url: string;
  readonly token: TokenSource;
  readonly listener: ConnectionListener;
  /** Milliseconds to wait for an ack. The server answers within 6 s. */
  readonly ackTimeout?: number;
  /** Engine.IO transports, tried in this order. */
  readonly transports?: readonly ("websocket" | "polling")[];
}

const ACK_TIMEOUT = 8_000; // milliseconds
const CONNECT_TIMEOUT = 10_000; // milliseconds, for the transport and again for the authentication
const RECONNECT_MIN = 500; // milliseconds; socket.io-client doubles it and spreads it by half
const RECONNECT_MAX = 5_000; // milliseconds

export class Connection implements Link {
  private readonly manager: Manager;
  private readonly socket: Socket;
  private readonly token: TokenSource;
  private readonly listener: ConnectionListener;
  private readonly ackTimeout: number;
  private readonly backoff = new Backoff();
  private current: ConnectionState = "offline";
  private retry: ReturnType<typeof setTimeout> | undefined;
  private watchdog: ReturnType<typeof setTimeout> | undefined;
  private renew = false; // the last token expired or was refused
  private refusals = 0; // consecutive connects refused as `unauthenticated`
  private readonly waiting = new Set<() => void>(); // rejects the pending promises of `ask`
  private lastPacketAt = 0; // `performance.now()` of the last packet
  private nextTry: number | undefined;

  constructor({ url, token, listener, ackTimeout, transports }: ConnectionOptions) {
    this.token = token;
    this.listener = listener;
    this.ackTimeout = ackTimeout ?? ACK_TIMEOUT;
    this.manager = new Manager(url, {
      autoConnect: false,
      transports: [...(transports ?? ["websocket", "polling"])],
      tryAllTransports: true,
      timeout: CONNECT_TIMEOUT,
      reconnectionDelay: RECONNECT_MIN,
      reconnectionDelayMax: RECONNECT_MAX,
    });
    this.recordDelays();
    this.socket = this.manager.socket("/", { auth: (give) => void this.authenticate(give) });
    this.socket.on("connect_error", (error) => this.refused(error));
    this.socket.on("disconnect", (reason) => this.lost(reason));
    this.socket.onAny((name: keyof ServerEvents, payload) => this.arrived(name, payload));
    this.manager.on("open", () => this.opened());
  }

  get state(): ConnectionState {
    return this.current;
  }

  get connected(): boolean {
    return this.current === "online";
  }

  /** While reconnecting: the time of the next attempt, as `Date.now()`. */
  get retryAt(): number | undefined {
    const ahead = this.current === "connecting" && (this.nextTry ?? 0) > Date.now();
    return ahead ? this.nextTry : undefined;
  }

  /** Connect and stay connected until `close`. While reconnecting: try now. */
  connect(): void {
    if (this.current === "online") return;
    clearTimeout(this.retry);
    this.nextTry = undefined;
    this.refusals = 0;
    this.socket.disconnect(); // ends a delay of socket.io-client
    this.enter("connecting");
    this.socket.connect();
  }

  /** Drop the connection, if any, and connect again. */
  reconnect(): void {
    this.close();
    this.connect();
  }

  /** Disconnect and do not reconnect. */
  close(): void {
    clearTimeout(this.retry);
    clearTimeout(this.watchdog);
    this.enter("offline");
    this.socket.disconnect();
  }

  call<E extends ClientEvent>(
    event: E,
    payload: Payload<E>,
    done: (ack: Ack<Answer<E>> | null) => void,
  ): void {
    const askedAt = performance.now();
    this.socket.timeout(this.ackTimeout).emit(event, payload, (error: Error | null, ack: Ack<Answer<E>>) => {
      if (!this.connected) return; // the loss was reported already
      done(error ? null : ack);
      // lost, although socket.io-client has not noticed
      if (error && this.lastPacketAt < askedAt) this.later(new NotConnected());
    });
  }

  /** Like `call`, as a promise; rejects with a `BackchatError`, `unavailable` if the connection was lost. */
  ask<E extends ClientEvent>(event: E, payload: Payload<E>): Promise<Answer<E>> {
    return new Promise((resolve, reject) => {
      if (!this.connected) return reject(new NotConnected());
      const ended = () => reject(new NotConnected());
      this.waiting.add(ended);
      this.call(event, payload, (ack) => {
        this.waiting.delete(ended);
        if (ack?.ok) resolve(ack);
        else reject(refusal(ack));
      });
    });
  }

  private async authenticate(give: (auth: object) => void): Promise<void> {
    const engine = this.manager.engine;
    try {
      const token = await this.token(this.renew);
      if (engine === this.manager.engine) give({ token }); // else a later connection requests its own token
    } catch (error) {
      if (engine === this.manager.engine && this.current === "connecting")
        this.failed(asBackchatError(error));
    }
  }

  /** The transport is open: the server must send `ready` within `CONNECT_TIMEOUT`. */
  private opened(): void {
    const heard = () => {
      this.lastPacketAt = performance.now();
    };
    this.manager.engine.on("packet", heard);
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.later(new NotConnected()), CONNECT_TIMEOUT);
  }

  private arrived<E extends keyof ServerEvents>(name: E, payload: ServerEvents[E]): void {
    if (name === "ready") {
      clearTimeout(this.watchdog);
      this.backoff.reset();
      this.refusals = 0;
      this.renew = false;
      this.manager.reconnectionDelay(RECONNECT_MIN);
      this.enter("online");
    } else if (name === "auth_expired") {
      this.renew = true;
    } else if (name === "token_expiring") {
      void this.renewToken();
    } else if (name === "going_away") {
      const { retry_after } = payload as ServerEvents["going_away"];
      // twice the minimum, as it is spread by half
      this.manager.reconnectionDelay(Math.max(RECONNECT_MIN, 2000 * retry_after));
    }
    this.listener.event(name, payload);
  }

  /** Send a new token before the old one expires. If that fails, the server sends `auth_expired`. */
  private async renewToken(): Promise<void> {
    const engine = this.manager.engine;
    const backoff = new Backoff();
    while (this.connected && engine === this.manager.engine) {
      try {
        await this.ask("refresh_token", { token: await this.token(true) });
        return;
      } catch (thrown) {
        const error = asBackchatError(thrown);
        if (!error.temporary) return;
        await new Promise((resolve) => setTimeout(resolve, backoff.next(error.retryAfter) * 1000));
      }
    }
  }

  /** `connect_error` of the network (socket.io-client retries) or of the server (it does not). */
  private refused(error: Error & { data?: { code?: string; retry_after?: number } }): void {
    if (this.current !== "connecting") return;
    if (this.socket.active) {
      this.enter("connecting", new BackchatError("unavailable", error.message));
      return;
    }
    const { code = "unavailable", retry_after } = error.data ?? {};
    if (code === "unauthenticated") this.refusals += 1;
    if (code === "unauthenticated" || code === "token_expired") this.renew = true;
    this.failed(new BackchatError(code, error.message, retry_after));
  }

  /** The connection failed: retry if that may help, else sign out. */
  private failed(error: BackchatError): void {
    const tokenRefused =
      error.code === "token_expired" || (error.code === "unauthenticated" && this.refusals === 1);
    if (error.temporary || tokenRefused) this.later(error);
    else this.signOut(error);
  }

  private lost(reason: string): void {
    clearTimeout(this.watchdog);
    this.socket.sendBuffer = []; // else it would be sent on the next connection, late and out of order
    if (reason === "io client disconnect") return;
    const error = new NotConnected();
    if (reason !== "io server disconnect") this.enter("connecting", error);
    else if (this.renew) this.later(error);
    else this.signOut(new BackchatError("unauthenticated", "The login was ended."));
  }

  private later(error: BackchatError): void {
    clearTimeout(this.retry);
    clearTimeout(this.watchdog);
    this.enter("connecting", error);
    this.socket.disconnect();
    this.retry = setTimeout(
      () => this.socket.connect(),
      this.delay(this.backoff.next(error.retryAfter) * 1000),
    );
  }

  private delay(milliseconds: number): number {
    this.nextTry = Date.now() + milliseconds;
    return milliseconds;
  }

  /** Record the delays of socket.io-client, which does not report them, for a countdown. */
  private recordDelays(): void {
    const { backoff } = this.manager as unknown as { backoff: { duration: () => number } };
    const duration = backoff.duration.bind(backoff);
    backoff.duration = () => this.delay(duration());
  }

  private signOut(error: BackchatError): void {
    clearTimeout(this.watchdog);
    this.enter("signed_out", error);
    this.socket.disconnect();
  }

  private enter(state: ConnectionState, error?: BackchatError): void {
    if (state === this.current && !error) return;
    this.current = state;
    if (state !== "online") for (const end of [...this.waiting]) end();
    if (state !== "online") this.waiting.clear();
    this.listener.state(state, error);
  }
}
