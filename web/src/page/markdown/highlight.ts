/** Syntax highlighting, in a separate chunk that is loaded with the first code block. */

import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import go from "highlight.js/lib/languages/go";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const LANGUAGES = {
  bash,
  cpp,
  css,
  go,
  java,
  javascript,
  json,
  markdown,
  python,
  rust,
  sql,
  typescript,
  xml,
  yaml,
};

for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);

const MOST = 4; // sections that are highlighted at once

/**
 * HTML of sections of so many lines, with a `span` for each highlighted part, in steps that are short enough for one task
 * each. A step ends where no string or comment is open, within `MOST` sections. Yields nothing for an unknown language.
 */
export function* highlightedSections(
  text: string,
  language: string,
  size: number,
): Generator<readonly string[]> {
  if (!hljs.getLanguage(language)) return;
  const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  for (let from = 0, to = size; from < lines.length; to += size) {
    const code = lines.slice(from, to).join("");
    const { value, _top: end } = hljs.highlight(code, { language, ignoreIllegals: true });
    const isOpen = end !== undefined && "parent" in end && end.parent !== undefined;
    const isWhole = !isOpen || to >= lines.length || to - from >= MOST * size;
    yield isWhole ? sectionsOf(value, size) : [];
    if (isWhole) from = to;
  }
}

function sectionsOf(html: string, size: number): string[] {
  const sections: string[] = [];
  let open: string[] = []; // tags of the parts that span a line's end
  const lines = html.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  for (let at = 0; at < lines.length; at += size) {
    const start = open.join("");
    const section = lines.slice(at, at + size).join("");
    open = openTags(section, open);
    sections.push(start + section + "</span>".repeat(open.length));
  }
  return sections;
}

/** The tags that are open at the end of a section. */
function openTags(section: string, before: readonly string[]): string[] {
  const open = [...before];
  for (const [tag] of section.matchAll(/<span[^>]*>|<\/span>/g)) {
    if (tag === "</span>") open.pop();
    else open.push(tag);
  }
  return open;
}
