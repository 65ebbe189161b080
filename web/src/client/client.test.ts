/** The promises and events of the public class, against a scripted Socket.IO server. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Client, MemoryStorage, type OutboxStorage } from "./index.ts";
import { filledAnswer, message } from "./testing/scenario.ts";

type Ack = (answer: object) => void;

let server: Server;
let client: Client;
let sockets: Socket[];
let url: string;
let received: unknown[]; // payloads of `send_message`

beforeEach(async () => {
  [sockets, received] = [[], []];
  const http = createServer();
  server = new Server(http);
  server.on("connection", (socket) => {
    sockets.push(socket);
    socket.on("start_chat", (_, ack: Ack) =>
      ack(filledAnswer("start_chat", { ok: true, session: {} }) ?? {}),
    );
    socket.on("send_message", (payload) => void received.push(payload));
    socket.emit("ready", { user_id: "ada" });
  });
  await new Promise<void>((listening) => http.listen(0, "127.0.0.1", listening));
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});

afterEach(async () => {
  client.close();
  await server.close();
});

async function online(storage?: OutboxStorage): Promise<Socket> {
  client = new Client({ url, token: () => "good", ...(storage ? { storage } : {}) });
  client.connect();
  await vi.waitFor(() => expect(client.state).toBe("online"), { timeout: 5_000, interval: 5 });
  const socket = sockets.at(-1);
  if (!socket) throw new Error("the client did not connect");
  return socket;
}

it("resolves its promises in turn: accepted, then stored", async () => {
  const socket = await online();
  socket.on("send_message", (_, ack: Ack) => ack({ ok: true, message_id: "m1", status: "accepted" }));
  const chat = await client.start();
  const sent = client.send(chat.id, "Hello");
  expect(client.outbox.map(({ content }) => content)).toEqual(["Hello"]);
  expect(await sent.accepted).toBe("m1");
  expect(client.outbox).toEqual([]);
  socket.emit("message", message({ seq: 1, sender_id: "bob", client_message_id: sent.client_message_id }));
  socket.emit("message", message({ seq: 2, client_message_id: sent.client_message_id }));
  expect((await sent.stored).seq).toBe(2);
});

it("rejects `stored` when an accepted message is rejected", async () => {
  const socket = await online();
  socket.on("send_message", (_, ack: Ack) => ack({ ok: true, message_id: "m1", status: "accepted" }));
  const chat = await client.start();
  const failed = vi.fn();
  client.on("failed", failed);
  const { accepted, stored, client_message_id } = client.send(chat.id, "Hello");
  await accepted;
  socket.emit("message_rejected", {
    session_id: "S",
    message_id: "m1",
    client_message_id,
    code: "not_found",
  });
  await expect(stored).rejects.toMatchObject({ code: "not_found" });
  expect(failed).toHaveBeenCalledOnce();
});

it("reports that a session was deleted, and closes it", async () => {
  const socket = await online();
  const chat = await client.start();
  const closed = new Promise((resolve) => client.on("closed", resolve));
  socket.emit("session_deleted", { session_id: chat.id });
  expect(await closed).toEqual({ session_id: "S", code: "not_found" });
  expect(client.sessions).toEqual([]);
});

it("rejects everything pending on `close`, and keeps the outbox", async () => {
  const storage = new MemoryStorage();
  await online(storage);
  const [sent, opened] = [client.send("S", "Hello"), client.open("S")];
  await vi.waitFor(() => expect(received).toHaveLength(1));
  client.close();
  await expect(sent.accepted).rejects.toMatchObject({ code: "closed" });
  await expect(opened).rejects.toMatchObject({ code: "closed" });
  expect(storage.load()).toHaveLength(1);

  await online(storage);
  const again = { session_id: "S", content: "Hello", client_message_id: sent.client_message_id };
  await vi.waitFor(() => expect(received).toEqual([again, again]));
});

it("isolates listeners from each other's errors", async () => {
  const socket = await online();
  await client.start();
  const reported = new Promise((resolve) => process.once("uncaughtException", resolve));
  const others = process.listeners("uncaughtException").slice(0, -1);
  for (const other of others) process.off("uncaughtException", other);
  const seen = vi.fn();
  client.on("message", () => {
    throw new Error("a mistake");
  });
  client.on("message", seen);
  socket.emit("message", message({ seq: 1 }));
  expect(await reported).toMatchObject({ message: "a mistake" });
  for (const other of others) process.on("uncaughtException", other);
  expect(seen).toHaveBeenCalledOnce();
});
