"""Streamed text: no half-written mark is shown, and it can be copied, stopped and regenerated."""

from __future__ import annotations

import re
from itertools import pairwise

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.model import Model

CODE = "def greet(name):\n    print(f'Hello {name}')\n\n\ngreet('Ada')"
TEXT = f"""Some **bold words here**, `a span of code` and [a link to](https://example.org) follow:
- one item
- another *soft item*

```python
{CODE}
```

| name of it | how many |
|---|---|
| apples | 12 |
| pears | 7 |

The ~~very~~ end."""
MARKS = re.compile(r"(?m)[`*~|\]]|^-|https:")  # characters of Markdown syntax; the text above contains none as content
WATCH = """() => {
  window.__seen = [];
  const look = () => {
    const text = document.querySelector('.row.reply .md');
    if (text) __seen.push([text.innerText, text.getBoundingClientRect().height, text.querySelectorAll('h1, h2').length]);
    requestAnimationFrame(look);
  };
  look();
}"""


def test_nothing_flickers_while_text_streams(visit: Visit) -> None:
    """Frame by frame: no half-written mark of a fence, list, table, link or emphasis, and no element shrinks."""
    visitor = visit()
    page = visitor.page
    visitor.register()
    page.evaluate(WATCH)
    visitor.new_chat("Echo", TEXT)
    answer = visitor.expect_answer()
    expect(answer.locator(".hljs-keyword").first).to_have_text("def")
    seen = page.evaluate("__seen")
    texts = [text for text, _, _ in seen]
    assert len(set(texts)) > 5, "it did not stream"
    assert not [text for text in texts if MARKS.search(text)]
    heights = [height for _, height, _ in seen]
    shrunk = [(a, b) for a, b in pairwise(heights) if b < a - 1]
    assert not shrunk
    assert not any(headings for _, _, headings in seen), "a line that a list follows was a heading for a moment"

    expect(answer.locator("figcaption")).to_contain_text("python")
    answer.get_by_role("button", name="Copy the code").click()
    expect(answer.get_by_role("button", name="Copy the code")).to_have_text("Copied")
    visitor.writing.press("Control+v")
    expect(visitor.writing).to_have_value(CODE)


def test_reply_is_stopped_by_the_button_and_regenerated(visit: Visit) -> None:
    """A stopped reply keeps its text; after regeneration both replies can be shown, also after a reload."""
    visitor = visit()
    page = visitor.page
    visitor.register()
    text = " ".join(f"word{number}" for number in range(1500))
    visitor.new_chat("Echo", text)
    expect(visitor.reply_under_way).to_contain_text("word20")
    page.get_by_role("button", name="Stop the answer").click()
    stopped = visitor.expect_answer()
    expect(stopped).to_contain_text("Stopped")
    assert text.startswith(stopped.locator(".md").inner_text())
    stopped.get_by_role("button", name="Answer again").click()
    expect(stopped).to_contain_text("2/2")
    expect(stopped).to_contain_text("word1499")
    page.reload()
    kept = visitor.expect_answer()
    expect(kept).to_contain_text("word1499")
    kept.get_by_role("button", name="Earlier answer").click()
    expect(kept).to_contain_text("Stopped")
    expect(kept).not_to_contain_text("word1499")


def test_reasoning_is_folded_streams_when_unfolded_and_stays(visit: Visit, model: Model) -> None:
    """It is no part of the answer and of its copy; its duration is shown where it was seen."""
    visitor = visit()
    page = visitor.page
    visitor.register()
    model.go_on.clear()
    visitor.new_chat("Model", "think Two **and** two | Four.")
    fold = visitor.reply_under_way.locator("details.reasoning")
    expect(fold.locator("summary")).to_have_text("Thinking")
    expect(fold.locator(".md")).to_have_count(0)
    fold.locator("summary").click()
    expect(fold.locator(".md strong")).to_have_text("and")
    expect(page.get_by_text("is thinking")).to_have_count(0)
    model.go_on.set()
    answer = visitor.expect_answer()
    expect(answer.locator("summary")).to_have_text(re.compile(r"^Thought for \d+ seconds?$"))
    expect(answer.locator("details .md")).to_have_text("Two and two")
    answer.get_by_role("button", name="Copy").click()
    visitor.writing.press("Control+v")
    expect(visitor.writing).to_have_value("Four.")
    page.reload()
    kept = visitor.expect_answer()
    expect(kept.locator("summary")).to_have_text("Thoughts")
    expect(kept.locator("details .md")).to_have_count(0)
    kept.locator("summary").press("Enter")
    expect(kept.locator("details .md strong")).to_have_text("and")
