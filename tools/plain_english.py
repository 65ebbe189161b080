"""Count the markers of a private dialect in docstrings, comments, docs, settings and test names.

Usage: python tools/plain_english.py [--list] [PATH …]

Without a path it reads every tracked file. `--list` prints each hit with its place and the suggestion. The exit code
is 1 where there are more than MARKERS_PER_THOUSAND hits in a thousand words. The word list is plain_english.txt.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

MARKERS_PER_THOUSAND = 1.0
ROOT = Path(__file__).resolve().parent.parent
# Texts that are not ours to rewrite: accepted ADRs, the licence, recorded and generated files, and the word list.
EXCLUDED = re.compile(
    r"^(docs/adr/0|LICENSE|tools/plain_english|tests/unit/test_plain_english|docs/reference/\w+\.json|tests/chaos/recorded)"
)
KINDS = {".py", ".md", ".ts", ".tsx"}
WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
CODE = re.compile(r"`[^`\n]*`|https?://\S+|\]\([^)\s]*\)|<[^>\n]{1,80}>")

Passage = tuple[int, str]  # line number, text


def main() -> int:
    """Count, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print each hit")
    parser.add_argument("paths", nargs="*", type=Path)
    arguments = parser.parse_args()
    markers = word_list()
    words = hits = 0
    by_marker: Counter[str] = Counter()
    for path in files(arguments.paths):
        for line, text in passages(path):
            plain = CODE.sub(" ", text)
            words += len(WORD.findall(plain))
            for pattern, instead in markers:
                for found in pattern.finditer(plain):
                    hits += 1
                    by_marker[found[0].lower()] += 1
                    if arguments.list:
                        at = line + plain.count("\n", 0, found.start())
                        print(f"{path.relative_to(ROOT)}:{at}: {found[0]!r} -> {instead}")
    rate = 1000 * hits / max(words, 1)
    print(f"plain English: {hits} markers in {words} words, {rate:.2f} in 1,000 (at most {MARKERS_PER_THOUSAND:g})")
    if rate > MARKERS_PER_THOUSAND:
        print("most frequent: " + ", ".join(f"{word} {times}" for word, times in by_marker.most_common(12)))
        return 1
    return 0


def word_list() -> list[tuple[re.Pattern[str], str]]:
    """Return the patterns of plain_english.txt, each with what to write instead."""
    lines = (ROOT / "tools/plain_english.txt").read_text().splitlines()
    pairs = (line.split(" -> ", 1) for line in lines if line and not line.startswith("#"))
    return [(re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), instead) for pattern, instead in pairs]


def files(paths: list[Path]) -> Iterator[Path]:
    """Yield the tracked files of a kind that is read, below `paths` or everywhere."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *(str(path) for path in paths)],
        cwd=Path.cwd() if paths else ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        path = ((Path.cwd() if paths else ROOT) / name).resolve()
        if path.suffix in KINDS and path.exists() and not EXCLUDED.match(str(path.relative_to(ROOT))):
            yield path


def passages(path: Path) -> Iterator[Passage]:
    """Yield the prose of a file: docstrings and comments of code, everything but code blocks of Markdown."""
    text = path.read_text()
    if path.suffix == ".py":
        yield from _python(text)
    elif path.suffix == ".md":
        yield from _markdown(text)
    else:
        for found in re.finditer(r"/\*.*?\*/|(?<![:\"'`\w])//[^\n]*", text, re.DOTALL):
            yield text.count("\n", 0, found.start()) + 1, found[0]


def _python(text: str) -> Iterator[Passage]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
        elif isinstance(node, ast.keyword) and node.arg in {"description", "help"}:
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.lineno, part.value
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.lineno, node.name.removeprefix("test_").replace("_", " ")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not token.string.startswith("#!"):
            yield token.start[0], token.string


def _markdown(text: str) -> Iterator[Passage]:
    fenced = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


if __name__ == "__main__":
    sys.exit(main())
