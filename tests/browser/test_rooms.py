"""Several people and chatbots in one chat."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit


def test_invited_users_see_typing_reads_and_replies(visit: Visit) -> None:
    """An invite link adds a new user; both see typing, read marks, and replies to mentions."""
    ada, grace = visit(), visit()
    ada.register()
    ada.new_chat("Echo", "hello")
    ada.expect_answer()
    ada.page.locator(".everybody").click()
    ada.page.get_by_role("button", name="Add Eliza").click()
    link = ada.invite()

    grace.register(link.removeprefix(grace.url))
    expect(grace.replies).to_have_count(1)
    expect(ada.page.locator(".everybody .avatar")).to_have_count(4)
    expect(ada.page.locator(".everybody .avatar.here")).to_have_count(1)
    assert all("#" not in request for request in grace.requests)

    grace.writing.press_sequentially("what do you think, @eli")
    expect(ada.page.locator(".typing")).to_contain_text(f"{grace.id} is typing")
    expect(grace.page.locator(".mentions")).to_contain_text("Eliza")
    grace.writing.press("Enter")  # accepts the suggestion
    expect(grace.writing).to_have_value("what do you think, @eliza ")
    grace.writing.press("Enter")
    for visitor in (ada, grace):
        expect(visitor.replies.last).to_contain_text("Eliza")
    expect(ada.page.locator(".row.other")).to_contain_text(grace.id)
    expect(ada.page.locator(".readers")).to_contain_text(grace.id)
    expect(ada.page.locator(".typing")).to_have_count(0)

    ada.page.locator(".everybody").click()
    ada.page.get_by_role("button", name=f"Remove {grace.id}").click()
    expect(grace.page.get_by_role("heading", name="This chat does not exist")).to_be_visible()
    expect(grace.page.locator(".chat-link")).to_have_count(0)
