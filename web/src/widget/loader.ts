/**
 * The widget: `<script src="https://chat.example/chat/widget.js" async data-chatbot="eliza"></script>` adds a button to
 * the corner of any page. It opens the chat in a frame of the server's origin, so that neither page can access the
 * other. A page may also contain `<backchat-widget>` itself; its methods are `open`, `close`, `toggle`, `send` and
 * `on`.
 * A site with its own login names the source of its visitors' tokens: `data-tokens="/chat-token"`, an address of the
 * site, or the property `tokens`, a function.
 */

import type { FromFrame, LentToken, ToFrame } from "./protocol.ts";

/** Returns the answer of the host's backend: an access token and its lifetime in seconds. */
type TokenSource = () => Promise<Omit<LentToken, "type">>;

type Listener = (event: FromFrame) => void;

(() => {
  const script = document.currentScript as HTMLScriptElement | null;
  const server = script ? new URL(script.src) : undefined;
  if (!server || customElements.get("backchat-widget")) return;

  const STYLE = `
:host{position:fixed;z-index:2147483000;inset-block-end:var(--backchat-offset,20px);inset-inline-end:var(--backchat-offset,20px);
display:grid;justify-items:end;gap:12px;font:16px/1.4 system-ui,sans-serif}
button{display:grid;place-items:center;width:56px;height:56px;padding:0;border:0;border-radius:18px;cursor:pointer;
background:var(--backchat-accent,#0b6657);color:var(--backchat-on-accent,#fff);box-shadow:0 6px 24px rgb(0 0 0/22%)}
button:focus-visible{outline:3px solid var(--backchat-accent,#0b6657);outline-offset:3px}
svg{width:28px;fill:currentColor}
i{position:absolute;inset-block-end:44px;inset-inline-end:-4px;width:14px;height:14px;border:2px solid #fff;border-radius:50%;background:#c9481c}
iframe{width:min(400px,calc(100vw - 40px));height:min(640px,calc(100vh - 120px));border:0;border-radius:20px;
background:var(--backchat-ground,#fafcf9);box-shadow:0 12px 48px rgb(0 0 0/28%);color-scheme:normal}
[hidden]{display:none}
@media(max-width:480px){iframe{position:fixed;inset:0;width:100vw;height:100dvh;border-radius:0}}`;

  class BackchatWidget extends HTMLElement {
    /** The source of access tokens; set it before the chat is opened. */
    tokens: TokenSource | undefined;
    private readonly button = document.createElement("button");
    private readonly badge = document.createElement("i");
    private frame: HTMLIFrameElement | undefined;
    private isReady = false;
    private readonly queued: ToFrame[] = [];
    private readonly listeners = new Map<string, Set<Listener>>();
    private readonly onMessage = (event: MessageEvent) => this.receive(event);

    connectedCallback() {
      if (!this.shadowRoot) this.build();
      addEventListener("message", this.onMessage);
    }

    disconnectedCallback() {
      removeEventListener("message", this.onMessage);
    }

    /** Show the chat. */
    open() {
      this.frame ??= this.makeFrame();
      this.frame.hidden = false;
      this.badge.hidden = true;
      this.button.setAttribute("aria-expanded", "true");
      this.post({ type: "open" });
      this.frame.focus();
    }

    /** Hide the chat; it keeps running. */
    close() {
      if (!this.frame || this.frame.hidden) return;
      this.frame.hidden = true;
      this.button.setAttribute("aria-expanded", "false");
      this.post({ type: "close" });
      this.button.focus();
    }

    toggle() {
      if (this.frame && !this.frame.hidden) this.close();
      else this.open();
    }

    /** Open the chat and send a message as the visitor. */
    send(text: string) {
      this.open();
      this.post({ type: "send", text });
    }

    /** Listen for `ready`, `open`, `close` or `message`; the returned function unregisters the listener. */
    on(type: FromFrame["type"], listener: Listener): () => void {
      const all = this.listeners.get(type) ?? new Set<Listener>();
      this.listeners.set(type, all.add(listener));
      return () => void all.delete(listener);
    }

    private build() {
      const root = this.attachShadow({ mode: "open" });
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      root.adoptedStyleSheets = [sheet]; // not an inline style, which the host's policy may forbid
      const label = this.getAttribute("label") ?? "Chat";
      this.button.type = "button";
      this.button.setAttribute("aria-label", label);
      this.button.setAttribute("aria-expanded", "false");
      this.button.addEventListener("click", () => this.toggle());
      this.badge.hidden = true;
      this.button.append(icon(), this.badge);
      root.append(this.button);
    }

    private makeFrame(): HTMLIFrameElement {
      const frame = document.createElement("iframe");
      const address = new URL("embed", server);
      const chatbot = this.getAttribute("chatbot");
      if (chatbot) address.searchParams.set("chatbot", chatbot);
      address.searchParams.set("host", location.origin);
      if (this.source()) address.searchParams.set("tokens", "");
      frame.src = address.href;
      frame.title = this.button.getAttribute("aria-label") ?? "";
      frame.allow = "clipboard-write";
      this.shadowRoot?.prepend(frame);
      return frame;
    }

    private source(): TokenSource | undefined {
      const address = this.getAttribute("tokens");
      if (this.tokens || !address) return this.tokens;
      return async () => {
        const answer = await fetch(address, { method: "POST" });
        if (answer.status >= 500) throw answer;
        return answer.ok ? answer.json() : {};
      };
    }

    /** Pass on only the token, and nothing else of the backend's answer. */
    private async lend() {
      try {
        const { access_token, expires_in } = (await this.source()?.()) ?? {};
        this.post({ type: "token", access_token, expires_in });
      } catch {
        this.post({ type: "token", is_away: true });
      }
    }

    private post(message: ToFrame) {
      if (this.isReady) this.frame?.contentWindow?.postMessage({ backchat: message }, server?.origin ?? "");
      else this.queued.push(message);
    }

    private receive({ source, origin, data }: MessageEvent) {
      const event = (data as { backchat?: FromFrame } | null)?.backchat;
      if (!event || origin !== server?.origin || source !== this.frame?.contentWindow) return;
      if (event.type === "ready") {
        this.isReady = true;
        for (const message of this.queued.splice(0)) this.post(message);
      }
      if (event.type === "token") void this.lend();
      if (event.type === "close") this.close();
      if (event.type === "message" && this.frame?.hidden) this.badge.hidden = false;
      for (const listener of this.listeners.get(event.type) ?? []) listener(event);
    }
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

  customElements.define("backchat-widget", BackchatWidget);

  /** Add one widget, unless the page contains its own element or asks for none. */
  const add = () => {
    if (document.querySelector("backchat-widget") || script?.dataset.manual !== undefined) return;
    const widget = document.createElement("backchat-widget");
    for (const name of ["chatbot", "label", "tokens"]) {
      const value = script?.dataset[name];
      if (value) widget.setAttribute(name, value);
    }
    document.body.append(widget);
  };
  if (document.body) add();
  else addEventListener("DOMContentLoaded", add);
})();
