/**
 * The widget: `<script src="https://chat.example/chat/widget.js" async data-chatbot="eliza"></script>` adds a button to
 * the corner of any page. It opens the chat in a frame of the server's origin, so that neither page can access the
 * other. A page may also contain `<backchat-widget>` itself; its methods are `open`, `close`, `toggle`, `send` and
 * `on`.
 * A site with its own login names the source of its visitors' tokens: `data-tokens="/chat-token"`, an address of the
 * site, or the property `tokens`, a function.
 *
 * The button and the frame are outside `<body>`, and all `<backchat-widget>` elements share them: a frame that is moved
 * or removed loads again and forgets its login, and Turbo, Astro and others replace the body at each visit.
 */

import type { FromFrame, LentToken, ToFrame } from "./protocol.ts";

/** Returns the answer of the host's backend: an access token and its lifetime in seconds. */
type TokenSource = () => Promise<Omit<LentToken, "type">>;

type Listener = (event: FromFrame) => void;

// A page may run the script repeatedly, so all names are inside a function.
(() => {
  const script = document.currentScript as HTMLScriptElement | null;
  const known = customElements.get("backchat-widget") as typeof BackchatWidget | undefined;
  if (!script || known) return known?.add(script);
  const server = new URL(script.src);

  const LOADS_WITHIN = 10_000; // milliseconds from the loaded frame to its first message
  const COLOURS = ["accent", "on-accent", "ground", "offset"].map((name) => `--backchat-${name}`);
  const REFUSED: Readonly<Record<string, string>> = {
    en: "The chat is not available on this page.",
    de: "Der Chat ist auf dieser Seite nicht verfügbar.",
    ar: "الدردشة غير متاحة في هذه الصفحة.",
  };
  const STYLE = `
:host{position:fixed;z-index:2147483000;inset-block-end:var(--backchat-offset,20px);inset-inline-end:var(--backchat-offset,20px);
display:grid;justify-items:end;gap:12px;font:16px/1.4 system-ui,sans-serif}
:host([hidden]),[hidden]{display:none}
button{display:grid;place-items:center;width:56px;height:56px;padding:0;border:0;border-radius:18px;cursor:pointer;
background:var(--backchat-accent,#0b6657);color:var(--backchat-on-accent,#fff);box-shadow:0 6px 24px rgb(0 0 0/22%)}
button:focus-visible{outline:3px solid var(--backchat-accent,#0b6657);outline-offset:3px}
svg{width:28px;fill:currentColor}
i{position:absolute;inset-block-end:44px;inset-inline-end:-4px;width:14px;height:14px;border:2px solid #fff;border-radius:50%;background:#c9481c}
p{max-width:280px;margin:0;padding:12px 16px;border-radius:12px;background:#fff;color:#a8261c;box-shadow:0 6px 24px rgb(0 0 0/22%)}
iframe{width:min(400px,calc(100vw - 40px));height:min(640px,calc(100vh - 120px));border:0;border-radius:20px;
background:var(--backchat-ground,#fafcf9);box-shadow:0 12px 48px rgb(0 0 0/28%);color-scheme:normal}
@media(max-width:480px){iframe{position:fixed;inset:0;width:100vw;height:100dvh;border-radius:0}}
@media print{:host{display:none}}`;

  const holder = document.createElement("div");
  const root = holder.attachShadow({ mode: "open" });
  const button = document.createElement("button");
  const badge = document.createElement("i");
  const refusal = document.createElement("p");
  const listeners = new Map<string, Set<Listener>>();
  const queued: ToFrame[] = [];
  let frame: HTMLIFrameElement | undefined;
  let isReady = false;
  let isOpen = false;
  let tokens: TokenSource | undefined;
  let widget: BackchatWidget | undefined; // the element connected last

  class BackchatWidget extends HTMLElement {
    static observedAttributes = ["label", "hidden", "style", "class"];

    /** Add the script's widget to the page, unless the page contains its own or asks for none. */
    static add = add;

    connectedCallback() {
      widget = this;
      update();
    }

    disconnectedCallback() {
      // A page that replaces its body connects the next element, or this one again, in the same task.
      setTimeout(() => {
        if (this === own) add();
        else if (!this.isConnected)
          widget = document.querySelector<BackchatWidget>("backchat-widget") ?? widget;
        update();
      });
    }

    attributeChangedCallback() {
      update();
    }

    /** Remove the widget from the page until the next script adds one. */
    override remove() {
      if (this === own) own = undefined;
      super.remove();
      update();
    }

    /** The source of access tokens; set it before the chat is opened. */
    get tokens(): TokenSource | undefined {
      return tokens;
    }

    set tokens(source: TokenSource | undefined) {
      tokens = source;
    }

    /** Show the chat. */
    open() {
      isOpen = true;
      frame ??= makeFrame();
      badge.hidden = true;
      update();
      post({ type: "open" });
      frame.focus();
    }

    /** Hide the chat; it keeps running. */
    close() {
      if (!isOpen) return;
      isOpen = false;
      update();
      post({ type: "close" });
      button.focus();
    }

    toggle() {
      if (isOpen) this.close();
      else this.open();
    }

    /** Open the chat and send a message as the visitor. */
    send(text: string) {
      this.open();
      post({ type: "send", text });
    }

    /** Listen for `ready`, `open`, `close` or `message`; the returned function unregisters the listener. */
    on(type: FromFrame["type"], listener: Listener): () => void {
      const all = listeners.get(type) ?? new Set<Listener>();
      listeners.set(type, all.add(listener));
      return () => void all.delete(listener);
    }
  }

  let own: BackchatWidget | undefined; // the script's element

  function add(from: HTMLScriptElement | null = null) {
    if (!document.body) return addEventListener("DOMContentLoaded", () => add(from), { once: true });
    if (from?.dataset.manual !== undefined) return;
    if (!own && !from) return;
    own ??= document.createElement("backchat-widget") as BackchatWidget;
    for (const name of ["chatbot", "label", "tokens"]) {
      const value = from?.dataset[name];
      if (value) own.setAttribute(name, value);
    }
    if (!document.querySelector("backchat-widget")) document.body.append(own);
  }

  /** Apply the state and the attributes and colours of the page's element. */
  function update() {
    if (!widget) return;
    if (!holder.isConnected) {
      isReady = false; // a frame inside loads again
      (frame ? document.documentElement : document.body).append(holder);
    }
    holder.hidden = widget.hidden || !widget.isConnected;
    const label = widget.getAttribute("label") ?? "Chat";
    button.setAttribute("aria-label", label);
    button.setAttribute("aria-expanded", String(isOpen));
    if (frame) {
      frame.title = label;
      frame.hidden = !isOpen || !!refusal.textContent;
    }
    refusal.hidden = !isOpen || !refusal.textContent;
    const style = getComputedStyle(widget);
    if (widget.isConnected)
      for (const name of COLOURS) holder.style.setProperty(name, style.getPropertyValue(name));
  }

  function makeFrame(): HTMLIFrameElement {
    const made = document.createElement("iframe");
    const address = new URL("embed", server);
    const chatbot = widget?.getAttribute("chatbot");
    if (chatbot) address.searchParams.set("chatbot", chatbot);
    address.searchParams.set("host", location.origin);
    if (source()) address.searchParams.set("tokens", "");
    made.src = address.href;
    made.allow = "clipboard-write";
    document.documentElement.append(holder); // not earlier, because frameworks may still compare the page with theirs
    // A frame that the browser blocks is loaded too, with an error page of the browser.
    made.onload = () => setTimeout(() => isReady || refuse("did not load"), LOADS_WITHIN);
    root.prepend(made);
    return made;
  }

  /** Report to the visitor and to the site's developers that there is no chat. */
  function refuse(reason: string) {
    if (refusal.textContent) return;
    console.error(
      `Backchat: the chat of ${server.origin} ${reason} on ${location.origin}. ` +
        "The server shows it only on the origins in its setting BACKCHAT_FRAME_ANCESTORS.",
    );
    const language = (document.documentElement.lang || navigator.language).slice(0, 2);
    refusal.textContent = REFUSED[language] ?? REFUSED.en ?? "";
    update();
  }

  function source(): TokenSource | undefined {
    const address = widget?.getAttribute("tokens");
    if (tokens || !address) return tokens;
    return async () => {
      const answer = await fetch(address, { method: "POST" });
      if (answer.status >= 500) throw answer;
      return answer.ok ? answer.json() : {};
    };
  }

  /** Pass on only the token, and nothing else of the backend's answer. */
  async function lend() {
    try {
      const { access_token, expires_in } = (await source()?.()) ?? {};
      post({ type: "token", access_token, expires_in });
    } catch {
      post({ type: "token", is_away: true });
    }
  }

  function post(message: ToFrame) {
    if (isReady) frame?.contentWindow?.postMessage({ backchat: message }, server.origin);
    else queued.push(message);
  }

  function receive({ source: from, origin, data }: MessageEvent) {
    const event = (data as { backchat?: FromFrame } | null)?.backchat;
    if (!event || origin !== server.origin || from !== frame?.contentWindow) return;
    if (event.type === "ready") {
      isReady = true;
      refusal.textContent = "";
      update();
      for (const message of queued.splice(0)) post(message);
    }
    if (event.type === "refused") refuse("is refused");
    if (event.type === "token") void lend();
    if (event.type === "close") widget?.close();
    if (event.type === "message" && !isOpen) badge.hidden = false;
    for (const listener of listeners.get(event.type) ?? []) listener(event);
  }

  function icon(): SVGSVGElement {
    const space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg");
    const path = document.createElementNS(space, "path");
    svg.setAttribute("viewBox", "0 0 44 36");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", "M20 2v26H10l-8 7V9a7 7 0 0 1 7-7zM24 2h11a7 7 0 0 1 7 7v26l-8-7H24z");
    svg.append(path);
    return svg;
  }

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  root.adoptedStyleSheets = [sheet]; // not an inline style, which the host's policy may forbid
  button.type = "button";
  button.addEventListener("click", () => widget?.toggle());
  badge.hidden = refusal.hidden = true;
  refusal.setAttribute("role", "alert");
  button.append(icon(), badge);
  root.append(refusal, button);
  addEventListener("message", receive);
  new MutationObserver(update).observe(document.documentElement, { attributes: true, childList: true }); // theme, body
  customElements.define("backchat-widget", BackchatWidget);
  add(script);
})();
