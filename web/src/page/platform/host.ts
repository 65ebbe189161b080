/**
 * The compact page inside the widget's frame, and its host page. Only pages that the operator names may show the frame
 * (`frame-ancestors`). Messages are accepted only from the host page, and only from the origin that loaded the widget.
 */

import { effect, type Signal, signal } from "@preact/signals";

import { type AccessToken, BackchatError, type Message, newId } from "../../client/index.ts";
import { asBackchatError } from "../../client/errors.ts";
import type { FromFrame, LentToken, ToFrame } from "../../widget/protocol.ts";
import { COMPACT, go, route } from "./route.ts";
import type { Workspace } from "../state/workspace.ts";

const parameters = new URLSearchParams(location.search);
const HOST = COMPACT && window.parent !== window ? parameters.get("host") : null;

/** Whether a host page can hide the frame. */
export const IS_FRAMED = HOST !== null;

/** The chatbot that the host requested. */
export const WANTED_CHATBOT = COMPACT ? (parameters.get("chatbot") ?? undefined) : undefined;

/** Whether the host page has its own login: then its backend supplies access tokens. */
export const HOST_HAS_LOGIN = HOST !== null && parameters.has("tokens");

const PATIENCE = 10_000; // milliseconds for the host to supply a token
const DEFAULT_LIFETIME = 300; // seconds: a token's lifetime if the host does not name it

let resolvers: ((token: LentToken) => void)[] = []; // resolvers of pending requests for a token

/** Texts for the chat that does not exist yet, from the host and the visitor, in their order. */
export const unsent = signal<readonly string[]>([]);
/** The chatbot of that chat. */
export const firstChatbot = signal(WANTED_CHATBOT);
/** The error code of the start of that chat. */
export const startProblem = signal<string | undefined>(undefined);
/** What the visitor is writing before the chat exists. */
export const firstDraft = signal("");

/** Send an event to the host page. */
export function postToHost(event: FromFrame): void {
  if (HOST) window.parent.postMessage({ backchat: event }, HOST);
}

/** Request an access token from the host page. Rejects with `unavailable`, or with `token_invalid` if there is none. */
export function requestHostToken(): Promise<AccessToken> {
  return new Promise((resolve, reject) => {
    const refuse = (code: string) => reject(new BackchatError(code, "The host page supplied no token."));
    const late = setTimeout(() => refuse("unavailable"), PATIENCE);
    resolvers.push(({ access_token, expires_in = DEFAULT_LIFETIME, is_away }) => {
      clearTimeout(late);
      if (access_token) resolve({ access_token, expires_in });
      else refuse(is_away ? "unavailable" : "token_invalid");
    });
    postToHost({ type: "token" });
  });
}

/** Start to listen to the host page, and report that the frame is ready. */
export function listenToHost(): void {
  if (!HOST) return;
  document.documentElement.dataset.framed = "";
  addEventListener("message", ({ source, origin, data }: MessageEvent) => {
    if (source !== window.parent || origin !== HOST) return;
    const message = (data as { backchat?: ToFrame } | null)?.backchat;
    if (message?.type === "send" && typeof message.text === "string") sendToChat(message.text);
    else if (message?.type === "token") resolveToken(message);
    else if (message?.type === "open" || message?.type === "close") postToHost({ type: message.type });
  });
  addEventListener("keydown", (event) => {
    const isTaken =
      event.defaultPrevented || document.querySelector("dialog, .editor, .mentions, .composer .stop");
    if (event.key === "Escape" && !isTaken) postToHost({ type: "close" });
  });
  postToHost({ type: "ready" });
}

function resolveToken(token: LentToken): void {
  const waiting = resolvers;
  resolvers = [];
  for (const resolve of waiting) resolve(token);
}

/** Send a text to the chat that is shown, or to the first one as soon as it exists. */
export function sendToChat(text: string): void {
  if (text.trim()) unsent.value = [...unsent.value, text];
}

/** Deliver the texts of the host and of the visitor's first screen; the returned function stops that. */
export function connectHost(workspace: Workspace): () => void {
  if (!COMPACT) return () => undefined;
  const isChosen = signal(!HOST_HAS_LOGIN);
  const stopOpening = HOST_HAS_LOGIN ? openLastChat(workspace, isChosen) : () => undefined;
  const stopForwarding = workspace.client.on("message", ({ session_id, sender_type, content }: Message) => {
    if (route.value.name === "chat" && route.value.id === session_id)
      postToHost({ type: "message", from: sender_type, text: content });
  });
  let request = newId(); // a repeated request must not create a second chat
  let isStarting = false;
  const start = async () => {
    isStarting = true;
    try {
      const id = await workspace.create(firstChatbot.peek(), request);
      request = newId();
      workspace.drafts.set(id, firstDraft.peek());
      firstDraft.value = "";
      go({ name: "chat", id }, { replace: true });
    } catch (thrown) {
      const { code } = asBackchatError(thrown);
      if (code !== "closed") startProblem.value = code; // "closed": the login has ended
    }
    isStarting = false;
  };
  const stopDelivery = effect(() => {
    const texts = unsent.value;
    const to = route.value;
    const canStart = isChosen.value && workspace.connection.value === "online" && !startProblem.value;
    if (texts.length === 0) return;
    if (to.name === "chat") {
      unsent.value = [];
      for (const text of texts) void workspace.attempt(async () => workspace.pending.send(to.id, text));
    } else if (canStart && !isStarting) {
      void start();
    }
  });
  return () => {
    stopDelivery();
    stopOpening();
    stopForwarding();
  };
}

/**
 * Open this visitor's last chat, once. Browsers may forbid a frame to store anything, but the server knows the chats.
 */
function openLastChat({ chats, drafts }: Workspace, isDone: Signal<boolean>): () => void {
  return effect(() => {
    if (isDone.value || chats.state.value === "loading") return;
    const last = chats.sorted
      .peek()
      .find(({ chatbots }) => !WANTED_CHATBOT || chatbots.some(({ id }) => id === WANTED_CHATBOT));
    if (last && route.peek().name === "home" && !drafts.get("new")) go({ name: "chat", id: last.id });
    isDone.value = true;
  });
}
