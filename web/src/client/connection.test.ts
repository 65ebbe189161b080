/** The connection against a scripted Socket.IO server. */

import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Connection, type ConnectionState } from "./connection.ts";
import { BackchatError } from "./errors.ts";

const READY = {
  user_id: "ada",
  token_expires_at: "2026-11-23T12:00:00.000Z",
  server_time: "2026-11-23T12:00:00.000Z",
  protocol: 1,
  limits: {},
};

let http: HttpServer;
let server: Server;
let connection: Connection;
let states: [ConnectionState, string | undefined][];
let events: string[];
let tokens: boolean[]; // the `renew` of each request for a token
let sockets: Socket[];
let heard: string[]; // events of all clients, on all connections
let admit: (token: unknown) => { code: string; retry_after?: number } | undefined;

beforeEach(async () => {
  [states, events, tokens, sockets, heard] = [[], [], [], [], []];
  admit = () => undefined;
  http = createServer();
  server = new Server(http);
  server.use((socket, next) => {
    const data = admit(socket.handshake.auth.token);
    next(data ? Object.assign(new Error("no"), { data }) : undefined);
  });
  server.on("connection", (socket) => {
    sockets.push(socket);
    socket.onAny((name) => heard.push(name));
    socket.emit("ready", READY);
  });
  await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening));
});

afterEach(async () => {
  connection.close();
  await server.close();
});

function connect(token: (renew: boolean) => string | Promise<string> = () => "good", ackTimeout = 300): void {
  connection = new Connection({
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    token: (renew) => {
      tokens.push(renew);
      return token(renew);
    },
    ackTimeout,
    listener: {
      state: (state, error) => void states.push([state, error?.code]),
      event: (name) => void events.push(name),
    },
  });
  connection.connect();
}

const becomes = (state: ConnectionState) =>
  vi.waitFor(() => expect(connection.state).toBe(state), { timeout: 10_000, interval: 5 });

const comesBack = (times: number) =>
  vi.waitFor(
    () => {
      expect(sockets).toHaveLength(times);
      expect(connection.state).toBe("online");
    },
    { timeout: 10_000, interval: 5 },
  );

it("is online after the server's `ready`", async () => {
  connect();
  expect(connection.state).toBe("connecting");
  await becomes("online");
  expect(events).toEqual(["ready"]);
  expect(tokens).toEqual([false]);
});

it("sends the token of its source", async () => {
  const shown: unknown[] = [];
  admit = (token) => void shown.push(token);
  connect(async () => "from afar");
  await becomes("online");
  expect(shown).toEqual(["from afar"]);
});

it("renews an expired token", async () => {
  admit = (token) => (token === "new" ? undefined : { code: "token_expired" });
  connect((renew) => (renew ? "new" : "old"));
  await becomes("online");
  expect(tokens).toEqual([false, true]);
});

it("signs out when a renewed token is refused too", async () => {
  admit = () => ({ code: "unauthenticated" });
  connect();
  await becomes("signed_out");
  expect(tokens).toEqual([false, true]);
  expect(states.at(-1)).toEqual(["signed_out", "unauthenticated"]);
});

it("signs out when its source has no token any more", async () => {
  connect(() => Promise.reject(new BackchatError("token_invalid", "The login was ended.")));
  await becomes("signed_out");
});

it("waits for retry_after when the server is busy", async () => {
  const refusedAt: number[] = [];
  admit = () =>
    refusedAt.push(performance.now()) > 1 ? undefined : { code: "rate_limited", retry_after: 0.8 };
  connect();
  await vi.waitFor(() => expect(connection.retryAt).toBeGreaterThan(Date.now()));
  await becomes("online");
  expect((refusedAt[1] ?? 0) - (refusedAt[0] ?? 0)).toBeGreaterThan(790);
  expect(connection.retryAt).toBeUndefined();
});

it("asks for a token again after a temporary failure of its source", async () => {
  connect(() => {
    if (tokens.length < 2) throw new BackchatError("unavailable", "auth is away");
    return "good";
  });
  await becomes("online");
  expect(states[1]).toEqual(["connecting", "unavailable"]);
});

it("stays closed when its source fails afterwards", async () => {
  let fail: (error: Error) => void = () => undefined;
  connect(() => new Promise((_, reject) => (fail = reject)));
  await vi.waitFor(() => expect(tokens).toHaveLength(1));
  connection.close();
  fail(new BackchatError("unavailable", "auth is away"));
  await new Promise(setImmediate);
  expect(states.at(-1)).toEqual(["offline", undefined]);
});

