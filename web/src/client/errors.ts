/** Errors of the client kit, each with a stable code of the protocol. */

const UNKNOWN: ReadonlySet<string> = new Set(["unavailable", "internal"]);
const LATER: ReadonlySet<string> = new Set([...UNKNOWN, "rate_limited"]);

/** The server refused, or did not answer (`code` is `unavailable`). `retryAfter` is in seconds. */
export class BackchatError extends Error {
  override readonly name = "BackchatError";
  readonly code: string;
  readonly retryAfter: number | undefined;

  constructor(code: string, message: string, retryAfter?: number) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request, with the same ids, may succeed later. */
  get temporary(): boolean {
    return LATER.has(this.code);
  }

  /** Whether the request may have been applied. Repeating it is safe only with the same ids. */
  get unknown(): boolean {
    return UNKNOWN.has(this.code);
  }
}

/** The connection was lost, or there is none. Like a missing ack, the outcome is unknown. */
export class NotConnected extends BackchatError {
  constructor() {
    super("unavailable", "There is no connection.");
  }
}

/** Any thrown value as a `BackchatError`; an unknown one counts as temporary. */
export function asBackchatError(error: unknown): BackchatError {
  if (error instanceof BackchatError) return error;
  return new BackchatError("unavailable", error instanceof Error ? error.message : String(error));
}
