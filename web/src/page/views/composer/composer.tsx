/** The message field. It stays usable without a connection. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { codePoints } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { ENTER_HINT, isSendKey } from "../../platform/keys.ts";
import { IconButton } from "../controls/controls.tsx";
import { Icon } from "../controls/icon.tsx";
import { type Mentionable, MentionList, mentionAt, useMentions } from "./mentions.tsx";

const WARN_FROM = 0.9; // share of the maximum length from which the remaining characters are shown

interface ComposerProps {
  readonly draftKey: string;
  readonly placeholder: string;
  readonly busy?: boolean;
  readonly mentionable?: readonly Mentionable[];
  /** Returns whether the message was accepted; else its text stays. */
  readonly onSend: (content: string) => boolean | Promise<boolean>;
  readonly onStop?: (() => void) | undefined;
  readonly onEditLast?: (() => void) | undefined;
  readonly onTyping?: ((typing: boolean) => void) | undefined;
  readonly children?: ComponentChildren;
}

export function Composer(props: ComposerProps) {
  const { drafts, longest } = useWorkspace();
  const [text, setText] = useState(drafts.get(props.draftKey));
  const area = useRef<HTMLTextAreaElement>(null);
  const mentions = useMentions(props.mentionable ?? []);
  const length = codePoints(text.trim());
  const left = longest.value - length;
  const isReady = length > 0 && left >= 0 && !props.busy;

  useLayoutEffect(() => {
    if (matchMedia("(pointer: fine)").matches) area.current?.focus({ preventScroll: true });
  }, []);
  useLayoutEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  const change = (value: string, caret = value.length) => {
    setText(value);
    drafts.set(props.draftKey, value);
    mentions.look(mentionAt(value, caret));
    props.onTyping?.(value.trim() !== "");
  };
  const send = async () => {
    if (!isReady) return;
    const before = text;
    if (await props.onSend(before)) {
      setText((now) => (now === before ? "" : now));
      drafts.delete(props.draftKey);
      props.onTyping?.(false);
    }
    area.current?.focus({ preventScroll: true });
  };
  const complete = (choice: Mentionable) => {
    const at = area.current?.selectionStart ?? text.length;
    const start = text.lastIndexOf("@", at - 1);
    const done = `${text.slice(0, start)}@${choice.id} `;
    change(done + text.slice(at));
    requestAnimationFrame(() => area.current?.setSelectionRange(done.length, done.length));
    mentions.close();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (mentions.key(event, complete)) return;
    if (isSendKey(event)) {
      event.preventDefault();
      void send();
    } else if (event.key === "ArrowUp" && text === "" && props.onEditLast) {
      event.preventDefault();
      props.onEditLast();
    }
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      {mentions.isOpen && <MentionList mentions={mentions} onChoose={complete} />}
      <div class="composer-box">
        <textarea
          ref={area}
          rows={1}
          dir="auto"
          aria-label={t("composer.label")}
          placeholder={props.placeholder}
          enterkeyhint={ENTER_HINT}
          value={text}
          aria-invalid={left < 0}
          aria-autocomplete="list"
          aria-controls={mentions.isOpen ? mentions.listId : undefined}
          aria-activedescendant={mentions.isOpen ? mentions.activeId : undefined}
          onInput={(event) => change(event.currentTarget.value, event.currentTarget.selectionStart)}
          onKeyDown={onKeyDown}
          onBlur={() => mentions.close()}
        />
        {props.onStop ? (
          <IconButton icon="stop" label={t("composer.stop")} class="stop" onClick={props.onStop} />
        ) : null}
        <button
          class="send icon-button"
          aria-label={t("composer.send")}
          title={t("composer.send")}
          disabled={!isReady}
          aria-busy={props.busy}
        >
          <Icon name="send" />
        </button>
      </div>
      {left < longest.value * (1 - WARN_FROM) && (
        <p class={left < 0 ? "count over" : "count soft"} role="status" translate={false}>
          {left < 0 ? t("composer.over", { n: -left }) : t("composer.left", { n: left })}
        </p>
      )}
      {props.children}
    </form>
  );
}
