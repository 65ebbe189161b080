/** Plays the golden scenarios, which the Python kit plays too: tests/contract/client_scenarios/README.md. */

import { expect, vi } from "vitest";

import { Chats, type ChatsListener } from "../state/chats.ts";
import { MemoryStorage } from "../storage.ts";
import type { ServerEvents } from "../types.ts";
import { FakeLink } from "./fake_link.ts";

type Fields = Record<string, unknown>;

export interface Expectation {
  calls?: [string, Fields][];
  sessions?: Record<string, Fields | null>;
  outbox?: string[];
  notices?: [string, Fields][];
}

export type Step = { expect?: Expectation } & Record<string, unknown>;

export interface Scenario {
  name: string;
  about: string;
  steps: Step[];
}

const AT = "2026-11-23T12:00:00.000Z";
const WHOLE_MESSAGES = ["message", "message_updated"];

export class Player {
  private readonly link = new FakeLink();
  private readonly storage = new MemoryStorage();
  private notices: [string, Fields][] = [];
  private chats = this.start();

  play(step: Step): void {
    const [name, value] = Object.entries(step).find(([key]) => key !== "expect") ?? ["", undefined];
    const act = this.steps[name];
    if (!act) throw new Error(`a step of an unknown kind: ${name}`);
    this.notices = [];
    act(value as never);
    this.check(step.expect ?? {});
  }

  private readonly steps: Record<string, (value: never) => void> = {
    connect: () => {
      this.link.connected = true;
      this.chats.connected("ada");
    },
    disconnect: () => this.disconnect(),
    restart: () => {
      this.disconnect();
      this.chats.close();
      this.chats = this.start();
    },
    wait: (seconds: number) => void vi.advanceTimersByTime(seconds * 1000),
    open: (id: string) => void this.chats.open(id),
    leave: (id: string) => this.chats.leave(id),
    older: (id: string) => this.chats.older(id, () => undefined),
    start_chat: (payload: { client_request_id: string }) => this.chats.start(payload),
    send: (draft: { session_id: string; content: string; client_message_id: string }) =>
      this.chats.outbox.send(draft),
    ack: ([event, answer]: [string, Fields | null]) => this.link.answer(event, filledAnswer(event, answer)),
    event: ([name, payload]: [keyof ServerEvents, Fields]) =>
      this.chats.event(name, filledEvent(name, payload) as never),
  };

  private start(): Chats {
    const record =
      (name: string) =>
      (fields: object): void =>
        void this.notices.push([name, fields as Fields]);
    const quiet = () => undefined;
    const listener: ChatsListener = {
      accepted: record("accepted"),
      failed: record("failed"),
      closed: record("closed"),
      started: ({ client_request_id, session }) =>
        record("started")({ client_request_id, session_id: session.id }),
      startFailed: ({ client_request_id, error }) =>
        record("failed")({ client_request_id, code: error.code }),
      synced: quiet,
      changed: quiet,
      stored: quiet,
      streamed: quiet,
    };
    return new Chats({ link: this.link, storage: this.storage, listener, random: () => 0 });
  }

  private disconnect(): void {
    this.link.lose();
    this.chats.disconnected();
  }

  private check({ calls, sessions, outbox, notices }: Expectation): void {
    const made = this.link.take().map(([event, { limit: _, ...payload }]) => [event, payload]);
    expect(made).toEqual(calls ?? []);
    for (const [id, expected] of Object.entries(sessions ?? {})) this.checkSession(id, expected);
    if (outbox) expect(this.chats.outbox.entries.map((entry) => entry.client_message_id)).toEqual(outbox);
    if (outbox)
      expect(
        this.storage
          .load()
          .map((entry) => entry.client_message_id)
          .sort(),
      ).toEqual([...outbox].sort());
    if (notices) {
      expect(this.notices).toHaveLength(notices.length);
      expect(this.notices).toMatchObject(notices);
    }
  }

  private checkSession(id: string, expected: Fields | null): void {
    const state = this.chats.find(id);
    if (expected === null || !state) {
      expect(state ?? null, `session ${id}`).toBe(expected);
      return;
    }
    const seen: Fields = {
      cursor: state.cursor ?? null,
      joined: state.live,
      has_older: state.hasOlder,
      title: state.session?.title ?? null,
      read: state.session?.read_seq ?? null,
      messages: state.messages,
      replies: Object.fromEntries([...state.replies].map(([reply, { text }]) => [reply, text])),
      reasonings: Object.fromEntries(
        [...state.replies].flatMap(([reply, { reasoning }]) => (reasoning ? [[reply, reasoning]] : [])),
      ),
    };
    for (const [key, value] of Object.entries(expected)) {
      if (!(key in seen)) throw new Error(`an expectation of an unknown kind: ${key}`);
      if (key === "messages") expect(seen[key]).toHaveLength((value as []).length);
      if (key === "messages") expect(seen[key], `session ${id}`).toMatchObject(value as []);
      else expect(seen[key], `${key} of session ${id}`).toEqual(value);
    }
  }
}

export function filledAnswer(event: string, answer: Fields | null): Fields | null {
  if (!answer?.ok) return answer;
  const filled: Fields = { ...answer };
  if (event === "join_chat")
    Object.assign(filled, { messages: [], active_replies: [], has_more: false }, answer);
  if (filled.session) filled.session = session(filled.session as Fields);
  if (filled.messages) filled.messages = (filled.messages as Fields[]).map(message);
  return filled;
}

function filledEvent(name: string, payload: Fields): Fields {
  if (WHOLE_MESSAGES.includes(name)) return message(payload);
  if (name === "session_updated") return session(payload);
  if (name === "message_delta" || name === "reasoning_delta") {
    return { session_id: "S", chatbot_id: "echo", attempt: 1, snapshot: false, ...payload };
  }
  return payload;
}

export function message(short: Fields): Fields {
  return {
    id: `m${short.seq}`,
    session_id: "S",
    updated_seq: short.seq,
    sender_type: "user",
    sender_id: "ada",
    content: `text ${short.seq}`,
    created_at: AT,
    client_message_id: null,
    reply_to: null,
    status: "complete",
    error: null,
    superseded_by: null,
    ...short,
  };
}

function session(short: Fields): Fields {
  return {
    id: "S",
    title: null,
    owner_id: "ada",
    users: ["ada"],
    chatbots: [{ id: "echo", name: "Echo" }],
    reply_policy: "mentioned",
    seq: 0,
    last_seq: 0,
    created_at: AT,
    updated_at: AT,
    ...short,
  };
}
