/** Errors of the client kit, each with the stable code of the protocol. */

const UNKNOWN: ReadonlySet<string> = new Set(["unavailable", "internal"]);
const LATER: ReadonlySet<string> = new Set([...UNKNOWN, "rate_limited"]);

/** The server said no, or nothing: then `code` is `unavailable`. `retryAfter` is in seconds. */
export class BackchatError extends Error {
  override readonly name = "BackchatError";
  readonly code: string;
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, retryAfter?: number) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request, under the same ids, may succeed later. */
  get temporary(): boolean {
    return LATER.has(this.code);
  }

  /** Whether it may have been done after all; only the same ids make sending it again harmless. */
  get unknown(): boolean {
    return UNKNOWN.has(this.code);
  }
}

/** The connection was lost, or there is none: unknown, as a missing ack. */
export class NotConnected extends BackchatError {
  constructor() {
    super("unavailable", "There is no connection.");
  }
}

/** Any thrown value as a `BackchatError`; what is none of ours counts as temporary. */
export function asBackchatError(error: unknown): BackchatError {
  if (error instanceof BackchatError) return error;
  return new BackchatError("unavailable", error instanceof Error ? error.message : String(error));
}
