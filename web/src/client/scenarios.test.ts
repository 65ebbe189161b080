/** The golden scenarios, which both kits must pass. */

import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { Player, type Scenario } from "./testing/scenario.ts";

const DIRECTORY = new URL("../../../tests/contract/client_scenarios/", import.meta.url);
const FILES = readdirSync(DIRECTORY).filter((name) => name.endsWith(".json"));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("finds the scenarios", () => {
  expect(FILES.length).toBeGreaterThan(10);
});

describe.each(FILES)("%s", (file) => {
  const scenario = JSON.parse(readFileSync(new URL(file, DIRECTORY), "utf8")) as Scenario;

  it(scenario.about, () => {
    const player = new Player();
    scenario.steps.forEach((step, at) => {
      try {
        player.play(step);
      } catch (error) {
        (error as Error).message = `step ${at + 1}, ${JSON.stringify(step)}:\n${(error as Error).message}`;
        throw error;
      }
    });
  });
});
