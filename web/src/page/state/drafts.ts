/**
 * Unsent texts by chat. They are kept in this browser, below the user's own prefix, so that a reload, the back button or
 * an ended login loses none; a logout deletes them. A frame keeps them for the life of its tab.
 */

import { COMPACT } from "../platform/route.ts";

const PREFIX = "backchat.draft.";

/** Unsent texts of one user. */
export class Drafts {
  private readonly prefix: string;
  private readonly texts = new Map<string, string>(); // for browsers that forbid storage

  constructor(userId: string) {
    this.prefix = `${PREFIX}${userId.toLowerCase()}/`;
  }

  get(chat: string): string {
    return this.texts.get(chat) ?? attempt((area) => area.getItem(this.prefix + chat)) ?? "";
  }

  /** Keep a text; an empty one deletes the draft. */
  set(chat: string, text: string): void {
    if (!text) return this.delete(chat);
    this.texts.set(chat, text);
    attempt((area) => area.setItem(this.prefix + chat, text));
  }

  delete(chat: string): void {
    this.texts.delete(chat);
    attempt((area) => area.removeItem(this.prefix + chat));
  }
}

/** Delete all drafts of a user, because of a logout. */
export function forgetDrafts(userId: string): void {
  const prefix = `${PREFIX}${userId.toLowerCase()}/`;
  attempt((area) => {
    for (const key of Object.keys(area)) if (key.startsWith(prefix)) area.removeItem(key);
  });
}

function attempt<T>(act: (area: Storage) => T): T | undefined {
  try {
    return act(COMPACT ? sessionStorage : localStorage);
  } catch {
    return undefined; // forbidden or full: the draft lasts until the page is closed
  }
}
