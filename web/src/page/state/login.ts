/** The login of this page. The access token is in memory, the refresh token in an HttpOnly cookie. */

import { signal } from "@preact/signals";

import { type AccessToken, Account, type BackchatError } from "../../client/index.ts";
import { asBackchatError } from "../../client/errors.ts";
import { HOST_HAS_LOGIN, requestHostToken } from "../platform/host.ts";
import { forgetDrafts } from "./drafts.ts";
import { store, stored } from "./preferences.ts";
import { COMPACT, go, parse, route } from "../platform/route.ts";

const USER_KEY = "backchat.user"; // only the id: it shows that a refresh may succeed
const LEFT_AT = "backchat.left"; // where the page was when it left for the provider
const PROVIDED = "backchat.provided"; // the id of a user who logged in by the provider
const URL_OF_SERVER = location.origin;

export interface Login {
  readonly id: string;
  readonly sid: string;
  readonly account: Account;
  /** Has no passcode: the account can be reached only from this browser. */
  readonly isGuest: boolean;
  /** Logs in by a provider: there is no passcode and cannot be one. */
  readonly isProvided: boolean;
}

export type LoginState =
  | { readonly name: "resuming"; readonly isRetrying?: boolean }
  | { readonly name: "out"; readonly ended?: boolean }
  | { readonly name: "in"; readonly login: Login };

/** Whether the page was opened by a return from the provider. */
let isReturning = false;
let failure: string | undefined;

export const login = signal<LoginState>({
  name: returnedFromProvider() || HOST_HAS_LOGIN || (stored(USER_KEY) && !COMPACT) ? "resuming" : "out",
});

/** Why a login by the provider has failed, as the server reports it. */
const FAILURES = ["cancelled", "expired", "refused", "unavailable"] as const;
export type ProviderFailure = (typeof FAILURES)[number];

/**
 * Pages keep the refresh token in a cookie. A frame on another site gets no SameSite=Strict cookie, so its login ends
 * with the frame.
 */
const OPTIONS = { url: URL_OF_SERVER, cookie: !COMPACT };

/** Whether the page was opened by a return from the provider, which set a cookie. Removes the mark from the address. */
function returnedFromProvider(): boolean {
  const [mark, reason] = location.hash.split("=");
  if (mark !== "#logged-in" && mark !== "#login-error") return false;
  const left = sessionStorage.getItem(LEFT_AT) ?? "";
  sessionStorage.removeItem(LEFT_AT);
  history.replaceState(null, "", left.startsWith(location.pathname) ? left : location.pathname);
  route.value = parse(location);
  if (mark === "#login-error") failure = reason;
  else isReturning = left !== ""; // else someone opened the address directly
  return mark === "#logged-in";
}

/** Why the login by the provider has failed, if the page was opened by that. */
export function providerFailure(): ProviderFailure | undefined {
  return failure === undefined ? undefined : (FAILURES.find((each) => each === failure) ?? "refused");
}

/** The login provider, if there is one: its name and the address of its login. */
export async function provider(): Promise<{ readonly name: string; readonly address: string } | undefined> {
  if (COMPACT) return undefined; // providers do not allow to be framed
  const answer = await fetch("/oidc/provider").then((response) => response.json() as Promise<unknown>);
  const name = (answer as { provider: string | null }).provider;
  return name ? { name, address: `/oidc/login?next=${encodeURIComponent(location.pathname)}` } : undefined;
}

/** Save the current route before leaving for the provider; its fragment (an invite) must not leave this browser. */
export function leaveForProvider(): void {
  sessionStorage.setItem(LEFT_AT, location.pathname + location.hash);
}

/** Resume this browser's login, if there is one. Retries until the server answers. */
export async function resume(): Promise<void> {
  for (let wait = 500; login.value.name === "resuming"; wait = Math.min(wait * 2, 5_000)) {
    try {
      await enter((onTokens) =>
        HOST_HAS_LOGIN
          ? Account.lent({ ...OPTIONS, onTokens }, requestHostToken)
          : Account.resume({ ...OPTIONS, onTokens }),
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

let registered: string | undefined; // the account that this page has made

/** Create an account and log in. If only the login failed, the next call does not create the account again. */
export async function register(id: string, passcode: string): Promise<void> {
  if (registered !== id) await Account.register(OPTIONS, id, passcode);
  registered = id;
  await logIn(id, passcode);
  if (route.value.name === "home") go({ name: "new" }, { replace: true }); // a new account has no chats to list
}

/** Log in as a guest; rejects with `not_found` if the server admits no guests. */
export function enterAsGuest(): Promise<void> {
  return enter((onTokens) => Account.guest({ ...OPTIONS, onTokens }));
}

/** Log out here or everywhere. The page logs out even if the server's answer is an error. */
export async function logOut(everywhere = false): Promise<BackchatError | undefined> {
  if (login.value.name !== "in") return undefined;
  const { account, id } = login.value.login;
  forgetDrafts(id);
  const failure = await account.logout(everywhere).then(() => undefined, asBackchatError);
  ended(false);
  return failure;
}

/** Log out because the login has ended. */
export function ended(isReported = true): void {
  isReturning = false;
  storeUser(null);
  login.value = { name: "out", ended: isReported };
}

/** Store the user's id for later loads and other tabs. The widget does not share its login. */
function storeUser(id: string | null): void {
  if (COMPACT) return;
  store(USER_KEY, id);
  if (id === null) store(PROVIDED, null);
}

async function enter(start: (onTokens: (tokens: AccessToken) => void) => Promise<Account>): Promise<void> {
  let token = "";
  let id: string | undefined;
  const account = await start((tokens) => {
    token = tokens.access_token;
    const { sub } = claimsOf(token);
    // another user logged in in another tab, which replaced the cookie
    if (id !== undefined && id !== sub) location.reload();
    id = sub;
  });
  const { sub, sid, roles } = claimsOf(token);
  storeUser(sub);
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

/** The claims of an access token. Only the server verifies them. */
export function claimsOf(token: string): Claims {
  const payload = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
  return { sub: "", sid: "", roles: [], ...(JSON.parse(atob(payload)) as Partial<Claims>) };
}

/** Follow logins and logouts of other tabs of this browser. */
export function followTabs(): void {
  addEventListener("storage", ({ key, newValue }) => {
    if (key !== USER_KEY || COMPACT) return;
    const { value: state } = login;
    if (newValue === null && state.name === "in") ended(false);
    else if (newValue !== null && !(state.name === "in" && state.login.id === newValue)) location.reload();
  });
}
