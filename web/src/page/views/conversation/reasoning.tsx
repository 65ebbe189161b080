/** What a chatbot has thought before its answer: folded, and shown as it streams when unfolded. */

import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";

import type { Message } from "../../../client/index.ts";
import { t } from "../../i18n/index.ts";
import { Markdown } from "../../markdown/markdown.tsx";
import { Dots } from "../controls/controls.tsx";

/** The reasoning of a stored message; empty if there is none. */
export function reasoningOf({ parts = [] }: Message): string {
  return parts.map((part) => (part.type === "reasoning" ? part.text : "")).join("");
}

interface ReasoningProps {
  readonly text: string;
  /** Whether the chatbot is still thinking. */
  readonly isActive: boolean;
}

export function Reasoning({ text, isActive }: ReasoningProps) {
  const isOpen = useSignal(false);
  const seconds = useDuration(isActive);
  return (
    <details class="reasoning" onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
      <summary class="soft" translate={false}>
        {isActive && <Dots />}
        {labelOf(isActive, seconds)}
      </summary>
      {isOpen.value && <Markdown text={text} open={isActive} />}
    </details>
  );
}

/** The duration of an activity in seconds; `undefined` before its end, and if its beginning was not seen. */
function useDuration(isActive: boolean): number | undefined {
  const began = useRef<number>(undefined);
  const took = useRef<number>(undefined);
  if (isActive) began.current ??= performance.now();
  else if (began.current !== undefined) took.current ??= (performance.now() - began.current) / 1000;
  return took.current;
}

function labelOf(isActive: boolean, seconds: number | undefined): string {
  if (isActive) return t("message.reasoning.now");
  if (seconds === undefined) return t("message.reasoning");
  return t("message.reasoning.took", { n: Math.max(1, Math.round(seconds)) });
}
