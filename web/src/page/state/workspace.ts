/** The state of one login: the connection, the chats, and the actions of the page. */

import { signal } from "@preact/signals";

import {
  Client,
  type Chatbot,
  type ConnectionState,
  type Message,
  WebStorage,
  MemoryStorage,
} from "../../client/index.ts";
import { asBackchatError } from "../../client/errors.ts";
import { ChatList } from "./chats.ts";
import { Conversation } from "./conversation.ts";
import { Drafts } from "./drafts.ts";
import { errorText, hasErrorText, t } from "../i18n/index.ts";
import { ended, type Login } from "./login.ts";
import { nameOf, titleOf } from "../format/names.ts";
import { plain } from "../format/text.ts";
import { announce, notify } from "./notices.ts";
import { PendingMessages } from "./pending.ts";
import { setPictures } from "./pictures.ts";
import { go, route } from "../platform/route.ts";

const MAX_ANNOUNCED = 2_000; // characters of a message that screen readers announce
const MAX_OPEN = 8; // chats that stay open, so that returning to one is immediate

export class Workspace {
  readonly me: string;
  readonly client: Client;
  readonly chats: ChatList;
  readonly pending: PendingMessages;
  readonly connection = signal<ConnectionState>("connecting");
  readonly chatbots = signal<readonly Chatbot[]>([]);
  /** Whether the list of chatbots is still loading. Messages can be sent without it. */
  readonly chatbotsAwaited = signal(true);
  /** Maximum length of a message, in characters. */
  readonly longest = signal(16_000);
  /** The user's ratings since the page was opened, by message id. */
  readonly ratings = signal<ReadonlyMap<string, number>>(new Map());
  /** A message to scroll to once its chat is shown. */
  readonly target = signal<{ session_id: string; id: string; seq: number } | undefined>(undefined);
  readonly drafts: Drafts;
  private readonly open = new Map<string, Conversation>(); // least recently shown first
  private readonly deletions = new Map<string, () => void>(); // functions that carry out a deletion at once

  constructor(readonly login: Login) {
    this.me = login.id;
    this.drafts = new Drafts(login.id);
    this.client = new Client({
      url: location.origin,
      token: login.account.token,
      storage: browserKeeps() ? new WebStorage(localStorage, login.id) : new MemoryStorage(),
    });
    this.chats = new ChatList(this.client);
    this.pending = new PendingMessages(this.client, login.id);
    this.listen();
    this.client.connect();
  }

  /** Close the connection; the login may continue. */
  close(): void {
    this.flush();
    this.client.close();
  }

  /** Carry out pending deletions at once, because the page is being closed. */
  flush(): void {
    for (const run of [...this.deletions.values()]) run();
  }

  /** The conversation with that id, opened if necessary. */
  conversation(id: string): Conversation {
    const conversation = this.open.get(id) ?? new Conversation(this.client, id, this.me);
    this.open.delete(id);
    this.open.set(id, conversation);
    conversation.open();
    for (const [oldest] of [...this.open].slice(0, -MAX_OPEN)) this.leave(oldest);
    return conversation;
  }

  /** Start a chat with a chatbot and send the first message; resolves when the chat exists. */
  async start(chatbotId: string | undefined, content: string, requestId: string): Promise<void> {
    const id = await this.create(chatbotId, requestId);
    this.pending.send(id, content);
    go({ name: "chat", id }, { replace: route.value.name === "new" });
  }

  /** Create an empty chat with a chatbot, and open it. A repeated request id creates no second one. */
  async create(chatbotId: string | undefined, requestId: string): Promise<string> {
    const held = await this.client.start({
      ...(chatbotId ? { chatbot_ids: [chatbotId] } : {}),
      client_request_id: requestId,
    });
    if (held.session) this.chats.put(held.session);
    this.conversation(held.id).refresh();
    return held.id;
  }

  /** Do something that the server may refuse; on failure show a notice. Resolves to whether it succeeded. */
  readonly attempt = async (act: () => Promise<unknown>): Promise<boolean> => {
    try {
      await act();
      return true;
    } catch (thrown) {
      const { code } = asBackchatError(thrown);
      notify(hasErrorText(code) ? errorText(code) : `${errorText(code)} (${code})`, { tone: "error" });
      return false;
    }
  };

