"""The documentation is true: links and anchors resolve, and the files, modules and tests that it names exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(path for path in (ROOT / "tests").rglob("*.md") if "node_modules" not in path.parts),
        *(ROOT / "deploy").rglob("*.md"),
    ]
)
# The text of an accepted decision is not edited, so its paths are those of its time. The table of 0007 is kept up.
CURRENT = [page for page in PAGES if page.parent.name != "adr" or page.name.startswith(("README", "0007"))]

FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
TEST_NAME = re.compile(r"(tests/[\w/]+\.py)::(test_\w+)")
PLACEHOLDER = re.compile(r"[…*<{$ ]")
BUILT = ("web/dist", "benchmarks/results", "tests/chaos/results")  # exist only after a build or a run
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
PACKAGES = {name for name in FOLDERS if (ROOT / name / "__init__.py").exists()}
CITATION = re.compile(r"contract\.md §(\d+(?:\.\d+)?)")
UNNAMED = re.compile(r"\b(contract|design),? " + "§")  # a section of a page that is not named
CITING = (
    "auth_service",
    "chat_gateway",
    "persistence_worker",
    "chatbot_worker",
    "shared",
    "embedded",
    "backchat_client",
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors that GitHub gives to the headings of a page."""
    found: list[str] = []
    for heading in HEADING.findall(prose(page)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_resolves(page: Path) -> None:
    broken = []
    for target in LINK.findall(CODE.sub("", prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
            broken.append(target)
    assert broken == []


@cache
def declared_tests(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_every_named_test_exists(page: Path) -> None:
    named = TEST_NAME.findall(page.read_text())
    assert [
        f"{path}::{name}" for path, name in named if not (ROOT / path).exists() or name not in declared_tests(path)
    ] == []


def names_nothing(span: str) -> bool:
    """Whether a code span looks like a path or a dotted name of this repository, and there is none."""
    span = span.partition("::")[0]
    if PLACEHOLDER.search(span) or span.startswith(BUILT):
        return False
    if span.split("/")[0] in FOLDERS and "/" in span:
        return not (ROOT / span.split("#")[0]).exists()
    if re.fullmatch(r"\w+(\.\w+)+", span) and span.split(".")[0] in PACKAGES:
        return not resolves(span.split("."))
    return False


def resolves(parts: list[str]) -> bool:
    """A module, or at most two names in one: `chat_gateway.settings.GatewaySettings.page_dir`."""
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if source.exists():
            text = source.read_text()
            return len(parts) - length <= 2 and all(re.search(rf"\b{name}\b", text) for name in parts[length:])
    return False


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_every_named_file_and_module_exists(page: Path) -> None:
    assert sorted({span for span in CODE.findall(prose(page)) if names_nothing(span.strip("`"))}) == []


@cache
def sources() -> dict[str, str]:
    """The text of every Python and TypeScript file that may cite the contract."""
    files = [path for folder in (*CITING, "tests", "web/src") for path in (ROOT / folder).rglob("*")]
    chosen = [path for path in files if path.suffix in {".py", ".ts", ".tsx"} and "node_modules" not in path.parts]
    return {name_of(path): path.read_text() for path in chosen}


def test_every_cited_section_of_the_contract_exists() -> None:
    contract = (ROOT / "docs/reference/contract.md").read_text()
    sections = set(re.findall(r"^#+ (\d+(?:\.\d+)?)[. ]", contract, re.MULTILINE))
    cited = {(name, section) for name, text in sources().items() for section in CITATION.findall(text)}
    assert {(name, section) for name, section in cited if section not in sections} == set()


def test_citations_name_their_page() -> None:
    """`contract.md §3.2`, not a section of a page without a name."""
    assert [name for name, text in sources().items() if UNNAMED.search(text)] == []


@pytest.mark.parametrize("service", ["auth_service", "chat_gateway", "persistence_worker", "chatbot_worker", "shared"])
def test_architecture_lists_every_sub_package(service: str) -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text()
    packages = {name_of(path.parent) for path in (ROOT / service).glob("*/__init__.py")} - {f"{service}/migrations"}
    assert {package for package in packages if f"| `{package}`" not in page} == set()


def test_index_of_decisions_has_every_title() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    decisions = [path for path in (ROOT / "docs/adr").glob("0*.md") if not path.name.startswith("0000")]
    titles = {path.name: path.read_text().splitlines()[0].partition(". ")[2] for path in decisions}
    assert {name for name, title in titles.items() if f"| [{title}]({name}) |" not in index} == set()
