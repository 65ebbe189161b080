/** The current screen, according to the page's address. */

import { signal } from "@preact/signals";

export type Route =
  | { readonly name: "home" | "new" | "account" }
  | { readonly name: "chat"; readonly id: string }
  /** The invite is in the fragment, so that it reaches no server and no log. */
  | { readonly name: "join"; readonly invite: string };

const BASE = import.meta.env.BASE_URL; // "/chat/"
/** The compact form for the widget's frame has the same routes one level below. */
export const COMPACT = location.pathname === `${BASE}embed` || location.pathname.startsWith(`${BASE}embed/`);
const ROOT = COMPACT ? `${BASE}embed/` : BASE;

export const route = signal<Route>(parse(location));

/** The route of an address; home for an unknown one. */
export function parse({ pathname, hash }: { pathname: string; hash: string }, root = ROOT): Route {
  const [name = "", id = ""] = pathname.startsWith(root) ? pathname.slice(root.length).split("/") : [];
  if (name === "c" && id) return { name: "chat", id };
  if (name === "join" && hash.length > 1) return { name: "join", invite: decodeURIComponent(hash.slice(1)) };
  if (name === "new" || name === "account") return { name };
  return { name: "home" };
}

/** The address of a route. */
export function addressOf(to: Route, root = ROOT): string {
  if (to.name === "home") return root;
  if (to.name === "chat") return `${root}c/${to.id}`;
  if (to.name === "join") return `${root}join#${encodeURIComponent(to.invite)}`;
  return root + to.name;
}

let before: Route = { name: "home" };

/** Go to the previous route. In a frame the browser's back button belongs to the host page. */
export function goBack(): void {
  go(before);
}

/** Go to a route; `replace` removes the current one from the history. */
export function go(to: Route, { replace = false } = {}): void {
  const address = addressOf(to);
  before = route.peek();
  if (address !== location.pathname + location.hash) {
    // In a frame every entry would appear in the host page's history.
    history[replace || COMPACT ? "replaceState" : "pushState"](null, "", address);
  }
  route.value = to;
}

/** Follow the browser's back and forward buttons, and the page's own links. */
export function followAddress(): void {
  addEventListener("popstate", () => (route.value = parse(location)));
  document.addEventListener("click", (event) => {
    const link = (event.target as Element | null)?.closest?.("a[data-route]");
    if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(parse(new URL(link.href)));
  });
}
