// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";

import { addressOf, parse, type Route } from "./route.ts";

const ROUTES: Route[] = [
  { name: "home" },
  { name: "new" },
  { name: "account" },
  { name: "chat", id: "0197-ab" },
  { name: "join", invite: "s3cret/+=" },
];

describe("routes", () => {
  it.each(ROUTES)("reads the address that it writes: %j", (to) => {
    expect(parse(new URL(addressOf(to, "/chat/"), "https://x.y"), "/chat/")).toEqual(to);
  });

  it("opens the home screen for every other address", () => {
    expect(parse(new URL("https://x.y/chat/nowhere"), "/chat/")).toEqual({ name: "home" });
  });

  it("keeps an invite out of requests to a server", () => {
    expect(new URL(addressOf({ name: "join", invite: "s3cret" }, "/chat/"), "https://x.y").pathname).toBe(
      "/chat/join",
    );
  });
});
