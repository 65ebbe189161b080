/** Renders Markdown. While it streams, it is updated at most once per frame. */

import { useLayoutEffect, useRef } from "preact/hooks";

import { MarkdownView } from "./view.ts";

export function Markdown({ text, open = false }: { text: string; open?: boolean }) {
  const container = useRef<HTMLDivElement>(null);
  const view = useRef<MarkdownView>(undefined);
  const frame = useRef(0);

  useLayoutEffect(() => {
    view.current ??= new MarkdownView(container.current as HTMLDivElement);
    cancelAnimationFrame(frame.current);
    if (open) frame.current = requestAnimationFrame(() => view.current?.update(text, true));
    else view.current.update(text, false);
    return () => cancelAnimationFrame(frame.current);
  }, [text, open]);

  return <div class="md" data-open={open || undefined} ref={container} />;
}
