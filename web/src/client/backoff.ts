/** How long to wait before the same call again: exponential, never less than the server asked for, with jitter. */

const BASE = 0.5; // seconds, the first delay
const CAP = 30; // seconds; only the server may ask for more
const JITTER = 0.5; // the most that chance adds, as a part of the delay

export type Random = () => number; // in [0, 1)

export class Backoff {
  private readonly random: Random;
  private failures = 0;

  constructor(random: Random = Math.random) {
    this.random = random;
  }

  /** Seconds to wait after one more failure; `retryAfter` is what the server asked for. */
  next(retryAfter = 0): number {
    const own = Math.min(CAP, BASE * 2 ** Math.min(this.failures, 16));
    this.failures += 1;
    return Math.max(retryAfter, own) * (1 + this.random() * JITTER);
  }

  /** It worked: the next failure is the first again. */
  reset(): void {
    this.failures = 0;
  }
}