it("reconnects when the transport is lost", async () => {
  connect();
  await becomes("online");
  sockets[0]?.conn.close();
  await vi.waitFor(() => expect(connection.retryAt).toBeGreaterThan(Date.now()));
  await comesBack(2);
  expect(states.map(([state]) => state)).toEqual(["connecting", "online", "connecting", "online"]);
});

it("does not reconnect when the login was ended", async () => {
  connect();
  await becomes("online");
  sockets[0]?.disconnect();
  await becomes("signed_out");
});

it("reconnects with a new token after auth_expired", async () => {
  connect();
  await becomes("online");
  sockets[0]?.emit("auth_expired", {});
  sockets[0]?.disconnect();
  await comesBack(2);
  expect(tokens).toEqual([false, true]);
});

it("does not reconnect before the retry_after of going_away", async () => {
  connect();
  await becomes("online");
  const left = performance.now();
  sockets[0]?.emit("going_away", { retry_after: 1 });
  sockets[0]?.conn.close();
  await comesBack(2);
  expect(performance.now() - left).toBeGreaterThan(990);
});

it("sends a new token before the old one expires", async () => {
  connect((renew) => (renew ? "new" : "old"));
  await becomes("online");
  const shown = new Promise((resolve) => {
    sockets[0]?.on("refresh_token", (payload, ack) => {
      ack({ ok: true, expires_at: READY.token_expires_at });
      resolve(payload);
    });
  });
  sockets[0]?.emit("token_expiring", { expires_at: READY.token_expires_at });
  expect(await shown).toEqual({ token: "new" });
  expect(connection.state).toBe("online");
});

it("resolves calls in the order of the events around them", async () => {
  connect();
  await becomes("online");
  sockets[0]?.on("list_chats", (_, ack) => {
    sockets[0]?.emit("read", {});
    ack({ ok: true, sessions: [], next_cursor: null });
    sockets[0]?.emit("typing", {});
  });
  await new Promise<void>((answered) => {
    connection.call("list_chats", {}, () => {
      events.push("ack");
      answered();
    });
  });
  await vi.waitFor(() => expect(events).toEqual(["ready", "read", "ack", "typing"]));
});

it("drops a connection that is silent after a call without an ack", async () => {
  connect();
  await becomes("online");
  await expect(connection.ask("list_chats", {})).rejects.toMatchObject({ code: "unavailable" });
  await comesBack(2);
});

it("keeps a connection that receives other packets", async () => {
  connect();
  await becomes("online");
  const chatter = setInterval(() => sockets[0]?.emit("typing", {}), 20);
  await expect(connection.ask("list_chats", {})).rejects.toMatchObject({ code: "unavailable" });
  clearInterval(chatter);
  expect(connection.state).toBe("online");
});

it("rejects pending calls when the connection is lost, and never sends them later", async () => {
  connect();
  await becomes("online");
  const asked = connection.ask("list_chats", {});
  sockets[0]?.conn.close();
  await expect(asked).rejects.toMatchObject({ code: "unavailable" });
  await expect(connection.ask("list_chatbots", {})).rejects.toMatchObject({ code: "unavailable" });
  await comesBack(2);
  sockets[1]?.on("leave_chat", (_, ack) => ack({ ok: true }));
  await connection.ask("leave_chat", { session_id: "S" });
  expect(heard).not.toContain("list_chatbots");
  expect(heard.at(-1)).toBe("leave_chat");
});

it("discards calls that socket.io-client buffered on a connection it took for lost", async () => {
  connect(() => "good", 8_000); // else the call would time out before the next connection
  await becomes("online");
  const { engine } = Reflect.get(connection, "manager");
  engine._hasPingExpired = () => true; // as after the machine was suspended
  connection.call("delete_chat", { session_id: "S" }, () => undefined);
  sockets[0]?.conn.close();
  await comesBack(2);
  sockets[1]?.on("leave_chat", (_, ack) => ack({ ok: true }));
  await connection.ask("leave_chat", { session_id: "S" });
  expect(heard).not.toContain("delete_chat");
  expect(heard.at(-1)).toBe("leave_chat");
});

it("reconnects at once on request", async () => {
  connect();
  await becomes("online");
  const asked = performance.now();
  connection.reconnect();
  await comesBack(2);
  expect(performance.now() - asked).toBeLessThan(400); // without the request it would wait for about 500 ms
});
