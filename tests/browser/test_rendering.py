"""Replies in a real browser: maths, code at any depth, tables, footnotes; and messages of users as they wrote them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.model import Model
from tests.browser.visitor import Visitor
from tests.support.waiting import wait_until


def answered(visitor: Visitor, model: Model, reply: str) -> Locator:
    """Return the text of a reply."""
    visitor.register()
    model.answers = {"go": reply}
    visitor.new_chat("Model", "go")
    return visitor.expect_answer().locator(".md")


def copied(visitor: Visitor, element: Locator) -> str:
    """Select an element's contents, copy them, and return the text of the clipboard."""
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    element.evaluate("(e) => getSelection().selectAllChildren(e)")
    visitor.page.keyboard.press("Control+c")
    return str(visitor.page.evaluate("navigator.clipboard.readText()"))


@pytest.mark.parametrize(
    ("formula", "element"),
    [
        ("\\(\\frac{a_1}{b^{*}}\\)", "mfrac"),
        ("$$\n\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}\n$$", "mtable"),
        ("\\[ \\sqrt{x} = \\bold{y} \\color{red} z \\colorbox{aqua}{w} \\]", "msqrt"),
        ("$\\cancel{x} + \\underbrace{a+b}_{c}$", "munder"),
    ],
)
def test_maths_is_typeset_and_copied_as_its_source(visit: Visit, model: Model, formula: str, element: str) -> None:
    """With the page's own policy: a style or font that it forbids would be reported."""
    visitor = visit()
    text = answered(visitor, model, f"Before\n\n{formula}\n\nafter.")
    expect(text.locator(f"math {element}").first).to_be_visible()
    size = text.locator("math").first.bounding_box()
    assert size
    assert size["width"] > 8
    assert size["height"] > 8
    assert formula in copied(visitor, text)


def test_typesetter_is_loaded_with_the_first_formula_only(visit: Visit, model: Model) -> None:
    """A reply without maths loads nothing for it."""
    visitor = visit()
    answered(visitor, model, "It costs $5, and `$x$` is code.")
    assert not [each for each in visitor.requests if "typesetter" in each]
    model.answers = {"go": "Now $x^2$."}
    visitor.say("go")
    expect(visitor.expect_answer(2).locator("math msup")).to_be_visible()
    assert [each for each in visitor.requests if "typesetter" in each]


@pytest.mark.parametrize(
    "reply",
    [
        "1. Run:\n\n   ```python\n   print(1)\n   ```\n\n2. Next",
        "> ```python\n> print(1)\n> ```",
        "- a\n  - b\n\n    ```python\n    print(1)\n    ```",
    ],
)
def test_nested_code_has_colours_and_is_copied(visit: Visit, model: Model, reply: str) -> None:
    """The copy button copies the code, without the indentation or marks of what it is in."""
    visitor = visit()
    text = answered(visitor, model, reply)
    expect(text.locator("figure .hljs-number")).to_have_text("1")
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text.get_by_role("button", name="Copy the code").click()
    expect(text.get_by_role("button", name="Copy the code")).to_have_text("Copied")
    assert visitor.page.evaluate("navigator.clipboard.readText()") == "print(1)"


def test_code_follows_the_chosen_answer(visit: Visit, model: Model) -> None:
    """After regeneration, the earlier answer shows and copies its own code."""
    visitor = visit()
    answered(visitor, model, "```python\nprint(1)\n```")
    model.answers = {"go": "```python\nprint(2)\n```"}
    visitor.page.get_by_role("button", name="Answer again").click()
    code = visitor.page.locator(".row.reply figure code")
    expect(code).to_have_text("print(2)")
    expect(code.locator(".hljs-number")).to_have_text("2")
    visitor.page.get_by_role("button", name="Earlier answer").click()
    expect(code).to_have_text("print(1)")
    expect(code.locator(".hljs-number")).to_have_text("1")
    visitor.page.get_by_role("button", name="Later answer").click()
    expect(code).to_have_text("print(2)")


def test_selected_lines_of_code_are_copied_as_lines(visit: Visit, model: Model) -> None:
    """Across the sections of a long block, too."""
    visitor = visit()
    code = "\n".join(f"x = {n}" for n in range(120))
    text = answered(visitor, model, f"```python\n{code}\n```")
    expect(text.locator("code > span").last.locator(".hljs-number").last).to_have_text("119")
    assert copied(visitor, text.locator("code")).rstrip("\n") == code


def test_numbers_continue_and_columns_are_aligned(visit: Visit, model: Model) -> None:
    """Behind a paragraph and code; and wide tables scroll instead of the page."""
    visitor = visit(viewport={"width": 390, "height": 800})
    wide = " | ".join(f"Averylongcolumnname{n}" for n in range(8))
    table = f"| {wide} |\n|--:|:-:|:--{'|---' * 5}|\n| {' | '.join('12345678')} |"
    text = answered(visitor, model, f"1. a\n\nText.\n\n2. b\n\n```\nx\n```\n\n3. c\n\n{table}")
    assert text.locator("ol").evaluate_all("(all) => all.map((each) => each.start)") == [1, 2, 3]
    aligned = text.locator("td").evaluate_all(
        "(all) => all.slice(0, 3).map((each) => getComputedStyle(each).textAlign)"
    )
    assert aligned == ["right", "center", "left"]
    frame = text.locator(".md-table")
    assert frame.evaluate("(e) => e.scrollWidth > e.clientWidth + 100")
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 390
    frame.press("ArrowRight")
    wait_until(lambda: frame.evaluate("(e) => e.scrollLeft > 0"), 5)


