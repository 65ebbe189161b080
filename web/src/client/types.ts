/**
 * The public protocol, version 1, as types: what travels over Socket.IO and the account routes.
 *
 * Ids are UUIDs; times are RFC 3339 UTC with milliseconds; a character is a Unicode code point.
 */

export type SenderType = "user" | "chatbot";
export type MessageStatus = "complete" | "stopped" | "failed" | "erased";
export type ReplyPolicy = "mentioned" | "all" | "round_robin" | "silent";

/** Why a reply failed or was cut. */
export interface MessageError {
  readonly code: string;
  readonly message: string;
}

/** A stored message. `seq` is its place for ever, `updated_seq` the number of its latest change. */
export interface Message {
  readonly id: string;
  readonly session_id: string;
  readonly seq: number;
  readonly updated_seq: number;
  readonly sender_type: SenderType;
  readonly sender_id: string;
  readonly content: string;
  readonly created_at: string;
  readonly client_message_id: string | null;
  readonly reply_to: string | null;
  readonly status: MessageStatus;
  readonly error: MessageError | null;
  readonly superseded_by: string | null;
}

/** A chatbot as a session names it. */
export interface ChatbotRef {
  readonly id: string;
  readonly name: string;
}

/** A chatbot of the catalogue. */
export interface Chatbot extends ChatbotRef {
  readonly description: string;
  readonly default: boolean;
}

/** A chat. `seq` is the number of its own latest change (0 at first), `last_seq` the newest of all. */
export interface Session {
  readonly id: string;
  readonly title: string | null;
  readonly owner_id: string;
  readonly users: readonly string[];
  readonly chatbots: readonly ChatbotRef[];
  readonly reply_policy: ReplyPolicy;
  readonly seq: number;
  readonly last_seq: number;
  readonly created_at: string;
  readonly updated_at: string;
  /** The caller's own; only in acks of `join_chat` and `list_chats`. */
  readonly read_seq?: number;
}

/** A reply under way, as `join_chat` tells it; `text` is "" and `attempt` 0 where the gateway knows neither. */
export interface ActiveReply {
  readonly message_id: string;
  readonly chatbot_id: string;
  readonly attempt: number;
  readonly text: string;
}

/** Streaming text of a reply; `offset` in code points; a snapshot carries the whole text so far. */
export interface MessageDelta {
  readonly session_id: string;
  readonly message_id: string;
  readonly chatbot_id: string;
  readonly attempt: number;
  readonly offset: number;
  readonly text: string;
  readonly snapshot: boolean;
}

/** An accepted message that could not be stored; `code` is `not_found` or `internal`. */
export interface MessageRejected {
  readonly session_id: string;
  readonly message_id: string;
  readonly client_message_id: string | null;
  readonly code: string;
}

/** What the server says once after each connect; times as `token_expires_at` in RFC 3339. */
export interface Ready {
  readonly user_id: string;
  readonly token_expires_at: string;
  readonly server_time: string;
  readonly protocol: number;
  readonly limits: Readonly<Record<string, number>>;
}

/** Events from the server, by name. */
export interface ServerEvents {
  ready: Ready;
  message: Message;
  message_updated: Message;
  message_rejected: MessageRejected;
  message_delta: MessageDelta;
  session_updated: Session;
  session_deleted: { readonly session_id: string };
  session_activity: { readonly session_id: string; readonly last_seq: number; readonly updated_at: string };
  going_away: { readonly retry_after: number };
  typing: {
    readonly session_id: string;
    readonly sender_type: SenderType;
    readonly sender_id: string;
    readonly typing: boolean;
  };
  read: { readonly session_id: string; readonly user_id: string; readonly seq: number };
  /** Who of a session's users has joined it just now, on any of their devices; the whole list each time. */
  presence: { readonly session_id: string; readonly users: readonly string[] };
  token_expiring: { readonly expires_at: string };
  auth_expired: Readonly<Record<string, never>>;
}

type InSession<More = unknown> = { session_id: string } & More;
type Empty = Readonly<Record<string, never>>;
type Paged = { cursor?: string; limit?: number };

export interface JoinAnswer {
  readonly session: Session;
  readonly messages: readonly Message[];
  readonly has_more: boolean;
  readonly last_seq: number;
  readonly active_replies: readonly ActiveReply[];
}

export interface Accepted {
  readonly message_id: string;
  readonly client_message_id: string | null;
  readonly status: "accepted";
}

export interface StartChat {
  title?: string;
  chatbot_ids?: readonly string[];
  reply_policy?: ReplyPolicy;
  client_request_id?: string;
}

export interface SearchHit {
  readonly message: Message;
  readonly session_title: string | null;
  readonly snippet: string;
}

/** Client events by name: payload, and the fields of the ack beside `ok`. */
export interface ClientEvents {
  start_chat: [StartChat, { session: Session }];
  send_message: [InSession<{ content: string; client_message_id?: string; reply_to?: string }>, Accepted];
  join_chat: [InSession<{ after_seq?: number; limit?: number }>, JoinAnswer];
  leave_chat: [InSession, Empty];
  get_messages: [
    InSession<{ before_seq?: number; after_seq?: number; limit?: number }>,
    { messages: readonly Message[]; has_more: boolean },
  ];
  list_chats: [Paged, { sessions: readonly Session[]; next_cursor: string | null }];
  update_chat: [InSession<{ title?: string; reply_policy?: ReplyPolicy }>, { session: Session }];
  delete_chat: [InSession, Empty];
  list_chatbots: [Empty, { chatbots: readonly Chatbot[] }];
  add_chatbot: [InSession<{ chatbot_id: string }>, { session: Session }];
  remove_chatbot: [InSession<{ chatbot_id: string }>, { session: Session }];
  create_invite: [
    InSession<{ expires_in?: number; max_uses?: number }>,
    { invite: string; expires_at: string },
  ];
  accept_invite: [{ invite: string }, { session: Session }];
  leave_session: [InSession, Empty];
  remove_user: [InSession<{ user_id: string }>, { session: Session }];
  stop_reply: [InSession<{ message_id: string }>, Empty];
  regenerate_reply: [InSession<{ message_id: string }>, { message_id: string }];
  edit_message: [InSession<{ message_id: string; content: string }>, Empty];
  rate_reply: [InSession<{ message_id: string; rating: 1 | -1 | 0; comment?: string }>, Empty];
  search_messages: [
    { query: string; session_id?: string } & Paged,
    { hits: readonly SearchHit[]; next_cursor: string | null },
  ];
  set_typing: [InSession<{ typing: boolean }>, Empty];
  mark_read: [InSession<{ seq: number }>, Empty];
  refresh_token: [{ token: string }, { expires_at: string }];
}

export type ClientEvent = keyof ClientEvents;
export type Payload<E extends ClientEvent> = ClientEvents[E][0];
export type Answer<E extends ClientEvent> = ClientEvents[E][1];

export type ErrorCode =
  | "invalid_request"
  | "not_found"
  | "forbidden"
  | "rate_limited"
  | "payload_too_large"
  | "conflict"
  | "unavailable"
  | "internal";

/** Every ack; `retry_after` is in seconds. */
export type Ack<Fields> =
  | ({ readonly ok: true } & Fields)
  | {
      readonly ok: false;
      readonly error: { readonly code: ErrorCode; readonly message: string; readonly retry_after?: number };
    };

/** `data.code` of a `connect_error` that the server, not the network, caused. */
export type ConnectErrorCode = "unauthenticated" | "token_expired" | "rate_limited" | "unavailable";
