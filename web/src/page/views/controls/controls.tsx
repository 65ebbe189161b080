/** Small components that every screen uses: an icon button, a menu, an error message. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";

import { errorText, hasErrorText, t } from "../../i18n/index.ts";
import { Icon, type IconName } from "./icon.tsx";

interface IconButtonProps {
  readonly icon: IconName;
  readonly label: string;
  readonly onClick: (event: MouseEvent) => void;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
  readonly class?: string;
  readonly mirrored?: boolean;
}

export function IconButton({
  icon,
  label,
  onClick,
  pressed,
  disabled,
  mirrored,
  class: name = "",
}: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${name}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      disabled={disabled}
      onClick={onClick}
    >
      <Icon name={icon} mirrored={mirrored ?? false} />
    </button>
  );
}

/** An error at its place, with its code if there is no text for it, and, if useful, a retry button. */
export function Problem({
  text,
  code,
  retry,
}: {
  text?: string;
  code: string;
  retry?: (() => void) | undefined;
}) {
  return (
    <div class="problem" role="alert" data-code={code}>
      <Icon name="alert" />
      <span>
        {text ?? errorText(code)} {!text && !hasErrorText(code) && <code translate={false}>{code}</code>}
      </span>
      {retry && (
        <button type="button" class="quiet" onClick={retry}>
          {t("action.retry")}
        </button>
      )}
    </div>
  );
}

/** A progress indicator. */
export function Dots() {
  return (
    <span class="dots" aria-hidden="true">
      <i />
      <i />
      <i />
    </span>
  );
}

export interface MenuItem {
  readonly icon: IconName;
  readonly label: string;
  readonly run: () => void;
  readonly danger?: boolean;
}

/** A button that opens a menu, which the arrow keys navigate. */
export function Menu({ label, items }: { label: string; items: readonly MenuItem[] }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const entries = () => [...(root.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  useLayoutEffect(() => {
    if (!isOpen) return;
    entries()[0]?.focus();
    const outside = (event: PointerEvent) => !root.current?.contains(event.target as Node) && setOpen(false);
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isOpen]);
  const onKeyDown = (event: KeyboardEvent) => {
    const all = entries();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close();
    else if (event.key === "Tab") return setOpen(false);
    else if (step) all.at((all.indexOf(document.activeElement as HTMLElement) + step) % all.length)?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="menu" ref={root} onKeyDown={(event) => isOpen && onKeyDown(event)}>
      <button
        type="button"
        class="icon-button"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name="more" />
      </button>
      {isOpen && (
        <div role="menu" aria-label={label}>
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              tabIndex={-1}
              class={item.danger ? "danger" : ""}
              onClick={() => {
                close();
                item.run();
              }}
            >
              <Icon name={item.icon} />
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
