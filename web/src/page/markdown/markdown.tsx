/** Renders Markdown. While it streams, it is updated so often that two thirds of the page's time stay free. */

import { useLayoutEffect, useRef } from "preact/hooks";

import { MarkdownView } from "./view.ts";

const SHARE = 3; // an update may take one third of the time until the next one
const LONGEST_WAIT = 80; // milliseconds; beyond it, text would appear in jumps

export function Markdown({ text, open = false }: { text: string; open?: boolean }) {
  const container = useRef<HTMLDivElement>(null);
  const stream = useRef<Stream>(undefined);

  useLayoutEffect(() => {
    stream.current ??= new Stream(new MarkdownView(container.current as HTMLDivElement));
    if (open) stream.current.grow(text);
    else stream.current.end(text);
  }, [text, open]);
  useLayoutEffect(() => () => stream.current?.stop(), []);

  return <div class="md" data-open={open || undefined} ref={container} />;
}

/** Updates a view at most once per frame, and less often if an update, with its layout, takes long. */
class Stream {
  private text = "";
  private frame = 0;
  private timer = 0;
  private notBefore = 0; // time in milliseconds

  constructor(private readonly view: MarkdownView) {}

  grow(text: string): void {
    this.text = text;
    if (this.frame || this.timer) return;
    const wait = this.notBefore - performance.now();
    if (wait > 0) this.timer = window.setTimeout(() => this.next(), wait);
    else this.next();
  }

  end(text: string): void {
    this.stop();
    this.view.update(text, false);
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.frame = this.timer = 0;
  }

  private next(): void {
    this.timer = 0;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      const start = performance.now();
      this.view.update(this.text, true);
      afterLayout(() => {
        const end = performance.now();
        this.notBefore = end + Math.min((SHARE - 1) * (end - start), LONGEST_WAIT);
      });
    });
  }
}

/** Call back in the first task after the frame, thus after its layout. */
function afterLayout(done: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = done;
  port2.postMessage(undefined);
}
