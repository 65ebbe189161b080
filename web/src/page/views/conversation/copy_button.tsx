/** A button that copies a text and confirms it. */

import { useSignal } from "@preact/signals";

import { copyText } from "../../platform/clipboard.ts";
import { t } from "../../i18n/index.ts";
import { IconButton } from "../controls/controls.tsx";

const COPIED_FOR = 2_000; // milliseconds

export function CopyButton({ text, label }: { text: string; label: string }) {
  const copied = useSignal(false);
  const copy = async () => {
    if (!(await copyText(text))) return;
    copied.value = true;
    setTimeout(() => (copied.value = false), COPIED_FOR);
  };
  return (
    <IconButton
      icon={copied.value ? "check" : "copy"}
      label={copied.value ? t("message.copied") : label}
      onClick={() => void copy()}
    />
  );
}
