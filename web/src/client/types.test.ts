/** The generated types against the services' golden events: a missing or superfluous field does not compile. */

import { expect, expectTypeOf, it } from "vitest";
import rejected from "../../../tests/contract/golden/backchat.message.rejected.v1.json";
import type stored from "../../../tests/contract/golden/backchat.message.stored.v1.json";
import type streamed from "../../../tests/contract/golden/backchat.reply.streamed.v1.json";
import type updated from "../../../tests/contract/golden/backchat.session.updated.v1.json";
import type { Message, MessageDelta, MessageRejected, Session } from "./types.ts";

it("has exactly the fields of the golden events", () => {
  expectTypeOf<keyof typeof stored.data.message>().toEqualTypeOf<Exclude<keyof Message, "parts">>();
  expectTypeOf<keyof typeof updated.data.session>().toEqualTypeOf<Exclude<keyof Session, "read_seq">>();
  expectTypeOf<keyof typeof streamed.data>().toEqualTypeOf<keyof MessageDelta>();
  expect(Object.keys(rejected.data)).toEqual(
    expect.arrayContaining<keyof MessageRejected>(["session_id", "message_id", "client_message_id", "code"]),
  );
});