  /** Delete a chat, or leave it if another user owns it; for a moment that can be undone. */
  remove(id: string): void {
    const session = this.chats.find(id) ?? this.open.get(id)?.session.value;
    if (!session || this.deletions.has(id)) return;
    const own = session.owner_id === this.me;
    const run = () => {
      this.deletions.delete(id);
      withdraw();
      void this.attempt(() =>
        this.client.call(own ? "delete_chat" : "leave_session", { session_id: id }),
      ).then((done) => {
        if (!done) return this.chats.hide(id, false);
        this.chats.remove(id);
        this.drafts.delete(id);
      });
    };
    const undo = () => {
      this.deletions.delete(id);
      this.chats.hide(id, false);
    };
    this.chats.hide(id, true);
    if (route.value.name === "chat" && route.value.id === id) go({ name: "home" });
    const text = t(own ? "chats.deleted" : "chats.left", { title: titleOf(session) });
    const withdraw = notify(text, { action: { label: t("action.undo"), run: undo }, expired: run });
    this.deletions.set(id, run);
  }

  /** Load the list of chatbots, once per connection. */
  private async loadChatbots(): Promise<void> {
    const answer = await this.client.call("list_chatbots", {}).catch(() => undefined);
    if (answer) {
      this.chatbots.value = answer.chatbots;
      setPictures(answer.chatbots);
    }
    this.chatbotsAwaited.value = false;
  }

  private leave(id: string): void {
    this.open.delete(id);
    this.client.leave(id);
  }

  private listen(): void {
    const { client, chats } = this;
    client.on("state", ({ state }) => {
      this.connection.value = state;
      if (state === "signed_out") ended();
      if (state !== "online") for (const each of this.open.values()) each.disconnected();
    });
    client.on("ready", ({ limits }) => {
      if (limits.content) this.longest.value = limits.content;
      void chats.load();
      void this.loadChatbots();
    });
    client.on("message", (message) => this.message(message, true));
    client.on("message_updated", (message) => this.message(message, false));
    client.on("session_updated", (session) => {
      chats.put(session);
      this.open.get(session.id)?.refresh();
    });
    client.on("synced", (held) => this.synced(held.id));
    client.on("closed", ({ session_id, code }) => {
      if (code === "not_found") chats.remove(session_id);
      const conversation = this.open.get(session_id);
      if (conversation) conversation.state.value = "gone";
      this.open.delete(session_id);
    });
    client.on("session_deleted", ({ session_id }) => chats.remove(session_id));
    client.on("session_activity", (activity) => chats.activity(activity));
    client.on("reply", (reply) => this.open.get(reply.session_id)?.streamed(reply));
    client.on("typing", (typing) => this.open.get(typing.session_id)?.typing(typing));
    client.on("presence", ({ session_id, users }) => {
      const conversation = this.open.get(session_id);
      if (conversation) conversation.present.value = users;
    });
    client.on("read", (read) => {
      if (read.user_id === this.me) chats.read(read.session_id, read.seq);
      else this.open.get(read.session_id)?.read(read);
    });
  }

  private synced(id: string): void {
    const conversation = this.open.get(id);
    conversation?.refresh();
    for (const message of conversation?.messages.value ?? []) this.confirm(message);
    const session = conversation?.session.value;
    if (session) this.chats.put(session);
  }

  private message(message: Message, fresh: boolean): void {
    this.confirm(message);
    const conversation = this.open.get(message.session_id);
    conversation?.refresh();
    const known = this.chats.find(message.session_id);
    if (known) {
      const updated_at = fresh ? new Date().toISOString() : known.updated_at;
      this.chats.put({ ...known, last_seq: Math.max(known.last_seq, message.updated_seq), updated_at });
    }
    if (!fresh) return;
    conversation?.arrived(message);
    const shown = route.value.name === "chat" && route.value.id === message.session_id;
    if (shown && (message.sender_type === "chatbot" || message.sender_id !== this.me)) {
      const name = nameOf(message, conversation?.session.value);
      const text = plain(message.content).slice(0, MAX_ANNOUNCED);
      announce(t("message.said", { name, text: text || t("message.reply.failed") }));
    }
  }

  private confirm(message: Message): void {
    if (message.sender_type === "user" && message.sender_id === this.me) this.pending.stored(message);
  }
}

function browserKeeps(): boolean {
  try {
    return localStorage.length >= 0;
  } catch {
    return false;
  }
}
