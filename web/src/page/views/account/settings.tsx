/** Appearance and language. */

import { type Key, LANGUAGES, type Language, language, t } from "../../i18n/index.ts";
import { setLanguage, setTheme, type Theme, theme } from "../../state/preferences.ts";
import { Icon, type IconName } from "../controls/icon.tsx";
import { loadsInTime, notifyMissing } from "../controls/lazy.tsx";

const THEMES: readonly [Theme, IconName, Key][] = [
  ["system", "screen", "settings.theme.system"],
  ["light", "sun", "settings.theme.light"],
  ["dark", "moon", "settings.theme.dark"],
];

export function ThemeChoice() {
  return (
    <div class="segments" role="group" aria-label={t("settings.theme")}>
      {THEMES.map(([value, icon, label]) => (
        <button
          key={value}
          type="button"
          aria-pressed={theme.value === value}
          aria-label={t(label)}
          title={t(label)}
          onClick={() => setTheme(value)}
        >
          <Icon name={icon} />
        </button>
      ))}
    </div>
  );
}

export function LanguageChoice() {
  const choose = async (select: HTMLSelectElement) => {
    if (await loadsInTime(setLanguage(select.value as Language))) return;
    select.value = language();
    if (select === document.activeElement) {
      select.blur(); // WebKit compares with the value at the last focus: without a new
      select.focus(); // focus, choosing the same language again would fire no change event
    }
    notifyMissing();
  };
  return (
    <select
      translate={false}
      aria-label={t("settings.language")}
      value={language()}
      onChange={(event) => void choose(event.currentTarget)}
    >
      {Object.entries(LANGUAGES).map(([value, name]) => (
        <option key={value} value={value}>
          {name}
        </option>
      ))}
    </select>
  );
}
