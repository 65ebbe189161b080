/** What the widget and its frame tell each other, as `{ backchat: … }` by `postMessage`. */

/** An access token of whoever visits the host page, as the host's backend gave it; without one there is none now. */
export interface LentToken {
  readonly type: "token";
  readonly access_token?: string | undefined;
  /** Seconds that it is good for. */
  readonly expires_in?: number | undefined;
  /** The host's backend could not be asked; it may be another time. */
  readonly is_away?: boolean;
}

/** From the page that shows the widget. */
export type ToFrame =
  | { readonly type: "open" | "close" }
  /** Something to say for the visitor. */
  | { readonly type: "send"; readonly text: string }
  | LentToken;

/** From the chat in the frame. */
export type FromFrame =
  | { readonly type: "ready" | "open" | "close" }
  /** An access token is wanted, where the host logs its visitors in. */
  | { readonly type: "token" }
  /** A message was stored in the chat that is shown. */
  | { readonly type: "message"; readonly from: "user" | "chatbot"; readonly text: string };
