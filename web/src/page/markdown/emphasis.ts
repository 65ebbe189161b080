/**
 * Emphasis next to Chinese, Japanese and Korean text, which has no spaces: there, full-width punctuation is like a letter,
 * and a CJK character is like a space. The rules are those of https://github.com/tats-u/markdown-cjk-friendly.
 * Strikethrough takes two tildes: single ones mean "about" or "to".
 */

const CJK =
  "[\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Hang}\\p{sc=Bopo}\\u3000-\\u303f\\u30fb\\u30fc\\uff00-\\uffef\\ufe30-\\ufe4f]";

/** Rules of `marked` (`rules.inline`) that replace its own. */
export const EMPHASIS = {
  punctuation: new RegExp(`^((?![*_])(?:[\\s\\p{P}\\p{S}]|${CJK}))`, "u"),
  ...left(),
  emStrongRDelimAst: right("*", "\\*+", "[^_*]*?__[^_*]*?\\*[^_*]*?(?=__)"),
  delLDelim: new RegExp(`^~~(?:((?!~)(?!${CJK})[\\p{P}\\p{S}])|[^\\s~])`, "u"),
  delRDelim: right("~", "~~"),
};

function left() {
  const mark = `(?![~*]|${CJK})[\\p{P}\\p{S}]`;
  const line = `(?![~_]|${CJK})[\\p{P}\\p{S}]`;
  return {
    emStrongLDelim: new RegExp(`^(?:\\*+(?:(${mark})|([^\\s*]))?)|^_+(?:(${line})|([^\\s_]))?`, "u"),
  };
}

/**
 * The rule that finds closing delimiters: groups 1 and 2 only close, 3 and 4 only open, 5 and 6 can do both. It differs
 * from that of `marked` in what counts as punctuation, and in CJK characters next to a delimiter.
 */
function right(mark: string, run: string, orphan?: string): RegExp {
  const own = mark === "~" ? mark : `\\${mark}`; // other characters must not be escaped
  const punctuation = `(?!${own}|~|${CJK})[\\p{P}\\p{S}]`;
  const letter = `(?:[^\\s\\p{P}\\p{S}]|(?!${own})(?:${CJK}|~))`;
  const whole = `(${run})(?!${own})`;
  const before = (delimiters: string, next: string) => `(?=${delimiters}(?!${own})${next})`;
  return new RegExp(
    [
      ...(orphan ? [`^${orphan}`] : []),
      `[^${own}]+(?=[^${own}])`,
      `${punctuation}(${run})(?=\\s|$)`,
      `(?:${letter}${before(run, "(?:\\s|$)")}|(?!${CJK})${letter}${before(run, punctuation)})${whole}`,
      `(?:\\s|${punctuation}(?!${run}${CJK}))(${run})(?=${letter})`,
      `\\s${whole}(?=${punctuation})`,
      `${punctuation}${whole}(?=${punctuation}|${CJK})`,
      `(?:${letter}${before(run, letter)}|${CJK}${before(run, punctuation)})${whole}`,
    ].join("|"),
    "gu",
  );
}
