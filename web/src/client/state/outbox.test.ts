/** Cases that the golden scenarios do not cover. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Outbox, type OutboxListener } from "./outbox.ts";
import { MemoryStorage, type OutboxStorage } from "../storage.ts";
import { FakeLink } from "../testing/fake_link.ts";

const UNAVAILABLE = { ok: false, error: { code: "unavailable", message: "Later." } };

let link: FakeLink;
let told: string[];

beforeEach(() => {
  vi.useFakeTimers();
  link = new FakeLink();
  told = [];
});
afterEach(() => {
  vi.useRealTimers();
});

function outboxOn(storage: OutboxStorage = new MemoryStorage(), random = () => 0): Outbox {
  const listener: OutboxListener = {
    accepted: ({ client_message_id }) => void told.push(`accepted ${client_message_id}`),
    failed: ({ client_message_id, code }) => void told.push(`failed ${client_message_id}: ${code}`),
  };
  return new Outbox(link, storage, listener, random);
}

const draft = (id: string, session = "S") => ({ session_id: session, content: id, client_message_id: id });
const called = () => link.take().map(([, payload]) => payload.client_message_id);
const accept = (id: string) =>
  link.answer("send_message", { ok: true, message_id: `m-${id}`, client_message_id: id, status: "accepted" });

function online(outbox: Outbox): void {
  link.connected = true;
  outbox.connected();
}

describe("Outbox", () => {
  it("keeps the order of sending across restarts, even if the clock changes", () => {
    const storage = new MemoryStorage();
    vi.setSystemTime(2_000_000);
    outboxOn(storage).send(draft("first"));
    vi.setSystemTime(1_000_000);
    const outbox = outboxOn(storage);
    outbox.send(draft("second"));
    outbox.send(draft("third"));
    const entries = outboxOn({ ...storage, load: () => storage.load().reverse() } as OutboxStorage).entries;
    expect(entries.map((entry) => entry.client_message_id)).toEqual(["first", "second", "third"]);
  });

  it("does not send what it could not store", () => {
    const storage = new MemoryStorage();
    storage.save = () => {
      throw new Error("full");
    };
    const outbox = outboxOn(storage);
    online(outbox);
    expect(() => outbox.send(draft("1"))).toThrow("full");
    expect([called(), outbox.entries]).toEqual([[], []]);
  });

  it("sends each session independently of the others", () => {
    const outbox = outboxOn();
    online(outbox);
    for (const [id, session] of [
      ["1", "S"],
      ["2", "S"],
      ["3", "T"],
    ] as const)
      outbox.send(draft(id, session));
    expect(called()).toEqual(["1", "3"]);
    link.answer("send_message", UNAVAILABLE);
    accept("3");
    outbox.send(draft("4", "T"));
    expect(called()).toEqual(["4"]);
  });

  it("sends the same id once", () => {
    const outbox = outboxOn();
    online(outbox);
    outbox.send(draft("1"));
    outbox.send({ ...draft("1"), content: "other words" });
    expect(outbox.entries.map(({ content }) => content)).toEqual(["1"]);
    accept("1");
    expect([called(), told]).toEqual([["1"], ["accepted 1"]]);
  });

  it("adds jitter to its delays", () => {
    const outbox = outboxOn(undefined, () => 0.8);
    online(outbox);
    outbox.send(draft("1"));
    called();
    link.answer("send_message", UNAVAILABLE);
    vi.advanceTimersByTime(699);
    expect(called()).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(called()).toEqual(["1"]);
  });

  it("waits only for the last failure's delay after a reconnect", () => {
    const outbox = outboxOn();
    online(outbox);
    outbox.send(draft("1"));
    link.answer("send_message", UNAVAILABLE);
    link.lose();
    outbox.disconnected();
    online(outbox);
    expect(called()).toEqual(["1", "1"]);
    vi.advanceTimersByTime(60_000);
    expect(called(), "the delay from before the loss still ran").toEqual([]);
    accept("1");
    expect(told).toEqual(["accepted 1"]);
  });

  it("counts failures per connection", () => {
    const outbox = outboxOn();
    online(outbox);
    outbox.send(draft("1"));
    for (const delay of [500, 1000, 2000]) {
      link.answer("send_message", UNAVAILABLE);
      vi.advanceTimersByTime(delay);
    }
    link.lose();
    outbox.disconnected();
    online(outbox);
    link.answer("send_message", UNAVAILABLE);
    called();
    vi.advanceTimersByTime(500);
    expect(called()).toEqual(["1"]);
  });

  it("ignores an ack that arrives after its connection was lost", () => {
    const outbox = outboxOn();
    online(outbox);
    outbox.send(draft("1"));
    outbox.send(draft("2"));
    outbox.disconnected();
    accept("1"); // a correct link would not call this any more
    expect(told).toEqual([]);
    expect(outbox.entries).toHaveLength(2);
  });

  it("makes no call after `close`, and keeps its messages", () => {
    const storage = new MemoryStorage();
    const outbox = outboxOn(storage);
    online(outbox);
    outbox.send(draft("1"));
    link.answer("send_message", UNAVAILABLE);
    called();
    outbox.close();
    vi.advanceTimersByTime(60_000);
    expect([called(), storage.load().length]).toEqual([[], 1]);
  });
});
