/** Where messages wait until the server holds them. Synchronous, so that a message is kept before it is sent. */

/** A message that is not yet acked. `order` ascends in the order of sending, across restarts too. */
export interface OutboxEntry {
  readonly client_message_id: string;
  readonly session_id: string;
  readonly content: string;
  readonly reply_to: string | null;
  readonly order: number;
}

/** What identifies an entry: client ids are unique in a session. */
export function keyOf(entry: { session_id: string; client_message_id: string }): string {
  return `${entry.session_id}/${entry.client_message_id}`;
}

/** A store of outbox entries. One that cannot keep an entry throws: then nothing was sent. */
export interface OutboxStorage {
  /** All entries, in any order. */
  load(): OutboxEntry[];
  save(entry: OutboxEntry): void;
  remove(entry: OutboxEntry): void;
}

/** Keeps entries as long as the process lives. */
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
 * Keeps entries in `localStorage` or alike, so that they survive a restart; one key an entry, below the user's own
 * prefix: nobody sends what another user of the same browser wrote. Several tabs may share it: sent twice under the
 * same id, a message is stored once. `save` throws when the browser's quota is used up.
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
      else this.area.removeItem(key); // not ours, or damaged: it can never be sent
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
