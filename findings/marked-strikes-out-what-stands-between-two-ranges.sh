#!/usr/bin/env bash
# Software: marked 18.2.1, markdown-it 14.3.3 (npm), Node.js 20
# Guess:    "It takes 3~5 days, or 7~10 days." stays plain text, since GitHub's documents write strike-through with two
#           tildes; both parsers agree, both have strike-through switched on.
# Seen:     marked strikes out the middle ("5 days, or 7"), the very numbers that the reader needs; markdown-it does not.
# Output:   markdown-it: <p>It takes 3~5 days, or 7~10 days.</p>
#           marked: <p>It takes 3<del>5 days, or 7</del>10 days.</p>
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund marked@18.2.1 markdown-it@14.3.3 >/dev/null
cat >probe.mjs <<'JAVASCRIPT'
import MarkdownIt from "markdown-it";
import { marked } from "marked";

const text = "It takes 3~5 days, or 7~10 days.";
process.stdout.write("markdown-it: " + new MarkdownIt().render(text));
process.stdout.write("marked: " + marked.parse(text));
JAVASCRIPT
node probe.mjs | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
markdown-it: <p>It takes 3~5 days, or 7~10 days.</p>
marked: <p>It takes 3<del>5 days, or 7</del>10 days.</p>
EXPECTED