def test_footnotes_lead_there_and_back(visit: Visit, model: Model) -> None:
    """By keyboard, without leaving the chat's address."""
    visitor = visit()
    filler = "\n\n".join(f"Paragraph {n}" for n in range(60))
    text = answered(visitor, model, f"First[^a].\n\n{filler}\n\n[^a]: The *note*.")
    address = visitor.page.url
    text.get_by_role("button", name="Footnote 1", exact=True).press("Enter")
    expect(text.locator(".md-note")).to_be_in_viewport()
    expect(text.locator(".md-note")).to_be_focused()
    text.get_by_role("button", name="Back to the text of footnote 1").press("Enter")
    expect(text.get_by_role("button", name="Footnote 1", exact=True)).to_be_focused()
    assert visitor.page.url == address


OWN = [
    "def f(x):\n    return 2*x*3\n\tif __init__: # ~~no~~",
    "1986. A great year\n[1]: https://example.com/a",
    "#\n# comment\n> quoted\n- one\n\n\n<b>bold</b> & &amp; <br> $x$",
]


@pytest.mark.parametrize("said", OWN)
def test_own_message_is_shown_as_it_was_written(visit: Visit, said: str) -> None:
    """Every character, space and line, while it is sent and when it is stored, also after a reload."""
    visitor = visit()
    visitor.register()
    visitor.new_chat("Echo", said)
    visitor.expect_answer()
    text = visitor.own.locator(".md")
    for _ in range(2):
        expect(text).to_have_count(1)
        assert text.evaluate("(e) => e.textContent") == said
        assert text.evaluate("(e) => e.innerText") == said
        assert text.locator("> :not(a)").count() == 0
        visitor.page.reload()


def test_only_addresses_and_mentions_are_alive_in_own_messages(visit: Visit) -> None:
    """A mention of a member, an address of the web, and one of mail; no other name, and no script."""
    visitor = visit()
    visitor.register()
    said = (
        "@echo and @nobody: see https://example.com/docs\uff08note\uff09, ask a@example.org; javascript:alert(1) **no**"
    )
    visitor.new_chat("Echo", said)
    visitor.expect_answer()
    text = visitor.own.locator(".md")
    assert text.locator(".mention").all_text_contents() == ["@echo"]
    links = text.locator("a").evaluate_all("(all) => all.map((each) => each.getAttribute('href'))")
    assert links == ["https://example.com/docs", "mailto:a@example.org"]
    assert text.evaluate("(e) => e.textContent") == said


EFFECT = "window.__effect=1"
PASSING = [
    f"<sub onclick={EFFECT}>x</sub> <kbd style='position:fixed'>x</kbd> <br onload={EFFECT}> <sup\nid=x>x</sup>",
    f"\\(\\href{{javascript:{EFFECT}}}{{x}}\\) and $\\url{{javascript:{EFFECT}}}$",
    f'\\(\\text{{<img src=x onerror={EFFECT}>}}\\) and \\(\\class{{a" onclick="{EFFECT}}}{{x}}\\)',
    "$$\\includegraphics{https://images.example/x.png} \\style{position:fixed;inset:0}{x} \\id{app}{y}$$",
    "\\(\\def\\x{\\x\\x}\\x\\) and \\(\\rule{9999em}{9999em}\\) and \\(\\color{red;position:fixed}{x}\\)",
    f'A[^"onclick="{EFFECT}] and B[^__proto__] and [call](tel:"onclick={EFFECT})\n\n[^__proto__]: note\n',
    f"&lt;script&gt;{EFFECT}&lt;/script&gt; &NotEqualTilde;<script>{EFFECT}</script>",
]
ELEMENTS = {"a", "blockquote", "br", "code", "del", "em", "kbd", "li", "ol", "p", "pre", "strong", "sub", "sup", "ul"}
ELEMENTS |= {
    "aside",
    "button",
    "div",
    "figcaption",
    "figure",
    "hr",
    "span",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
}
MATHS = (
    "math merror mfrac mi mn mo mover mpadded mphantom mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr"
)
ATTRIBUTES = """() => [...document.querySelectorAll('.md *')].flatMap(
  (e) => [...e.attributes].map((a) => [e.localName, a.name, a.value])
)"""


def test_what_is_let_through_has_no_effect(visit: Visit, model: Model) -> None:
    """Allowed tags with attributes, formulas that link, load or grow, footnotes and links with quotes."""
    visitor = visit()
    text = answered(visitor, model, "\n\n".join(PASSING))
    expect(text.locator("math").first).to_be_visible()
    names = set(text.locator("*").evaluate_all("(all) => all.map((each) => each.localName)"))
    assert names <= ELEMENTS | set(MATHS.split())
    attributes = visitor.page.evaluate(ATTRIBUTES)
    assert not [each for each in attributes if each[1].startswith("on") or each[1] in ("id", "src")]
    links = [value for _, name, value in attributes if name == "href"]
    assert all(each.startswith(("https://", "mailto:", "tel:")) for each in links), links
    assert "fixed" not in text.evaluate("(e) => [...e.querySelectorAll('*')].map((x) => getComputedStyle(x).position)")
    assert text.evaluate("(e) => e.scrollHeight") < 3_000
    assert visitor.page.evaluate("window.__effect") is None
    assert all(request.startswith(visitor.url) for request in visitor.requests)
