/** Keys: those that belong to an input method, and the one that sends a message. */

const PROCESSED = 229; // `keyCode` of a key that the input method has processed

/**
 * Hide the keys of compositions from all handlers of the page: their Enter chooses a word and sends nothing, their Esc
 * cancels it and closes nothing. Safari reports the key that ends a composition after `compositionend`, with
 * `isComposing` false and `keyCode` 229 (WebKit bug 165004). Call it before any other handler is registered.
 */
export function ignoreCompositionKeys(): void {
  const hide = (event: KeyboardEvent) => {
    if (!event.isComposing && event.keyCode !== PROCESSED) return;
    event.stopImmediatePropagation();
    if (event.key === "Escape") event.preventDefault(); // else a dialog would close
  };
  addEventListener("keydown", hide, true);
  addEventListener("keyup", hide, true);
}

/** Whether the device is used by touch: its keyboard has no Shift + Enter, and a button sends. */
export const IS_TOUCH = matchMedia("(hover: none) and (pointer: coarse)").matches;

/** What the Enter key of an on-screen keyboard shows. */
export const ENTER_HINT = IS_TOUCH ? "enter" : "send";

/** Whether a key sends the message. Otherwise Enter is a line break. */
export function isSendKey({ key, shiftKey, altKey, ctrlKey, metaKey }: KeyboardEvent): boolean {
  if (key !== "Enter" || shiftKey || altKey) return false;
  return !IS_TOUCH || ctrlKey || metaKey;
}
