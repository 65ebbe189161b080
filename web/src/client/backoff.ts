/** Delays before the same call is repeated: exponential, at least what the server asked for, with jitter. */

const BASE = 0.5; // seconds, the first delay
const CAP = 30; // seconds; only the server may ask for more
const JITTER = 0.5; // maximum random addition, as a share of the delay

export type Random = () => number; // in [0, 1)

export class Backoff {
  private readonly random: Random;
  private failures = 0;

  constructor(random: Random = Math.random) {
    this.random = random;
  }

  /** Seconds to wait after another failure; `retryAfter` is the minimum that the server asked for. */
  next(retryAfter = 0): number {
    const own = Math.min(CAP, BASE * 2 ** Math.min(this.failures, 16));
    this.failures += 1;
    return Math.max(retryAfter, own) * (1 + this.random() * JITTER);
  }

  /** Start over after a success. */
  reset(): void {
    this.failures = 0;
  }
}
