import { describe, expect, it } from "vitest";

import type { Message } from "../../client/index.ts";
import { rowsOf } from "./conversation.ts";

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
