/** Completion of `@` mentions with the members of the chat. */

import { useId, useState } from "preact/hooks";

import { t } from "../../i18n/index.ts";
import { Avatar } from "../controls/avatar.tsx";

export interface Mentionable {
  readonly id: string;
  readonly name: string;
  readonly kind: "user" | "chatbot";
}

/** The text between an `@` and the caret; `undefined` if there is no mention at the caret. */
export function mentionAt(text: string, caret: number): string | undefined {
  return /(?:^|\s)@([\w.-]*)$/.exec(text.slice(0, caret))?.[1];
}

export interface Mentions {
  readonly isOpen: boolean;
  readonly found: readonly Mentionable[];
  readonly active: number;
  readonly listId: string;
  readonly activeId: string;
  look(started: string | undefined): void;
  close(): void;
  /** Returns whether the list handled the key. */
  key(event: KeyboardEvent, choose: (choice: Mentionable) => void): boolean;
}

export function useMentions(all: readonly Mentionable[]): Mentions {
  const listId = useId();
  const [started, setStarted] = useState<string>();
  const [active, setActive] = useState(0);
  const found = started === undefined ? [] : all.filter((each) => isMatch(each, started)).slice(0, 6);
  const close = () => setStarted(undefined);
  const key = (event: KeyboardEvent, choose: (choice: Mentionable) => void) => {
    const choice = found[active];
    if (!choice) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setActive((active + step + found.length) % found.length);
    else if (event.key === "Enter" || event.key === "Tab") choose(choice);
    else if (event.key === "Escape") close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  };
  return {
    isOpen: found.length > 0,
    found,
    active,
    listId,
    activeId: `${listId}-${active}`,
    look: (text) => {
      setStarted(text);
      setActive(0);
    },
    close,
    key,
  };
}

export function MentionList({
  mentions,
  onChoose,
}: {
  mentions: Mentions;
  onChoose: (to: Mentionable) => void;
}) {
  return (
    <ul
      class="mentions"
      translate={false}
      role="listbox"
      id={mentions.listId}
      aria-label={t("composer.mention")}
    >
      {mentions.found.map((each, at) => (
        <li
          key={each.kind + each.id}
          id={`${mentions.listId}-${at}`}
          role="option"
          aria-selected={at === mentions.active}
          onPointerDown={(event) => {
            event.preventDefault(); // keeps the focus in the message field
            onChoose(each);
          }}
        >
          <Avatar id={each.id} name={each.name} kind={each.kind} />
          <span>{each.name}</span>
          {each.name !== each.id && <span class="soft">@{each.id}</span>}
        </li>
      ))}
    </ul>
  );
}

function isMatch({ id, name }: Mentionable, started: string): boolean {
  const wanted = started.toLowerCase();
  return id.toLowerCase().startsWith(wanted) || name.toLowerCase().startsWith(wanted);
}
