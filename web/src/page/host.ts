/**
 * The compact page inside the widget's frame, and the page around it. Only pages that the operator has named may show
 * the frame at all (`frame-ancestors`); what they say counts only if it comes from the page around, of the origin that
 * loaded the widget.
 */

import { effect } from "@preact/signals";

import { type Message, newId } from "../client/index.ts";
import type { FromFrame, ToFrame } from "../widget/protocol.ts";
import { COMPACT, route } from "./route.ts";
import type { Workspace } from "./workspace.ts";

const parameters = new URLSearchParams(location.search);
const HOST = COMPACT && window.parent !== window ? parameters.get("host") : null;

/** The chatbot that the host asked for. */
export const WANTED_CHATBOT = COMPACT ? (parameters.get("chatbot") ?? undefined) : undefined;

const unsaid: string[] = []; // said before anybody was logged in
let say: ((text: string) => void) | undefined;

/** Tell the page around. */
export function tellHost(event: FromFrame): void {
  if (HOST) window.parent.postMessage({ backchat: event }, HOST);
}

/** Begin to listen; the host waits for it. */
export function greetHost(): void {
  if (!HOST) return;
  addEventListener("message", ({ source, origin, data }: MessageEvent) => {
    if (source !== window.parent || origin !== HOST) return;
    const message = (data as { backchat?: ToFrame } | null)?.backchat;
    if (message?.type === "send" && typeof message.text === "string") hear(message.text);
    else if (message?.type === "open" || message?.type === "close") tellHost({ type: message.type });
  });
  addEventListener("keydown", (event) => {
    const isTaken =
      event.defaultPrevented || document.querySelector("dialog, .editor, .mentions, .composer .stop");
    if (event.key === "Escape" && !isTaken) tellHost({ type: "close" });
  });
  tellHost({ type: "ready" });
}

/** Say here what the host says, or what was said before the login; the returned function ends it. */
export function serveHost(workspace: Workspace): () => void {
  if (!COMPACT) return () => undefined;
  say = (text) => {
    const to = route.value;
    if (to.name === "chat") workspace.pending.send(to.id, text);
    else void workspace.attempt(() => workspace.start(WANTED_CHATBOT, text, newId()));
  };
  const heard = workspace.client.on("message", ({ session_id, sender_type, content }: Message) => {
    if (route.value.name === "chat" && route.value.id === session_id)
      tellHost({ type: "message", from: sender_type, text: content });
  });
  const online = effect(() => {
    if (workspace.connection.value === "online") for (const text of unsaid.splice(0)) say?.(text);
  });
  return () => {
    say = undefined;
    heard();
    online();
  };
}

/** Say something, as soon as somebody is logged in. */
export function hear(text: string): void {
  if (say) say(text);
  else unsaid.push(text);
}
