/** Cases that the golden scenarios do not cover. */

import { describe, expect, it } from "vitest";

import { codePoints, SessionState } from "./session.ts";
import { filledAnswer, message } from "../testing/scenario.ts";
import type { JoinAnswer, Message } from "../types.ts";

const answer = (fields: object) =>
  filledAnswer("join_chat", { ok: true, session: {}, ...fields }) as unknown as JoinAnswer;
const numbered = (seq: number, fields: object = {}) => message({ seq, ...fields }) as unknown as Message;
const active = [{ message_id: "r", chatbot_id: "echo", attempt: 1, text: "so far" }];

function loaded(): SessionState {
  const state = new SessionState("S");
  state.applyJoin(
    answer({ last_seq: 2, messages: [{ seq: 1 }, { seq: 2 }], active_replies: active }),
    undefined,
  );
  return state;
}

describe("SessionState", () => {
  it("keeps active replies when a page is not the last one", () => {
    const state = loaded();
    state.disconnected();
    state.applyJoin(answer({ last_seq: 3, messages: [{ seq: 3 }], has_more: true }), 2);
    expect([...state.replies.keys()]).toEqual(["r"]);
    state.applyJoin(answer({ last_seq: 4, messages: [{ seq: 4 }] }), 3);
    expect(state.replies.size).toBe(0);
  });

  it("returns the missed changes, but not the contents of a first answer", () => {
    const state = new SessionState("S");
    expect(state.applyJoin(answer({ last_seq: 2, messages: [{ seq: 1 }, { seq: 2 }] }), undefined)).toEqual(
      [],
    );
    state.disconnected();
    const page = {
      session: { seq: 5, last_seq: 5, title: "Named" },
      last_seq: 5,
      messages: [{ seq: 3 }, { seq: 1, updated_seq: 4 }],
    };
    const changes = state.applyJoin(answer(page), 2);
    expect(changes.map(({ event, payload }) => [event, payload.seq])).toEqual([
      ["message", 3],
      ["message_updated", 1],
      ["session_updated", 5],
    ]);
  });

  it("keeps the user's read mark, which events do not carry", () => {
    const state = new SessionState("S");
    state.applyJoin(answer({ session: { read_seq: 7 }, last_seq: 9 }), undefined);
    state.applySession({ ...answer({ session: { seq: 10 } }).session });
    expect(state.session).toMatchObject({ seq: 10, read_seq: 7 });
  });

  it("ignores an older page that was requested before a reload", () => {
    const state = new SessionState("S");
    state.applyJoin(answer({ last_seq: 9, messages: [{ seq: 8 }, { seq: 9 }], has_more: true }), undefined);
    state.applyJoin(answer({ last_seq: 3, messages: [{ seq: 3 }], has_more: true }), undefined);
    state.applyOlder({ messages: [numbered(6), numbered(7)], has_more: true }, 8);
    expect(state.messages.map(({ seq }) => seq)).toEqual([3]);
    expect(state.oldest).toBe(3);
  });
});

describe("codePoints", () => {
  it.each(["", "abc", "🦊", "a🦊b🦊", "👩‍👩‍👧", "e\u0301", "\ud83e", "\udd8a", "\ud83e\ud83e\udd8a", "🏳️‍🌈"])(
    "counts %j like the spread operator",
    (text) => {
      expect(codePoints(text)).toBe([...text].length);
    },
  );
});
