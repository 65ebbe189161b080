/** The keyboard: Ctrl+K goes anywhere, Ctrl+Shift+O starts a chat, ? says what there is. */

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { COMPACT, go } from "../../platform/route.ts";
import { came, lazy, tellMissing } from "../controls/lazy.tsx";

const Palette = lazy(() => import("../dialogs/palette.tsx").then((module) => module.Palette));
const HelpDialog = lazy(() => import("../dialogs/help_dialog.tsx").then((module) => module.HelpDialog));

export function Shortcuts() {
  const shown = useSignal<"palette" | "help" | undefined>(undefined);
  /** What is typed while the palette is on its way: it is meant for the palette, not for whatever has the focus. */
  const early = useRef<string | undefined>(undefined);
  useEffect(() => {
    const open = async () => {
      early.current = "";
      const isThere = await came(Palette.load());
      if (early.current === undefined) return;
      if (isThere) {
        shown.value = "palette";
      } else {
        early.current = undefined; // keys mean again what they say
        tellMissing();
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
      if (early.current !== undefined && !shown.value && !mod && !event.isComposing) {
        hold(event);
        event.stopPropagation();
      } else if (mod && !event.shiftKey && event.key.toLowerCase() === "k" && !COMPACT) void open();
      else if (mod && event.shiftKey && event.key.toLowerCase() === "o") go({ name: "new" });
      else if (event.key === "?" && !mod && !isWriting) shown.value = "help";
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey, true); // before whatever has the focus
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
