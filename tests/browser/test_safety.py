"""What a script that got into the page could do, and what the page does by itself: nothing, and nothing."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from tests.browser.conftest import Visit

IMAGE = "https://images.example/cat.png"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c6360000200000500017a5eab"
    "3f0000000049454e44ae426082"
)


def test_a_login_cannot_be_carried_off(visit: Visit) -> None:
    """No token in any storage; the refresh token's cookie is out of the reach of scripts and of other sites."""
    visitor = visit()
    visitor.register()
    visitor.new_chat("Echo", "hello")
    visitor.expect_answer()
    kept = visitor.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in kept
    assert "backchat_refresh" not in kept
    cookies = {each["name"]: each for each in visitor.context.cookies(visitor.url + "/refresh")}
    cookie = cookies["backchat_refresh"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/refresh")
    assert visitor.context.cookies(visitor.url + "/chat/") == []


def test_a_script_that_gets_in_does_not_run(visit: Visit) -> None:
    """No inline script or handler, no foreign script, no `eval`, and no text becomes HTML: the browser itself says no."""
    visitor = visit()
    page = visitor.page
    visitor.open()
    expect(page.locator("form")).to_be_visible()
    for sink in (
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "Object.assign(document.createElement('script'), {text: 'window.__ran = 1'})",
        "Object.assign(document.createElement('script'), {src: 'https://evil.example/x.js'})",
        "document.body.setAttribute('onclick', 'window.__ran = 1')",
        "trustedTypes.createPolicy('mine', {createHTML: (text) => text})",
    ):
        assert (
            page.evaluate(f"(() => {{ try {{ {sink} }} catch (error) {{ return error.name }} }})()") == "TypeError"
        ), sink
    # Text that no sink was asked for: what a parser that was fooled would leave in the page.
    page.evaluate(
        """() => {
          const script = document.createElement('script');
          script.append('window.__ran = 1');
          try { document.body.append(script); } catch {}
        }"""
    )
    page.locator("body").click(position={"x": 2, "y": 2})
    assert page.evaluate("window.__ran") is None
    assert visitor.wrongs
    assert all(wrong.startswith("policy:") for wrong in visitor.wrongs)
    visitor.wrongs.clear()


def test_links_and_images_wait_to_be_asked(visit: Visit) -> None:
    """A link opens elsewhere without a way back; an image is loaded by who clicks it, who is not told where from."""
    visitor = visit()
    asked: list[str | None] = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("referer"))
        route.fulfill(body=PIXEL, content_type="image/png")

    visitor.context.route(IMAGE, answer)
    visitor.register()
    visitor.new_chat("Echo", f"[a link](https://example.org) and ![a cat]({IMAGE})")
    reply = visitor.expect_answer()
    link = reply.get_by_role("link", name="a link")
    expect(link).to_have_attribute("rel", re.compile(r"\bnoopener\b.*\bnoreferrer\b"))
    expect(link).to_have_attribute("target", "_blank")
    show = reply.get_by_role("button", name="Show the image “a cat” from images.example")
    expect(show).to_be_visible()
    assert asked == []
    visitor.friends = (IMAGE,)
    show.click()
    expect(reply.get_by_role("img", name="a cat")).to_have_js_property("naturalWidth", 1)
    assert asked == [None]


def test_the_browser_would_install_it(visit: Visit) -> None:
    """Chromium itself finds nothing wrong with the manifest, and follows the system's colours until told otherwise."""
    visitor = visit(color_scheme="light")
    page = visitor.page
    visitor.open()
    expect(page.locator("form")).to_be_visible()
    devtools = visitor.context.new_cdp_session(page)
    manifest = devtools.send("Page.getAppManifest")
    assert manifest["url"].endswith("/manifest.webmanifest")
    assert manifest["errors"] == []
    errors = devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {each["errorId"] for each in errors} <= {"in-incognito"}  # as each visitor is

    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = ground()
    page.emulate_media(color_scheme="dark")
    dark = ground()
    assert dark != light
    page.get_by_role("button", name="Light").click()
    assert ground() == light
    page.get_by_role("button", name="System").click()
    assert ground() == dark
