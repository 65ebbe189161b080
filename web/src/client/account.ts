/** Accounts over HTTP, and the tokens of one login. Tokens are kept in memory; the program decides what it persists. */

import { Backoff } from "./backoff.ts";
import { asBackchatError, BackchatError } from "./errors.ts";
import type { Tokens } from "./types.ts";

/** An access token and its lifetime in seconds. */
export interface AccessToken {
  readonly access_token: string;
  readonly expires_in: number;
}

export interface AccountOptions {
  /** The server's origin, `https://chat.example`. */
  readonly url: string;
  /** Called with each new pair of tokens, so that a later start can `resume` the login. */
  readonly onTokens?: (tokens: AccessToken & Partial<Tokens>) => void;
  /**
   * For a page of the same origin: the server keeps the refresh token in an HttpOnly cookie, which scripts cannot read,
   * and `resume` needs no token.
   */
  readonly cookie?: boolean;
  readonly fetch?: typeof fetch;
}

const EARLY = 30_000; // milliseconds before its expiry from which a token counts as expired
const TIMEOUT = 10_000; // milliseconds for an HTTP request
const TRIES = 3; // attempts of a refresh whose answer was lost: the same token may be sent again for a few seconds

/** One login. `account.token` is the client's `TokenSource`. */
export class Account {
  private refreshing: Promise<string> | undefined;
  private expiresAt: number; // milliseconds since the epoch, as `Date.now()`
  private readonly options: AccountOptions;
  private tokens: AccessToken & Partial<Tokens>;
  private readonly another: () => Promise<AccessToken>;

  private constructor(options: AccountOptions, tokens: AccessToken, another?: () => Promise<AccessToken>) {
    this.options = options;
    this.tokens = tokens;
    this.another = another ?? (() => refreshed(options, this.tokens.refresh_token));
    this.expiresAt = endOf(tokens);
    options.onTokens?.(tokens);
  }

  /** Create an account. Rejects with `user_exists`, `weak_passcode`, `invalid_request` … */
  static async register(options: AccountOptions, id: string, passcode: string): Promise<void> {
    await call(options, "POST", "/register", { id, passcode });
  }

  /** Log in. Rejects with `invalid_credentials`, `rate_limited` … */
  static async login(options: AccountOptions, id: string, passcode: string): Promise<Account> {
    return new Account(options, (await call(options, "POST", "/login", { id, passcode })) as Tokens);
  }

  /** Log in as a new guest without a passcode. Rejects with `not_found` if the server admits no guests. */
  static async guest(options: AccountOptions): Promise<Account> {
    return new Account(options, (await call(options, "POST", "/guest")) as Tokens);
  }

  /** Resume a login by its refresh token or cookie. Rejects with `token_invalid` … if it has ended. */
  static async resume(options: AccountOptions, refreshToken?: string): Promise<Account> {
    return new Account(options, await refreshed(options, refreshToken));
  }

  /** A login that another party holds; `source` returns its access tokens. Rejects as `source` does. */
  static async lent(options: AccountOptions, source: () => Promise<AccessToken>): Promise<Account> {
    return new Account(options, await source(), source);
  }

  /** An access token; with `renew`, a new one. Concurrent callers share one refresh. */
  readonly token = async (renew = false): Promise<string> => {
    if (!renew && Date.now() < this.expiresAt - EARLY) return this.tokens.access_token;
    this.refreshing ??= this.refresh().finally(() => {
      this.refreshing = undefined;
    });
    return this.refreshing;
  };

  /**
   * Call a route with this login, for example `GET`, `/me`. Resolves to the answer's JSON; rejects with a
   * `BackchatError`.
   */
  async request(method: string, path: string, body?: object): Promise<unknown> {
    return call(this.options, method, path, body, await this.token());
  }

  /** End this login, or every login of the user. */
  async logout(everywhere = false): Promise<void> {
    await this.request("POST", everywhere ? "/logout/all" : "/logout");
  }

  private async refresh(): Promise<string> {
    this.tokens = await this.another();
    this.expiresAt = endOf(this.tokens);
    this.options.onTokens?.(this.tokens);
    return this.tokens.access_token;
  }
}

function endOf(tokens: AccessToken): number {
  return Date.now() + tokens.expires_in * 1000;
}

async function refreshed(options: AccountOptions, refreshToken?: string | null): Promise<Tokens> {
  const backoff = new Backoff();
  for (let tries = 1; ; tries += 1) {
    try {
      const body = refreshToken ? { refresh_token: refreshToken } : {};
      return (await call(options, "POST", "/refresh", body)) as Tokens;
    } catch (thrown) {
      const error = asBackchatError(thrown);
      if (!error.temporary || tries === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, backoff.next(error.retryAfter) * 1000));
    }
  }
}

async function call(
  options: AccountOptions,
  method: string,
  path: string,
  body?: object,
  token?: string,
): Promise<unknown> {
  const request = options.fetch ?? fetch;
  const headers: Record<string, string> = { accept: "application/json" };
  if (body) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  if (options.cookie) headers["x-backchat-session"] = "cookie";
  let response: Response;
  try {
    response = await request(new URL(path, options.url), {
      method,
      headers,
      body: body ? JSON.stringify(body) : null,
      signal: AbortSignal.timeout(TIMEOUT),
    });
  } catch (error) {
    throw asBackchatError(error);
  }
  if (response.status === 204) return undefined;
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer;
  throw problem(response, answer);
}

/** An RFC 9457 problem as an error. Any other answer comes from a proxy. */
function problem(response: Response, answer: unknown): BackchatError {
  const { code, detail } = (answer ?? {}) as { code?: string; detail?: string };
  const retryAfter = Number(response.headers.get("retry-after")) || undefined;
  const fallback = response.ok || response.status >= 500 ? "unavailable" : "invalid_request";
  return new BackchatError(code ?? fallback, detail ?? response.statusText, retryAfter);
}
