import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Changes } from "./changes.ts";
import { FakeLink } from "../testing/fake_link.ts";

const SESSION = { session_id: "S" };
const error = (code: string) => ({ ok: false, error: { code, message: "" } });

let link: FakeLink;
let changes: Changes;

beforeEach(() => {
  vi.useFakeTimers();
  link = new FakeLink();
  link.connected = true;
  changes = new Changes(link, () => 0);
});
afterEach(() => {
  vi.useRealTimers();
});

it("repeats a change until its outcome is known", async () => {
  const titled = changes.ask("update_chat", { ...SESSION, title: "Named" });
  for (const answer of [error("unavailable"), error("internal"), null]) {
    expect(link.take()).toEqual([["update_chat", { ...SESSION, title: "Named" }]]);
    link.answer("update_chat", answer);
    await vi.advanceTimersByTimeAsync(5_000);
  }
  expect(link.take()).toHaveLength(1);
  link.answer("update_chat", { ok: true, session: { id: "S" } });
  await expect(titled).resolves.toMatchObject({ session: { id: "S" } });
});

it("repeats it at once on the next connection", async () => {
  const rated = changes.ask("rate_reply", { ...SESSION, message_id: "m", rating: 1 });
  link.take();
  link.lose();
  changes.disconnected();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(link.take()).toEqual([]);
  link.connected = true;
  changes.connected();
  expect(link.take()).toHaveLength(1);
  link.answer("rate_reply", { ok: true });
  await rated;
  changes.connected();
  expect(link.take()).toEqual([]);
});

it("stops at a final refusal", async () => {
  const edited = changes.ask("edit_message", { ...SESSION, message_id: "m", content: "x" });
  const refused = expect(edited).rejects.toMatchObject({ code: "forbidden" });
  link.answer("edit_message", error("forbidden"));
  await refused;
});

it.each(["leave_session", "delete_chat"] as const)(
  "knows that %s was done by the first call",
  async (event) => {
    const stranger = changes.ask(event, SESSION);
    const refused = expect(stranger).rejects.toMatchObject({ code: "not_found" });
    link.answer(event, error("not_found"));
    await refused;
    const left = changes.ask(event, SESSION);
    link.answer(event, null);
    await vi.advanceTimersByTimeAsync(1_000);
    link.answer(event, error("not_found"));
    await expect(left).resolves.toEqual({});
  },
);

it("rejects pending changes on close", async () => {
  const read = changes.ask("mark_read", { ...SESSION, seq: 1 });
  const ended = expect(read).rejects.toMatchObject({ code: "closed" });
  changes.close();
  await ended;
});
