/** Keyboard shortcuts: Ctrl+K opens the palette, Ctrl+Shift+O starts a chat, ? shows the list. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { COMPACT, go } from "../../platform/route.ts";
import { loadsInTime, lazy, notifyMissing } from "../controls/lazy.tsx";

const Palette = lazy(() => import("../dialogs/palette.tsx").then((module) => module.Palette));
const HelpDialog = lazy(() => import("../dialogs/help_dialog.tsx").then((module) => module.HelpDialog));

export function Shortcuts() {
  const shown = useSignal<"palette" | "help" | undefined>(undefined);
  /** Text typed while the palette is loading. It belongs to the palette, not to the focused element. */
  const early = useRef<string | undefined>(undefined);
  useEffect(() => {
    const open = async () => {
      early.current = "";
      const isThere = await loadsInTime(Palette.load());
      if (early.current === undefined) return;
      if (isThere) {
        shown.value = "palette";
      } else {
        early.current = undefined; // keys have their normal effect again
        notifyMissing();
      }
    };
    const hold = ({ key }: KeyboardEvent) => {
      if (key === "Escape") early.current = undefined;
      else if (key === "Backspace") early.current = early.current?.slice(0, -1);
      else if (key === "Enter") early.current += "\n";
      else if ([...key].length === 1) early.current += key;
    };
    const onKey = (event: KeyboardEvent) => {
      const mod = event.ctrlKey || event.metaKey;
      const isWriting = event.target instanceof Element && event.target.closest("input, textarea, select");
      if (early.current !== undefined && !shown.value && !mod) {
        hold(event);
        event.stopPropagation();
      } else if (mod && !event.shiftKey && event.key.toLowerCase() === "k" && !COMPACT) void open();
      else if (mod && event.shiftKey && event.key.toLowerCase() === "o") go({ name: "new" });
      else if (event.key === "?" && !mod && !isWriting) shown.value = "help";
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey, true); // before the focused element
    return () => removeEventListener("keydown", onKey, true);
  }, []);
  const close = () => {
    early.current = undefined;
    shown.value = undefined;
  };
  const help = () => (shown.value = "help");
  if (shown.value === "palette") return <Palette typed={early.current ?? ""} onClose={close} onHelp={help} />;
  if (shown.value === "help") return <HelpDialog onClose={close} />;
  return null;
}
