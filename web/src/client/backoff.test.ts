import { describe, expect, it } from "vitest";

import { Backoff } from "./backoff.ts";

const delays = (backoff: Backoff, count: number, retryAfter?: number) =>
  Array.from({ length: count }, () => backoff.next(retryAfter));

describe("Backoff", () => {
  it("doubles up to 30 seconds, and starts over after a success", () => {
    const backoff = new Backoff(() => 0);
    expect(delays(backoff, 8)).toEqual([0.5, 1, 2, 4, 8, 16, 30, 30]);
    backoff.reset();
    expect(backoff.next()).toBe(0.5);
  });

  it("adds up to half of the delay at random, to spread many clients", () => {
    expect(new Backoff(() => 0.999_999).next()).toBeCloseTo(0.75, 4);
    const spread = new Set(Array.from({ length: 50 }, () => new Backoff().next()));
    expect(spread.size).toBeGreaterThan(40);
    for (const delay of spread) expect(delay).toBeGreaterThanOrEqual(0.5);
  });

  it("never waits less than the server asked for, even above its own maximum", () => {
    const backoff = new Backoff(() => 0);
    expect(delays(backoff, 4, 3)).toEqual([3, 3, 3, 4]);
    expect(backoff.next(120)).toBe(120);
  });

  it("stays finite after very many failures", () => {
    expect(delays(new Backoff(() => 0), 5_000).at(-1)).toBe(30);
  });
});
