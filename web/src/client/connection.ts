/**
 * The Socket.IO connection: authenticates with a token that may be renewed, and comes back whenever it should.
 *
 * socket.io-client comes back by itself when the transport is lost, and never when the server refused the connect or
 * disconnected the namespace; both are handled here, by code.
 */

import { Manager, type Socket } from "socket.io-client";

import { Backoff } from "./backoff.ts";
import { asBackchatError, BackchatError, NotConnected } from "./errors.ts";
import { type Link, refusal } from "./state/pursuit.ts";
import type { Ack, Answer, ClientEvent, Payload, ServerEvents } from "./types.ts";

/** `signed_out`: no token is accepted any more; only `connect()`, with another login, helps. */
export type ConnectionState = "offline" | "connecting" | "online" | "signed_out";

/**
 * Gives an access token. `renew` asks for another one than last time: that one expires or was refused.
 * Rejects with a `BackchatError`: if it is temporary, it is asked again later, else the client is signed out.
 */
export type TokenSource = (renew: boolean) => string | Promise<string>;

export interface ConnectionListener {
  state(state: ConnectionState, error?: BackchatError): void;
  /** Server events, in order, `ready` included. */
  event<E extends keyof ServerEvents>(name: E, payload: ServerEvents[E]): void;
}

export interface ConnectionOptions {
  /** The origin, `https://chat.example`. */
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
const RECONNECT_MIN = 500; // milliseconds; socket.io-client doubles it and spreads by half
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
  private refusals = 0; // connects refused as `unauthenticated`, in a row
  private readonly waiting = new Set<() => void>(); // ends what `ask` has under way
  private heardAt = 0; // `performance.now()` of the last packet
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
    this.tellDelays();
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

  /** While waiting to come back: when the next try is, as `Date.now()` tells time. */
  get retryAt(): number | undefined {
    const ahead = this.current === "connecting" && (this.nextTry ?? 0) > Date.now();
    return ahead ? this.nextTry : undefined;
  }

  /** Connect and stay connected until `close`; when on the way already, without further waiting. */
  connect(): void {
    if (this.current === "online") return;
    clearTimeout(this.retry);
    this.nextTry = undefined;
    this.refusals = 0;
    this.socket.disconnect(); // ends a delay of socket.io-client's own
    this.enter("connecting");
    this.socket.connect();
  }

  /** Drop the connection, if any, and connect anew. */
  reconnect(): void {
    this.close();
    this.connect();
  }

  /** Disconnect and stay away. */
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
      if (!this.connected) return; // whoever asked was told that the connection is lost
      done(error ? null : ack);
      if (error && this.heardAt < askedAt) this.later(new NotConnected()); // dead, though nobody has noticed yet
    });
  }

  /** As `call`, as a promise; rejects with a `BackchatError`, `unavailable` if the connection was lost. */
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
      if (engine === this.manager.engine) give({ token }); // else a later connection has its own turn
    } catch (error) {
      if (engine === this.manager.engine && this.current === "connecting")
        this.failed(asBackchatError(error));
    }
  }

  /** The transport is open: the server must let us in before long, or it hangs. */
  private opened(): void {
    const heard = () => {
      this.heardAt = performance.now();
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
      this.manager.reconnectionDelay(Math.max(RECONNECT_MIN, 2000 * retry_after)); // spread by half: never earlier
    }
    this.listener.event(name, payload);
  }

  /** Show the server a new token before the old one ends. Without success it says `auth_expired`. */
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

  /** `connect_error`: of the network (socket.io-client tries again) or of the server (it does not). */
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

  /** There is no way in just now or, if no token helps, at all. */
  private failed(error: BackchatError): void {
    const tokenRefused =
      error.code === "token_expired" || (error.code === "unauthenticated" && this.refusals === 1);
    if (error.temporary || tokenRefused) this.later(error);
    else this.signOut(error);
  }

  private lost(reason: string): void {
    clearTimeout(this.watchdog);
    this.socket.sendBuffer = []; // or it would go out on the next connection, late and out of order
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

  /** socket.io-client keeps to itself how long it waits, and who shows a countdown must know. */
  private tellDelays(): void {
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
