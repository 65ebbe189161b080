/** The messages between the widget and its frame, as `{ backchat: … }` by `postMessage`. */

/** The visitor's access token, as the host's backend returned it; without a token there is none at present. */
export interface LentToken {
  readonly type: "token";
  readonly access_token?: string | undefined;
  /** Its lifetime in seconds. */
  readonly expires_in?: number | undefined;
  /** The host's backend did not answer; a later request may succeed. */
  readonly is_away?: boolean;
}

/** From the host page to the frame. */
export type ToFrame =
  | { readonly type: "open" | "close" }
  /** A message to send as the visitor. */
  | { readonly type: "send"; readonly text: string }
  | LentToken;

/** From the frame to the host page. */
export type FromFrame =
  | { readonly type: "ready" | "open" | "close" }
  /** The server does not show the chat on the host's origin. */
  | { readonly type: "refused" }
  /** A request for an access token, if the host logs its visitors in. */
  | { readonly type: "token" }
  /** A message was stored in the chat that is shown. */
  | { readonly type: "message"; readonly from: "user" | "chatbot"; readonly text: string };
