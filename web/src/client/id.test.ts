import { afterEach, expect, it, vi } from "vitest";

import { newId } from "./id.ts";

const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

afterEach(() => vi.unstubAllGlobals());

it("returns a UUID of the browser", () => {
  expect(newId()).toMatch(UUID4);
});

it("generates one if the browser does not, on a page without TLS", () => {
  vi.stubGlobal("crypto", { getRandomValues: (bytes: Uint8Array) => bytes.fill(0xff) });
  expect(newId()).toBe("ffffffff-ffff-4fff-bfff-ffffffffffff");
});
