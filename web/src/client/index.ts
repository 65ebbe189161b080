/** The Backchat client kit: implements the client's side of the protocol. */

export { type AccessToken, Account, type AccountOptions } from "./account.ts";
export type { Change } from "./state/changes.ts";
export { Client, type ClientOptions, type Events, type Sent } from "./client.ts";
export type { ConnectionState, TokenSource } from "./connection.ts";
export { BackchatError, NotConnected } from "./errors.ts";
export { newId } from "./id.ts";
export { codePoints, type Reply, type SessionState } from "./state/session.ts";
export { MemoryStorage, type OutboxEntry, type OutboxStorage, WebStorage } from "./storage.ts";
export type * from "./types.ts";
