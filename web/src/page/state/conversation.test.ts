import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Client, Message, Reply, Session } from "../../client/index.ts";
import { Conversation, rowsOf } from "./conversation.ts";

function message(id: string, more: Partial<Message> = {}): Message {
  return { id, seq: 1, updated_seq: 1, status: "complete", superseded_by: null, ...more } as Message;
}

describe("rowsOf", () => {
  it("has one row for each message", () => {
    expect(rowsOf([message("a"), message("b")], []).map((row) => row.id)).toEqual(["a", "b"]);
  });

  it("groups superseded replies with their replacement, oldest first", () => {
    const [first, second] = [message("a", { superseded_by: "b" }), message("b", { superseded_by: "c" })];
    const rows = rowsOf([first, second, message("c")], []);
    expect(rows.map((row) => [row.id, row.earlier])).toEqual([["c", [first, second]]]);
  });

  it("shows an awaited and an active reply once each", () => {
    const rows = rowsOf([message("a", { superseded_by: "b" })], ["b", "c"]);
    expect(rows.map((row) => [row.id, row.message, row.earlier.length])).toEqual([
      ["b", undefined, 1],
      ["c", undefined, 0],
    ]);
  });
});

describe("a chat that no chatbot attends to", () => {
  const session = {
    id: "s",
    reply_policy: "mentioned",
    chatbots: [{ id: "echo", name: "Echo" }],
    users: ["ada"],
  };
  const own = message("m", { sender_type: "user", sender_id: "ada" });
  const typing = { session_id: "s", sender_type: "chatbot", sender_id: "echo", typing: true } as const;

  function opened({ policy = "mentioned", replies = [] as Partial<Reply>[] } = {}): Conversation {
    const held = {
      id: "s",
      session: { ...session, reply_policy: policy } as unknown as Session,
      messages: [],
      hasOlder: false,
      replies: new Map(replies.map((reply) => [reply.message_id, reply])),
    };
    const conversation = new Conversation({ sessions: [held] } as unknown as Client, "s", "ada");
    conversation.refresh();
    return conversation;
  }

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("says so ten seconds after a message", () => {
    const conversation = opened();
    conversation.arrived(own);
    vi.advanceTimersByTime(9_900);
    expect(conversation.isUnattended.value).toBe(false);
    vi.advanceTimersByTime(200);
    expect(conversation.isUnattended.value).toBe(true);
  });

  it("says so when it was opened with an awaited reply", () => {
    const conversation = opened({ replies: [{ message_id: "r", chatbot_id: "echo", text: "" }] });
    vi.advanceTimersByTime(10_100);
    expect(conversation.isUnattended.value).toBe(true);
  });

  it("says so when a worker disappears without a word", () => {
    const conversation = opened({ replies: [{ message_id: "r", chatbot_id: "echo", text: "" }] });
    conversation.typing(typing);
    vi.advanceTimersByTime(17_000);
    expect(conversation.isUnattended.value).toBe(false);
    vi.advanceTimersByTime(2_000);
    expect(conversation.isUnattended.value).toBe(true);
  });

  it.each<[string, (conversation: Conversation) => void]>([
    ["types", (conversation) => conversation.typing(typing)],
    ["streams", (conversation) => conversation.streamed({ message_id: "r", text: "Hel" } as Reply)],
    ["reasons", (conversation) => conversation.streamed({ message_id: "r", reasoning: "Hm" } as Reply)],
    ["has answered", (conversation) => conversation.arrived(message("r", { sender_type: "chatbot" }))],
    ["cannot be heard, without a connection", (conversation) => conversation.disconnected()],
  ])("no longer says so when the chatbot %s", (_, act) => {
    const conversation = opened();
    conversation.arrived(own);
    vi.advanceTimersByTime(10_100);
    act(conversation);
    expect(conversation.isUnattended.value).toBe(false);
    vi.advanceTimersByTime(7_000);
    expect(conversation.isUnattended.value).toBe(false);
  });

  it.each([
    ["silent", [{ id: "echo", name: "Echo" }]],
    ["mentioned", []],
  ])("says nothing where no answer is expected: %s, %j", (policy, chatbots) => {
    const conversation = opened({ policy });
    conversation.session.value = { ...conversation.session.value, chatbots } as unknown as Session;
    conversation.arrived(own);
    vi.advanceTimersByTime(30_000);
    expect(conversation.isUnattended.value).toBe(false);
  });
});
