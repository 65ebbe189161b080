"""Screenshots for the README and the docs, in the widths of a phone, a tablet and a desktop, light and dark.

They are written to the directory of `--screenshots` (`docs/images` to renew those of the docs), else to a temporary
one.
"""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.model import Model
from tests.browser.visitor import Visitor, wait_for_animations
from tests.conftest import STACK_URL

PHONE, TABLET, DESKTOP = (360, 740), (768, 900), (1440, 900)
LARGEST = 150 * 1024  # bytes
QUESTION = "How can a message be sent twice and be stored once?"
ANSWER = """By its id. A message is **held durably** before it is acked, so whoever is not sure just sends it again:

```python
chat = await client.start_chat("Hello")
sent = await client.send(chat.id, "How are you?")
await sent.accepted()  # held durably
await sent.stored()    # has its place in the history
```

| killed | lost | doubled |
| --- | --- | --- |
| gateway | 0 | 0 |
| worker | 0 | 0 |
| broker | 0 | 0 |
"""


def shoot(page: Page, directory: Path, screen: str, scheme: str, window: tuple[int, int]) -> None:
    """Take one screenshot; nothing may overflow."""
    width, height = window
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    wait_for_animations(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (screen, scheme, window)
    picture = directory / f"{screen}-{width}-{scheme}.png"
    page.screenshot(path=picture, caret="hide", animations="disabled")
    assert 5_000 < picture.stat().st_size <= LARGEST, picture


def talk(visitor: Visitor) -> None:
    """Create chats for the list, and one to show."""
    visitor.new_chat("Echo", "Packing for Lisbon")
    visitor.expect_answer()
    visitor.new_chat("Eliza", "I worry that something gets lost on the way.")
    visitor.expect_answer()
    page = visitor.page
    page.locator(".everybody").click()
    page.get_by_role("button", name="Add Model").click()
    expect(page.get_by_role("button", name="Remove Model")).to_be_visible()
    visitor.close_dialog()
    visitor.menu("Rename")
    page.get_by_label("Title").fill("Nothing gets lost")
    page.get_by_label("Title").press("Enter")
    expect(page.locator("dialog")).to_have_count(0)
    visitor.say(f"@model {QUESTION}")
    visitor.expect_answer(2)
    expect(page.locator(".reply .hljs-comment").first).to_be_visible()


def test_screenshots(visit: Visit, model: Model, screenshots: Path) -> None:
    """The first screen, the choice of a chatbot, and a conversation."""
    visitor = visit()
    visitor.id = f"ada-{visitor.id[-3:]}" if STACK_URL else "ada"  # a reused stack may know the name already
    page = visitor.page
    model.answers[QUESTION] = ANSWER
    visitor.open()
    expect(page.locator("form")).to_be_visible()
    shoot(page, screenshots, "login", "light", PHONE)
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    visitor.register()
    expect(page.locator(".bot-card")).to_have_count(3)
    shoot(page, screenshots, "welcome", "light", DESKTOP)
    talk(visitor)
    for window in (DESKTOP, TABLET, PHONE):
        for scheme in ("light", "dark"):
            shoot(page, screenshots, "chat", scheme, window)
