import { afterEach, describe, expect, it, vi } from "vitest";

import { importPart } from "./part_files.ts";

const FILES = ["/chat/assets/palette-1.js", "/chat/assets/dialog-2.js"];
const part = vi.fn(() => Promise.resolve("palette"));

function answerWith(answer: (file: string) => Promise<Response>): void {
  vi.stubGlobal("fetch", vi.fn(answer));
}

describe("the files of a part", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
    part.mockClear();
  });

  it("are all read before the part is imported", async () => {
    const read: string[] = [];
    answerWith((file) => {
      const response = new Response("");
      vi.spyOn(response, "arrayBuffer").mockImplementation(() => {
        expect(part).not.toHaveBeenCalled();
        read.push(file);
        return Promise.resolve(new ArrayBuffer(0));
      });
      return Promise.resolve(response);
    });
    expect(await importPart(part, FILES)).toBe("palette");
    expect(read).toEqual(FILES);
  });

  it.each([
    ["a lost connection", () => Promise.reject(new TypeError("Failed to fetch"))],
    ["an HTTP error", () => Promise.resolve(new Response("", { status: 503 }))],
  ])("are not imported after %s, and can be retried", async (_, failure) => {
    answerWith((file) => (file === FILES[1] ? failure() : Promise.resolve(new Response(""))));
    await expect(importPart(part, FILES)).rejects.toThrow();
    expect(part).not.toHaveBeenCalled();
    answerWith(() => Promise.resolve(new Response("")));
    expect(await importPart(part, FILES)).toBe("palette");
  });
});
