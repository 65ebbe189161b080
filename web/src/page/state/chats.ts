/** The list of the user's chats: most recent activity first, with unread marks. */

import { batch, computed, signal } from "@preact/signals";

import type { Client, Session } from "../../client/index.ts";
import { asBackchatError } from "../../client/errors.ts";
import type { ServerEvents } from "../../client/types.ts";

const PAGE = 50;
const SEARCHED_PAGE = 200;
const MAX_SEARCHED = 50; // pages of chats that a search reads

export class ChatList {
  readonly state = signal<"loading" | "ready" | "failed">("loading");
  readonly hasMore = signal(false);
  private readonly byId = signal<ReadonlyMap<string, Session>>(new Map());
  /** Chats that are being deleted, while that can be undone. */
  private readonly hidden = signal<ReadonlySet<string>>(new Set());
  private cursor: string | null = null;
  private loadingAll: Promise<void> | undefined;

  readonly sorted = computed(() =>
    [...this.byId.value.values()]
      .filter((each) => !this.hidden.value.has(each.id))
      .sort((a, b) => (a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : 0)),
  );
  readonly unread = computed(() => this.sorted.value.filter(isUnread).length);

  constructor(private readonly client: Client) {}

  find(id: string): Session | undefined {
    return this.byId.value.get(id);
  }

  /** Load the first page, after each connect, to get what changed in the meantime. */
  async load(): Promise<void> {
    if (this.state.value === "failed") this.state.value = "loading";
    try {
      const { sessions, next_cursor } = await this.client.call("list_chats", { limit: PAGE });
      batch(() => {
        const all = next_cursor ? new Map(this.byId.value) : new Map<string, Session>();
        for (const each of sessions) all.set(each.id, newer(this.byId.value.get(each.id), each));
        this.byId.value = all;
        this.paged(next_cursor);
        this.state.value = "ready";
      });
    } catch (thrown) {
      if (asBackchatError(thrown).unknown && this.client.state !== "online") return; // the next connect loads it
      if (this.state.value === "loading") this.state.value = "failed";
    }
  }

  /** Load the next page, of 50 chats by default. */
  async more(limit = PAGE): Promise<void> {
    if (!this.cursor) return;
    const { sessions, next_cursor } = await this.client.call("list_chats", { cursor: this.cursor, limit });
    batch(() => {
      for (const each of sessions) this.put(each);
      this.paged(next_cursor);
    });
  }

  /**
   * Load all chats, because a search by title must see each of them. Concurrent callers share one load. Rejects with a
   * `BackchatError`; the next call continues.
   */
  all(): Promise<void> {
    this.loadingAll ??= this.loadAll().finally(() => (this.loadingAll = undefined));
    return this.loadingAll;
  }

  private async loadAll(): Promise<void> {
    for (let page = 0; this.cursor && page < MAX_SEARCHED; page += 1) await this.more(SEARCHED_PAGE);
  }

  put(session: Session): void {
    this.byId.value = new Map(this.byId.value).set(
      session.id,
      newer(this.byId.value.get(session.id), session),
    );
  }

  activity({ session_id, last_seq, updated_at }: ServerEvents["session_activity"]): void {
    const known = this.byId.value.get(session_id);
    if (known) this.put({ ...known, last_seq: Math.max(known.last_seq, last_seq), updated_at });
    else void this.load();
  }

  /** Update the read mark, from this device or another one. */
  read(id: string, seq: number): void {
    const known = this.byId.value.get(id);
    if (known && (known.read_seq ?? 0) < seq) this.put({ ...known, read_seq: seq });
  }

  remove(id: string): void {
    const all = new Map(this.byId.value);
    if (all.delete(id)) this.byId.value = all;
  }

  /** Hide a chat from the list, or show it. */
  hide(id: string, hidden: boolean): void {
    const all = new Set(this.hidden.value);
    if (hidden) all.add(id);
    else all.delete(id);
    this.hidden.value = all;
  }

  private paged(cursor: string | null): void {
    this.cursor = cursor;
    this.hasMore.value = cursor !== null;
  }
}

/** Whether a chat has unread messages. A change of the chat itself, such as its title, does not count. */
export function isUnread({ seq, last_seq, read_seq = 0 }: Session): boolean {
  return last_seq > read_seq && !(last_seq === seq && read_seq >= seq - 1);
}

/** The newer of two views of a chat. A view without a read mark keeps the known mark. */
function newer(known: Session | undefined, seen: Session): Session {
  if (!known) return seen;
  const base = seen.seq >= known.seq ? seen : known;
  return {
    ...base,
    last_seq: Math.max(seen.last_seq, known.last_seq),
    updated_at: seen.updated_at > known.updated_at ? seen.updated_at : known.updated_at,
    read_seq: Math.max(seen.read_seq ?? 0, known.read_seq ?? 0),
  };
}
