/**
 * The compact page inside the widget's frame, and the page around it. Only pages that the operator has named may show
 * the frame at all (`frame-ancestors`); what they say counts only if it comes from the page around, of the origin that
 * loaded the widget.
 */

import { effect } from "@preact/signals";

import { type AccessToken, BackchatError, type Message, newId } from "../../client/index.ts";
import type { FromFrame, LentToken, ToFrame } from "../../widget/protocol.ts";
import { COMPACT, go, route } from "./route.ts";
import type { Workspace } from "../state/workspace.ts";

const parameters = new URLSearchParams(location.search);
const HOST = COMPACT && window.parent !== window ? parameters.get("host") : null;

/** Whether there is a page around that can put the frame away. */
export const IS_FRAMED = HOST !== null;

/** The chatbot that the host asked for. */
export const WANTED_CHATBOT = COMPACT ? (parameters.get("chatbot") ?? undefined) : undefined;

/** Whether the page around logs its visitors in: its backend keeps their logins, and lends access tokens. */
export const LENDS = HOST !== null && parameters.has("tokens");

const PATIENCE = 10_000; // milliseconds for the host to give a token
const GOOD_FOR = 300; // seconds, of a token of which the host does not say it

let given: ((token: LentToken) => void)[] = []; // to whoever waits for a token
const unsaid: string[] = []; // said before anybody was logged in
let say: ((text: string) => void) | undefined;

/** Tell the page around. */
export function tellHost(event: FromFrame): void {
  if (HOST) window.parent.postMessage({ backchat: event }, HOST);
}

/** Ask the page around for an access token. Rejects with `unavailable`, or with `token_invalid` if there is none. */
export function lentToken(): Promise<AccessToken> {
  return new Promise((resolve, reject) => {
    const refuse = (code: string) => reject(new BackchatError(code, "The page around gave no token."));
    const late = setTimeout(() => refuse("unavailable"), PATIENCE);
    given.push(({ access_token, expires_in = GOOD_FOR, is_away }) => {
      clearTimeout(late);
      if (access_token) resolve({ access_token, expires_in });
      else refuse(is_away ? "unavailable" : "token_invalid");
    });
    tellHost({ type: "token" });
  });
}

/** Begin to listen; the host waits for it. */
export function greetHost(): void {
  if (!HOST) return;
  document.documentElement.dataset.framed = "";
  addEventListener("message", ({ source, origin, data }: MessageEvent) => {
    if (source !== window.parent || origin !== HOST) return;
    const message = (data as { backchat?: ToFrame } | null)?.backchat;
    if (message?.type === "send" && typeof message.text === "string") hear(message.text);
    else if (message?.type === "token") hand(message);
    else if (message?.type === "open" || message?.type === "close") tellHost({ type: message.type });
  });
  addEventListener("keydown", (event) => {
    const isTaken =
      event.defaultPrevented || document.querySelector("dialog, .editor, .mentions, .composer .stop");
    if (event.key === "Escape" && !isTaken) tellHost({ type: "close" });
  });
  tellHost({ type: "ready" });
}

function hand(token: LentToken): void {
  const waiting = given;
  given = [];
  for (const give of waiting) give(token);
}

/** Say here what the host says, or what was said before the login; the returned function ends it. */
export function serveHost(workspace: Workspace): () => void {
  if (!COMPACT) return () => undefined;
  const goneOn = LENDS ? goOn(workspace) : () => undefined;
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
    goneOn();
    heard();
    online();
  };
}

/** Once, go on with the chat that this visitor had last: browsers let a frame keep nothing, but the server knows. */
function goOn({ chats, drafts }: Workspace): () => void {
  let isDone = false;
  return effect(() => {
    if (isDone || chats.state.value !== "ready") return;
    isDone = true;
    const last = chats.sorted
      .peek()
      .find(({ chatbots }) => !WANTED_CHATBOT || chatbots.some(({ id }) => id === WANTED_CHATBOT));
    if (last && route.peek().name === "home" && !drafts.get("new")) go({ name: "chat", id: last.id });
  });
}

/** Say something, as soon as somebody is logged in. */
export function hear(text: string): void {
  if (say) say(text);
  else unsaid.push(text);
}
