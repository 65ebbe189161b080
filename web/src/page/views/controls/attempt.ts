/** Runs actions that the server may refuse, for a component that shows the error in place. */

import { type ReadonlySignal, useSignal } from "@preact/signals";

import { asBackchatError } from "../../../client/errors.ts";

export interface Attempts {
  /** The error code of the last action; `undefined` after a success and while an action runs. */
  readonly problem: ReadonlySignal<string | undefined>;
  /** Resolves to whether the action succeeded. */
  readonly attempt: (act: () => Promise<unknown>) => Promise<boolean>;
}

export function useAttempt(): Attempts {
  const problem = useSignal<string | undefined>(undefined);
  const attempt = async (act: () => Promise<unknown>) => {
    problem.value = undefined;
    try {
      await act();
      return true;
    } catch (thrown) {
      problem.value = asBackchatError(thrown).code;
      return false;
    }
  };
  return { problem, attempt };
}
