/** Who is logged in on this page. The access token lives in memory, the refresh token in a cookie out of reach. */

import { signal } from "@preact/signals";

import { type AccessToken, Account, type BackchatError } from "../../client/index.ts";
import { asBackchatError } from "../../client/errors.ts";
import { LENDS, lentToken } from "../platform/host.ts";
import { store, stored } from "./preferences.ts";
import { COMPACT, go, parse, route } from "../platform/route.ts";

const HINT = "backchat.user"; // the id alone: whether it is worth asking for a token
const LEFT_AT = "backchat.left"; // where on the page one was when one went to the provider
const PROVIDED = "backchat.provided"; // the id of whoever came by the provider
const URL_OF_SERVER = location.origin;

export interface Login {
  readonly id: string;
  readonly sid: string;
  readonly account: Account;
  /** Has no passcode: nothing but this browser leads back to the account. */
  readonly isGuest: boolean;
  /** Logs in by a provider: there is no passcode, and there never will be one. */
  readonly isProvided: boolean;
}

export type LoginState =
  | { readonly name: "resuming"; readonly isRetrying?: boolean }
  | { readonly name: "out"; readonly ended?: boolean }
  | { readonly name: "in"; readonly login: Login };

/** Whether somebody comes back from the provider just now. */
let isReturning = false;

export const login = signal<LoginState>({
  name: cameBack() || LENDS || (stored(HINT) && !COMPACT) ? "resuming" : "out",
});

/**
 * Pages keep the refresh token in a cookie. A frame on somebody else's site gets no SameSite=Strict cookie: there
 * the login lasts as long as the frame.
 */
const OPTIONS = { url: URL_OF_SERVER, cookie: !COMPACT };

/** Whether a provider has just sent somebody back, who has a cookie now; the address should not keep saying so. */
function cameBack(): boolean {
  if (location.hash !== "#logged-in") return false;
  const left = sessionStorage.getItem(LEFT_AT) ?? "";
  isReturning = left !== ""; // else it is but an address
  sessionStorage.removeItem(LEFT_AT);
  history.replaceState(null, "", left.startsWith(location.pathname) ? left : location.pathname);
  route.value = parse(location);
  return true;
}

/** The provider that one may log in by: its name and where that begins. */
export async function provider(): Promise<{ readonly name: string; readonly address: string } | undefined> {
  if (COMPACT) return undefined; // none lets itself be shown in a frame
  const answer = await fetch("/oidc/provider").then((response) => response.json() as Promise<unknown>);
  const name = (answer as { provider: string | null }).provider;
  return name ? { name, address: `/oidc/login?next=${encodeURIComponent(location.pathname)}` } : undefined;
}

/** One is about to go to the provider: what stands behind the # (an invite) is for this browser alone. */
export function leave(): void {
  sessionStorage.setItem(LEFT_AT, location.pathname + location.hash);
}

/** Go on with the login of this browser, if there is one. Tries until the server has said yes or no. */
export async function resume(): Promise<void> {
  for (let wait = 500; login.value.name === "resuming"; wait = Math.min(wait * 2, 5_000)) {
    try {
      await enter((onTokens) =>
        LENDS ? Account.lent({ ...OPTIONS, onTokens }, lentToken) : Account.resume({ ...OPTIONS, onTokens }),
      );
    } catch (thrown) {
      if (!asBackchatError(thrown).temporary) return ended(false);
      login.value = { name: "resuming", isRetrying: true };
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/** Log in; rejects with a `BackchatError`. */
export function logIn(id: string, passcode: string): Promise<void> {
  return enter((onTokens) => Account.login({ ...OPTIONS, onTokens }, id, passcode));
}

/** Make an account and log in. */
export async function register(id: string, passcode: string): Promise<void> {
  await Account.register(OPTIONS, id, passcode);
  await logIn(id, passcode);
  if (route.value.name === "home") go({ name: "new" }, { replace: true }); // there is nothing to list yet
}

/** Come in without a name; rejects with `not_found` where the server admits no guests. */
export function enterAsGuest(): Promise<void> {
  return enter((onTokens) => Account.guest({ ...OPTIONS, onTokens }));
}

/** Log out here or everywhere; what the server says to it does not keep anybody logged in here. */
export async function logOut(everywhere = false): Promise<BackchatError | undefined> {
  if (login.value.name !== "in") return undefined;
  const { account } = login.value.login;
  const failure = await account.logout(everywhere).then(() => undefined, asBackchatError);
  ended(false);
  return failure;
}

/** The login does not hold any more. */
export function ended(told = true): void {
  isReturning = false;
  remember(null);
  login.value = { name: "out", ended: told };
}

/** Tell later loads and other tabs who is logged in; the widget's login is its own affair. */
function remember(id: string | null): void {
  if (COMPACT) return;
  store(HINT, id);
  if (id === null) store(PROVIDED, null);
}

async function enter(start: (onTokens: (tokens: AccessToken) => void) => Promise<Account>): Promise<void> {
  let token = "";
  let id: string | undefined;
  const account = await start((tokens) => {
    token = tokens.access_token;
    const { sub } = claimsOf(token);
    if (id !== undefined && id !== sub) location.reload(); // somebody else logged in in another tab: the cookie is theirs
    id = sub;
  });
  const { sub, sid, roles } = claimsOf(token);
  remember(sub);
  if (isReturning) store(PROVIDED, sub);
  isReturning = false;
  const isProvided = stored(PROVIDED) === sub;
  login.value = {
    name: "in",
    login: { id: sub, sid, account, isGuest: roles.includes("guest"), isProvided },
  };
}

interface Claims {
  readonly sub: string;
  readonly sid: string;
  readonly roles: readonly string[];
}

/** What an access token says; it is the server that checks it. */
export function claimsOf(token: string): Claims {
  const payload = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
  return { sub: "", sid: "", roles: [], ...(JSON.parse(atob(payload)) as Partial<Claims>) };
}

/** Go along with the other tabs of this browser when they log in and out. */
export function followTabs(): void {
  addEventListener("storage", ({ key, newValue }) => {
    if (key !== HINT || COMPACT) return;
    const { value: state } = login;
    if (newValue === null && state.name === "in") ended(false);
    else if (newValue !== null && !(state.name === "in" && state.login.id === newValue)) location.reload();
  });
}
