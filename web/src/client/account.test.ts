import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { type AccessToken, Account } from "./account.ts";
import type { Tokens } from "./types.ts";

let requests: { path: string; body: unknown; authorization: string | null }[];
let answers: (Response | Error)[];
const seen: Partial<Tokens>[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  requests = [];
  answers = [];
  seen.length = 0;
});
afterEach(() => {
  vi.useRealTimers();
});

const options = {
  url: "http://chat.test",
  onTokens: (tokens: AccessToken & Partial<Tokens>) => void seen.push(tokens),
  fetch: async (input: URL | RequestInfo, init?: RequestInit): Promise<Response> => {
    requests.push({
      path: new URL(String(input)).pathname,
      body: init?.body ? JSON.parse(String(init.body)) : undefined,
      authorization: new Headers(init?.headers).get("authorization"),
    });
    const answer = answers.shift() ?? new Error("an unexpected request");
    if (answer instanceof Error) throw answer;
    return answer;
  },
};

const tokens = (n: number) =>
  Response.json({
    access_token: `access ${n}`,
    token_type: "bearer",
    expires_in: 900,
    refresh_token: `refresh ${n}`,
    refresh_expires_in: 2_592_000,
  });
const problem = (status: number, code: string, headers = {}) =>
  Response.json(
    { type: "about:blank", title: code, status, detail: `It is ${code}.`, code },
    { status, headers },
  );

async function login(): Promise<Account> {
  answers.push(tokens(1));
  return Account.login(options, "ada", "a passcode");
}

describe("Account", () => {
  it("asks the lender for another token, not the server", async () => {
    let given = 0;
    const lent = () => Promise.resolve({ access_token: `lent ${++given}`, expires_in: 900 });
    const account = await Account.lent(options, lent);
    expect(await account.token()).toBe("lent 1");
    vi.advanceTimersByTime(871_000);
    expect(await Promise.all([account.token(), account.token()])).toEqual(["lent 2", "lent 2"]);
    expect(await account.token(true)).toBe("lent 3");
    expect(requests).toEqual([]);
  });

  it("logs in and returns its token while that is valid", async () => {
    const account = await login();
    expect(await account.token()).toBe("access 1");
    vi.advanceTimersByTime(869_000);
    expect(await account.token()).toBe("access 1");
    expect(requests).toEqual([
      { path: "/login", body: { id: "ada", passcode: "a passcode" }, authorization: null },
    ]);
  });

  it("refreshes once for concurrent callers, shortly before expiry", async () => {
    const account = await login();
    vi.advanceTimersByTime(871_000);
    answers.push(tokens(2));
    expect(await Promise.all([account.token(), account.token(), account.token(true)])).toEqual(
      Array(3).fill("access 2"),
    );
    expect(requests.slice(1).map(({ path, body }) => [path, body])).toEqual([
      ["/refresh", { refresh_token: "refresh 1" }],
    ]);
    expect(seen.map((each) => each.refresh_token)).toEqual(["refresh 1", "refresh 2"]);
  });

  it("repeats a refresh with the same token when the answer was lost", async () => {
    const account = await login();
    answers.push(
      new TypeError("fetch failed"),
      problem(503, "unavailable", { "retry-after": "1" }),
      tokens(2),
    );
    const renewed = account.token(true);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await renewed).toBe("access 2");
    expect(requests.slice(1).map(({ body }) => body)).toEqual(Array(3).fill({ refresh_token: "refresh 1" }));
  });

  it("reports that the login has ended, and retries when asked again", async () => {
    const account = await login();
    answers.push(problem(401, "token_invalid"), tokens(2));
    await expect(account.token(true)).rejects.toMatchObject({ code: "token_invalid", temporary: false });
    expect(await account.token(true)).toBe("access 2");
  });

  it("resumes a login after a restart", async () => {
    answers.push(tokens(2));
    const account = await Account.resume(options, "refresh 1");
    expect(await account.token()).toBe("access 2");
    expect(requests[0]).toMatchObject({ path: "/refresh", body: { refresh_token: "refresh 1" } });
  });

  it("logs out", async () => {
    const account = await login();
    answers.push(new Response(null, { status: 204 }), new Response(null, { status: 204 }));
    await account.logout();
    await account.logout(true);
    expect(requests.slice(1).map(({ path, authorization }) => [path, authorization])).toEqual([
      ["/logout", "Bearer access 1"],
      ["/logout/all", "Bearer access 1"],
    ]);
  });

  it("rejects with the server's code and text", async () => {
    answers.push(problem(409, "user_exists"), problem(429, "rate_limited", { "retry-after": "7" }));
    await expect(Account.register(options, "ada", "a passcode")).rejects.toMatchObject({
      code: "user_exists",
    });
    await expect(Account.login(options, "ada", "a passcode")).rejects.toMatchObject({
      code: "rate_limited",
      retryAfter: 7,
      message: "It is rate_limited.",
    });
  });

  it("treats an answer outside the contract as an unavailable server", async () => {
    answers.push(
      new Response("<html>Bad Gateway</html>", { status: 502 }),
      new Response("<html>a portal</html>"),
    );
    for (let n = 0; n < 2; n += 1) {
      await expect(Account.login(options, "ada", "a passcode")).rejects.toMatchObject({ temporary: true });
    }
  });

  it("leaves the refresh token in a cookie on request", async () => {
    const headers: (string | null)[] = [];
    const cookie = {
      ...options,
      cookie: true,
      fetch: (input: URL | RequestInfo, init?: RequestInit) => {
        headers.push(new Headers(init?.headers).get("x-backchat-session"));
        return options.fetch(input, init);
      },
    };
    const withoutRefresh = Response.json({ access_token: "access 1", token_type: "bearer", expires_in: 900 });
    answers.push(withoutRefresh, tokens(2));
    const account = await Account.resume(cookie);
    expect(await account.token(true)).toBe("access 2");
    expect(requests.map(({ path, body }) => [path, body])).toEqual([
      ["/refresh", {}],
      ["/refresh", {}],
    ]);
    expect(headers).toEqual(["cookie", "cookie"]);
  });

  it("logs in as a guest, and calls other routes with that login", async () => {
    answers.push(tokens(1), Response.json({ id: "guest-1" }));
    const account = await Account.guest(options);
    expect(await account.request("GET", "/me")).toEqual({ id: "guest-1" });
    expect(requests.map(({ path, authorization }) => [path, authorization])).toEqual([
      ["/guest", null],
      ["/me", "Bearer access 1"],
    ]);
  });
});
