import { describe, expect, it } from "vitest";

import { type KeyValue, MemoryStorage, type OutboxEntry, WebStorage } from "./storage.ts";

/** The part of `localStorage` that is used. */
class Area implements KeyValue {
  readonly items = new Map<string, string>();

  get length(): number {
    return this.items.size;
  }

  key(at: number): string | null {
    return [...this.items.keys()][at] ?? null;
  }

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

const entry = (id: string, more: Partial<OutboxEntry> = {}): OutboxEntry => ({
  client_message_id: id,
  session_id: "S",
  content: `text of ${id} 🦊`,
  reply_to: null,
  order: 1,
  ...more,
});

describe.each([
  ["MemoryStorage", () => new MemoryStorage()],
  ["WebStorage", () => new WebStorage(new Area(), "ada")],
])("%s", (_, make) => {
  it("keeps entries by session and id until they are removed", () => {
    const storage = make();
    const entries = [entry("1"), entry("2", { reply_to: "m1", order: 2 }), entry("1", { session_id: "T" })];
    for (const each of entries) storage.save(each);
    expect(storage.load()).toEqual(entries);
    storage.remove(entry("1"));
    storage.remove(entry("never there"));
    expect(storage.load()).toEqual(entries.slice(1));
  });
});

describe("WebStorage", () => {
  it("survives a restart, separately for each user", () => {
    const area = new Area();
    new WebStorage(area, "Ada").save(entry("1"));
    expect(new WebStorage(area, "bob").load()).toEqual([]);
    expect(new WebStorage(area, "ada").load()).toEqual([entry("1")]);
  });

  it("drops damaged entries, and keeps other keys", () => {
    const area = new Area();
    area.setItem("theme", "dark");
    area.setItem("backchat.outbox.ada/S/1", "{");
    area.setItem("backchat.outbox.ada/S/2", '{"client_message_id": "2"}');
    area.setItem("backchat.outbox.ada/S/3", "null");
    new WebStorage(area, "ada").save(entry("4"));
    expect(new WebStorage(area, "ada").load()).toEqual([entry("4")]);
    expect([...area.items.keys()]).toEqual(["theme", "backchat.outbox.ada/S/4"]);
  });

  it("throws when it cannot store an entry", () => {
    const area = new Area();
    area.setItem = () => {
      throw new DOMException("full", "QuotaExceededError");
    };
    expect(() => new WebStorage(area, "ada").save(entry("1"))).toThrow("full");
  });
});
