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

/** HTML of each section of so many lines, with a `span` for each highlighted part; `[]` for an unknown language. */
export function highlightedSections(text: string, language: string, lines: number): readonly string[] {
  if (!hljs.getLanguage(language)) return [];
  const { value } = hljs.highlight(text, { language, ignoreIllegals: true });
  const sections: string[] = [];
  let open: string[] = []; // tags of the parts that span a line's end
  const all = value.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  for (let at = 0; at < all.length; at += lines) {
    const start = open.join("");
    const section = all.slice(at, at + lines).join("");
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
