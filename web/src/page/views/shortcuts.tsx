/** The keyboard: Ctrl+K goes anywhere, Ctrl+Shift+O starts a chat, ? says what there is. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { type Key, t } from "../i18n/index.ts";
import { COMPACT, go } from "../route.ts";
import { Dialog } from "./controls.tsx";
import { Palette } from "./palette.tsx";

const KEYS: readonly [string, Key][] = [
  ["Enter", "help.send"],
  ["Shift + Enter", "help.newline"],
  ["Esc", "help.stop"],
  ["↑", "help.edit"],
  ["Ctrl + K", "help.palette"],
  ["Ctrl + Shift + O", "help.new"],
  ["?", "help.help"],
];

export function Shortcuts() {
  const shown = useSignal<"palette" | "help" | undefined>(undefined);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const mod = event.ctrlKey || event.metaKey;
      const isWriting = event.target instanceof Element && event.target.closest("input, textarea, select");
      if (mod && !event.shiftKey && event.key.toLowerCase() === "k" && !COMPACT) shown.value = "palette";
      else if (mod && event.shiftKey && event.key.toLowerCase() === "o") go({ name: "new" });
      else if (event.key === "?" && !mod && !isWriting) shown.value = "help";
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  const close = () => (shown.value = undefined);
  if (shown.value === "palette") return <Palette onClose={close} onHelp={() => (shown.value = "help")} />;
  if (shown.value === "help") return <Help onClose={close} />;
  return null;
}

function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={t("help.title")} onClose={onClose}>
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
