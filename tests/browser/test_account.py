"""What people can do with their account and data on the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.visitor import PASSCODE

NEW = "another horse battery staple"


def test_account_screen_manages_logins_passcode_data_and_deletion(visit: Visit) -> None:
    """End another login, change the passcode, download the data, and delete the account."""
    visitor, elsewhere = visit(), visit()
    visitor.register()
    elsewhere.log_in(visitor.id)
    visitor.new_chat("Echo", "remember me")
    visitor.expect_answer()

    page = visitor.page
    page.locator("a.me").click()
    expect(page.locator(".members li")).to_have_count(2)
    page.get_by_role("button", name="End it").click()
    expect(page.locator(".members li")).to_have_count(1)
    expect(elsewhere.page.get_by_text("Your login has ended")).to_be_visible()

    page.locator("[name=password]").fill(PASSCODE)
    page.locator("[name=new-password]").fill(NEW)
    page.get_by_role("button", name="Change it").click()
    expect(page.locator(".notice", has_text="The passcode is changed")).to_be_visible()
    with page.expect_download() as data:
        page.get_by_role("button", name="Download").click()
    everything = json.loads(Path(data.value.path()).read_text())
    assert everything["account"]["id"] == visitor.id
    assert "remember me" in json.dumps(everything["sessions"])

    page.get_by_role("button", name="Delete the account").click()
    dialog = page.locator("dialog")
    dialog.locator("[name=password]").fill(NEW)
    dialog.get_by_role("button", name="Delete it permanently").click()
    expect(page.get_by_role("heading", name="Make an account")).to_be_visible()
    assert visitor.page.evaluate("Object.keys(localStorage).filter((key) => key.includes('user'))") == []


@pytest.mark.usefixtures("own_settings")
def test_guest_can_become_a_permanent_account(visit: Visit) -> None:
    """In the compact page the first message creates a guest account; a passcode turns it into a permanent one."""
    visitor = visit()
    page = visitor.page
    visitor.open("/chat/embed")
    visitor.say("hello as a guest")
    expect(visitor.expect_answer().locator(".md")).to_contain_text("hello as a guest")
    stored = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert "eyJ" not in stored  # no token

    visitor.menu("Keep this account")
    page.locator("[name=new-password]").fill(PASSCODE)
    page.get_by_role("button", name="Change it").click()
    expect(page.locator(".notice")).to_contain_text("Your name is guest-")
    name = page.locator("#account-title").inner_text()
    page.get_by_role("button", name="Back to the chats").click()
    visitor.expect_answer()

    visitor.open()
    page.locator(".switch").click()
    page.locator("[name=username]").fill(name)
    page.locator("[name=password]").fill(PASSCODE)
    page.locator("form .primary").click()
    page.locator(".chat-link").click()
    expect(visitor.expect_answer().locator(".md")).to_contain_text("hello as a guest")


def test_tabs_log_in_and_out_together(visit: Visit) -> None:
    """Login and logout in one tab apply to all tabs of the browser."""
    visitor = visit()
    other = visitor.tab()
    other.goto(visitor.url + "/chat/")
    expect(other.locator("[name=username]")).to_be_visible()
    visitor.register()
    expect(other.locator(".shell")).to_be_visible()
    other.locator("a.me").click()
    other.get_by_role("button", name="Log out", exact=True).click()
    expect(visitor.page.locator("[name=username]")).to_be_visible()
    expect(other.locator("[name=username]")).to_be_visible()
