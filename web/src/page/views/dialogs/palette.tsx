/** Finds a chat or command by a few letters. */

import { useSignal } from "@preact/signals";
import { useId, useLayoutEffect } from "preact/hooks";

import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { logOut } from "../../state/login.ts";
import { titleOf } from "../../format/names.ts";
import { setTheme } from "../../state/preferences.ts";
import { go } from "../../platform/route.ts";
import { Dialog } from "./dialog.tsx";
import { Icon, type IconName } from "../controls/icon.tsx";

interface Entry {
  readonly icon: IconName;
  readonly label: string;
  readonly run: () => void;
}

const MAX_ENTRIES = 9;

interface PaletteProps {
  /** Text typed before the palette was loaded; a line break is the Enter key. */
  readonly typed: string;
  readonly onClose: () => void;
  readonly onHelp: () => void;
}

export function Palette({ typed, onClose, onHelp }: PaletteProps) {
  const { chats } = useWorkspace();
  const query = useSignal(typed.split("\n", 1)[0] ?? "");
  const active = useSignal(0);
  const list = useId();
  const commands: Entry[] = [
    { icon: "plus", label: t("chats.new"), run: () => go({ name: "new" }) },
    { icon: "gear", label: t("account.title"), run: () => go({ name: "account" }) },
    {
      icon: "sun",
      label: `${t("settings.theme")}: ${t("settings.theme.light")}`,
      run: () => setTheme("light"),
    },
    {
      icon: "moon",
      label: `${t("settings.theme")}: ${t("settings.theme.dark")}`,
      run: () => setTheme("dark"),
    },
    { icon: "keys", label: t("help.title"), run: onHelp },
    { icon: "leave", label: t("account.logout"), run: () => void logOut() },
  ];
  const recent = chats.sorted.value.map((each): Entry => ({
    icon: "bot",
    label: titleOf(each),
    run: () => go({ name: "chat", id: each.id }),
  }));
  const wanted = query.value.trim().toLowerCase();
  const all = wanted ? [...recent, ...commands] : [...recent.slice(0, 4), ...commands];
  const found = all.filter(({ label }) => label.toLowerCase().includes(wanted)).slice(0, MAX_ENTRIES);
  const at = Math.min(active.value, Math.max(0, found.length - 1));
  const run = (entry: Entry | undefined) => {
    if (!entry) return;
    onClose();
    entry.run();
  };
  useLayoutEffect(() => {
    if (typed.includes("\n")) run(found[at]);
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) active.value = (at + step + found.length) % Math.max(1, found.length);
    else if (event.key === "Enter") run(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title={t("palette.title")} onClose={onClose} class="palette">
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={list}
        aria-activedescendant={found.length ? `${list}-${at}` : undefined}
        aria-label={t("palette.label")}
        placeholder={t("palette.label")}
        autofocus
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
          active.value = 0;
        }}
        onKeyDown={onKeyDown}
      />
      <ul role="listbox" id={list} aria-label={t("palette.title")}>
        {found.map((entry, index) => (
          <li
            key={`${index}${entry.label}`}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === at}
            onPointerMove={() => (active.value = index)}
            onClick={() => run(entry)}
          >
            <Icon name={entry.icon} />
            <span dir="auto" translate={false}>
              {entry.label}
            </span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
