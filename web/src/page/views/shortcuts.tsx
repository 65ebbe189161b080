/** The keyboard: Ctrl+K goes anywhere, Ctrl+Shift+O starts a chat, ? says what there is. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { COMPACT, go } from "../route.ts";
import { lazy } from "./lazy.tsx";

const Palette = lazy(() => import("./palette.tsx").then((module) => module.Palette));
const HelpDialog = lazy(() => import("./help_dialog.tsx").then((module) => module.HelpDialog));

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
  if (shown.value === "help") return <HelpDialog onClose={close} />;
  return null;
}
