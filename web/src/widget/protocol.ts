/** What the widget and its frame tell each other, as `{ backchat: … }` by `postMessage`. */

/** From the page that shows the widget. */
export type ToFrame =
  | { readonly type: "open" | "close" }
  /** Something to say for the visitor. */
  | { readonly type: "send"; readonly text: string };

/** From the chat in the frame. */
export type FromFrame =
  | { readonly type: "ready" | "open" | "close" }
  /** A message was stored in the chat that is shown. */
  | { readonly type: "message"; readonly from: "user" | "chatbot"; readonly text: string };
