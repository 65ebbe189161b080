/** The list of keyboard shortcuts. */

import { type Key, t } from "../../i18n/index.ts";
import { Dialog } from "./dialog.tsx";

const KEYS: readonly [string, Key][] = [
  ["Enter", "help.send"],
  ["Shift + Enter", "help.newline"],
  ["Esc", "help.stop"],
  ["↑", "help.edit"],
  ["Ctrl + K", "help.palette"],
  ["Ctrl + Shift + O", "help.new"],
  ["?", "help.help"],
];

export function HelpDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title={t("help.title")} onClose={onClose}>
      <dl class="keys">
        {KEYS.map(([key, text]) => (
          <div key={key}>
            <dt>
              <kbd translate={false}>{key}</kbd>
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
