/**
 * The public protocol, version 1, as types: Socket.IO events and account routes. The fields come from the services'
 * JSON Schemas (`protocol.ts`, generated); this file gives them the names that the kit and the page use.
 *
 * Ids are UUIDs; times are RFC 3339 UTC with milliseconds; a character is a Unicode code point.
 */

import type * as protocol from "./protocol.ts";

/** A deeply read-only type: what the server sent is not modified. */
type Immutable<T> = T extends readonly (infer Each)[]
  ? readonly Immutable<Each>[]
  : T extends object
    ? { readonly [Field in keyof T]: Immutable<T[Field]> }
    : T;

/** A stored message. `seq` is its permanent place, `updated_seq` the number of its latest change. */
export type Message = Immutable<protocol.Message>;
export type SenderType = Message["sender_type"];
export type MessageStatus = Message["status"];
/** Why a reply failed or was stopped. */
export type MessageError = Immutable<protocol.ErrorView>;
/** A chatbot as a session refers to it. */
export type ChatbotRef = Immutable<protocol.ChatbotRef>;
/** A chatbot of the catalogue. */
export type Chatbot = Immutable<protocol.Chatbot>;
/** A chat. Only `join_chat` and `list_chats` return `read_seq`, the caller's own read mark. */
export type Session = Immutable<protocol.Session & Partial<Pick<protocol.OwnSession, "read_seq">>>;
export type ReplyPolicy = Session["reply_policy"];
/** An active reply in the answer to `join_chat`; `text` is "" and `attempt` 0 if the gateway knows neither. */
export type ActiveReply = Immutable<protocol.ActiveReply>;
/** Streamed text of a reply; `offset` in code points; a snapshot carries the whole text so far. */
export type MessageDelta = Immutable<protocol.ReplyStreamed>;
/** An accepted message that could not be stored; `code` is `not_found` or `internal`. */
export type MessageRejected = Immutable<protocol.MessageRejected>;
/** The server's first event after each connect. */
export type Ready = Immutable<protocol.Ready>;
export type JoinAnswer = Immutable<protocol.Joined>;
/** The answer to `send_message`: the message is held durably. */
export type Accepted = Immutable<protocol.Accepted>;
export type StartChat = protocol.StartChat;
export type SearchHit = Immutable<protocol.Hit>;

/** The answer of `/login`, `/refresh` and `/guest`; lifetimes in seconds. No refresh token if it is in a cookie. */
export type Tokens = Immutable<protocol.LoggedIn>;
/** One login in the answer of `GET /me/logins`. */
export type OwnLogin = Immutable<protocol.OwnLogin>;
/** The answer of `GET /me`. */
export type Me = Immutable<protocol.Me>;

/** Events from the server, by name. */
export type ServerEvents = Immutable<protocol.ServerEvents>;
/** Client events by name: the payload, and the fields of the ack in addition to `ok`. */
export type ClientEvents = protocol.ClientEvents;
export type ClientEvent = keyof ClientEvents;
export type Payload<E extends ClientEvent> = ClientEvents[E]["payload"];
export type Answer<E extends ClientEvent> = Immutable<ClientEvents[E]["answer"]>;

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

/** `data.code` of a `connect_error` that the server sent (not one of the network). */
export type ConnectErrorCode = "unauthenticated" | "token_expired" | "rate_limited" | "unavailable";
