/** Keeps messages until they are accepted. Synchronous, so that a message is stored before it is sent. */

/** A message without an ack. `order` ascends in the order of sending, across restarts too. */
export interface OutboxEntry {
  readonly client_message_id: string;
  readonly session_id: string;
  readonly content: string;
  readonly reply_to: string | null;
  readonly order: number;
}

/** The key of an entry: client ids are unique within a session. */
export function keyOf(entry: { session_id: string; client_message_id: string }): string {
  return `${entry.session_id}/${entry.client_message_id}`;
}

/** A store of outbox entries. If it cannot store an entry it throws, and nothing is sent. */
export interface OutboxStorage {
  /** All entries, in any order. */
  load(): OutboxEntry[];
  save(entry: OutboxEntry): void;
  remove(entry: OutboxEntry): void;
}

/** Keeps entries while the process runs. */
export class MemoryStorage implements OutboxStorage {
  private readonly entries = new Map<string, OutboxEntry>();

  load(): OutboxEntry[] {
    return [...this.entries.values()];
  }

  save(entry: OutboxEntry): void {
    this.entries.set(keyOf(entry), entry);
  }

  remove(entry: OutboxEntry): void {
    this.entries.delete(keyOf(entry));
  }
}

/** The part of the Web Storage interface that is used. */
export type KeyValue = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

/**
 * Keeps entries in `localStorage` or similar, so that they survive a restart. Each entry has one key below the user's
 * own prefix, so that another user of the same browser does not send it. Tabs may share the store: a message sent twice
 * under the same id is stored once. `save` throws when the browser's quota is used up.
 */
export class WebStorage implements OutboxStorage {
  private readonly area: KeyValue;
  private readonly prefix: string;

  constructor(area: KeyValue, userId: string) {
    this.area = area;
    this.prefix = `backchat.outbox.${userId.toLowerCase()}/`;
  }

  load(): OutboxEntry[] {
    const entries: OutboxEntry[] = [];
    for (const key of this.keys()) {
      const entry = parsed(this.area.getItem(key));
      if (entry && key === this.prefix + keyOf(entry)) entries.push(entry);
      else this.area.removeItem(key); // another user's, or damaged: it can never be sent
    }
    return entries;
  }

  save(entry: OutboxEntry): void {
    this.area.setItem(this.prefix + keyOf(entry), JSON.stringify(entry));
  }

  remove(entry: OutboxEntry): void {
    this.area.removeItem(this.prefix + keyOf(entry));
  }

  private keys(): string[] {
    const all = Array.from({ length: this.area.length }, (_, at) => this.area.key(at));
    return all.filter((key): key is string => key?.startsWith(this.prefix) ?? false);
  }
}

function parsed(text: string | null): OutboxEntry | undefined {
  try {
    const entry = JSON.parse(text ?? "null") as Partial<OutboxEntry> | null;
    const whole =
      typeof entry?.client_message_id === "string" &&
      typeof entry.session_id === "string" &&
      typeof entry.content === "string" &&
      typeof entry.order === "number";
    return whole ? ({ reply_to: null, ...entry } as OutboxEntry) : undefined;
  } catch {
    return undefined;
  }
}
