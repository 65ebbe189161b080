// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from "vitest";

import { Drafts, forgetDrafts } from "./drafts.ts";

afterEach(() => {
  vi.restoreAllMocks();
  localStorage.clear();
});

describe("drafts", () => {
  it.each(["new", "0197-a", "0197/b"])("outlive the page: %s", (chat) => {
    new Drafts("ada").set(chat, "half a sen");
    expect(new Drafts("Ada").get(chat)).toBe("half a sen");
  });

  it("belong to one user", () => {
    new Drafts("ada").set("new", "secret");
    expect(new Drafts("bob").get("new")).toBe("");
    expect(new Drafts("ad").get("a/new")).toBe("");
  });

  it("are deleted when they are sent or emptied", () => {
    const drafts = new Drafts("ada");
    drafts.set("a", "text");
    drafts.set("b", "text");
    drafts.delete("a");
    drafts.set("b", "");
    expect([drafts.get("a"), drafts.get("b"), localStorage.length]).toEqual(["", "", 0]);
  });

  it("are deleted by a logout of that user only", () => {
    for (const user of ["ada", "ada.b", "bob"]) new Drafts(user).set("new", "text");
    forgetDrafts("ADA");
    const left = ["ada", "ada.b", "bob"].map((user) => new Drafts(user).get("new"));
    expect(left).toEqual(["", "text", "text"]);
  });

  it("last until the page is closed where storage is forbidden", () => {
    vi.spyOn(globalThis, "localStorage", "get").mockImplementation(() => {
      throw new DOMException("forbidden", "SecurityError");
    });
    const drafts = new Drafts("ada");
    drafts.set("new", "text");
    expect(drafts.get("new")).toBe("text");
    expect(() => forgetDrafts("ada")).not.toThrow();
  });
});
