"""Logging in by an OpenID provider, against one that really runs."""

from collections.abc import AsyncIterator, Callable
from http.cookies import SimpleCookie
from typing import Any

import httpx2
import pytest

from auth_service.settings import AuthSettings
from tests.integration.auth_service.conftest import GOOD, Running, Serve, assert_problem
from tests.integration.auth_service.oidc_flow import (
    approve,
    arrive,
    assert_failed,
    configured,
    cookies_of,
    depart,
    log_in,
    page_headers,
    user_of,
)
from tests.support.oidc_provider import Faults
from tests.support.ports import free_port


@pytest.fixture
async def auth(serve: Serve, provider: str) -> AsyncIterator[Running]:
    async with serve(**configured(provider)) as service:
        yield service


async def test_new_identity_gets_an_account_and_finds_it_again(auth: Running) -> None:
    answer = await log_in(auth, "Ada Lovelace@example.org")
    assert answer.headers["location"] == "/chat/#logged-in"
    first = await user_of(auth, answer)
    assert (first["id"], first["roles"]) == ("ada-lovelace", ["user"])
    assert await user_of(auth, await log_in(auth, "Ada Lovelace@example.org")) == first
    assert_problem(await auth.login("ada-lovelace"), 401, "invalid_credentials")


async def test_identity_with_a_taken_name_gets_an_account_of_another_id(auth: Running) -> None:
    """Accounts are linked by issuer and subject, never by a name."""
    await auth.register("grace")
    found = await user_of(auth, await log_in(auth, "grace"))
    assert found["id"].startswith("grace-")
    assert (await auth.login("grace")).status_code == 200


@pytest.mark.parametrize("fault", [*Faults.CLAIMS, *Faults.KEYS, "error invalid_scope"])
async def test_invalid_answer_of_the_provider_returns_to_the_page_as_refused(auth: Running, fault: str) -> None:
    assert_failed(await log_in(auth, "ada", fault, "/oidc/login?next=/chat/new"), "refused", "/chat/new")


@pytest.mark.parametrize(
    ("error", "reason"),
    [("access_denied", "cancelled"), ("temporarily_unavailable", "unavailable"), ("server_error", "unavailable")],
)
async def test_error_of_the_provider_returns_to_the_page_with_its_reason(
    auth: Running, error: str, reason: str
) -> None:
    assert_failed(await log_in(auth, "ada", f"error {error}", "/oidc/login?next=/chat/new"), reason, "/chat/new")
    assert_failed(await auth.client.get("/oidc/callback", params={"error": error}), reason)  # without `state`


async def test_cookie_of_a_login_in_progress_is_bound_to_its_path_and_lifetime(auth: Running) -> None:
    answer = await auth.client.get("/oidc/login")
    [cookie] = SimpleCookie(answer.headers["set-cookie"]).values()
    assert cookie.key.startswith("backchat_oidc_")
    assert (cookie["path"], cookie["httponly"], cookie["samesite"], cookie["max-age"]) == ("/oidc", True, "lax", "600")


async def test_several_tabs_of_a_browser_log_in_in_any_order(auth: Running) -> None:
    """Each has its own cookie; the target of each is kept."""
    tabs = [await depart(auth, f"/oidc/login?next=/chat/c/{n}") for n in range(3)]
    cookies = "; ".join(cookie for _, cookie in tabs)
    for n in (1, 2, 0):
        answer = await arrive(auth, await approve(tabs[n][0], "ada"), cookies)
        assert answer.headers["location"] == f"/chat/c/{n}#logged-in"


async def test_cookies_of_abandoned_logins_do_not_accumulate(auth: Running) -> None:
    cookies: dict[str, str] = {"backchat_oidc_forged": "x.y"}
    for _ in range(20):
        header = "; ".join(f"{name}={value}" for name, value in cookies.items())
        answer = await auth.client.get("/oidc/login", headers={"Cookie": header})
        auth.client.cookies.clear()
        cookies = {name: value for name, value in (cookies | cookies_of(answer)).items() if value.strip('"')}
    assert len(cookies) == 8


@pytest.mark.parametrize("name", ["backchat_oidc_(", "backchat_oidc_a b", "backchat_oidc_[x]"])
async def test_cookie_that_cannot_be_deleted_does_not_prevent_a_login(auth: Running, name: str) -> None:
    location, cookie = await depart(auth, cookie=f"{name}=x")
    done = await arrive(auth, await approve(location, "ada"), f"{name}=x; {cookie}")
    assert done.headers["location"] == "/chat/#logged-in"


async def test_login_is_completed_only_by_the_browser_that_started_it(auth: Running) -> None:
    """Refused: the cookie of a second browser, none, a changed one, another state, and a used code."""
    location, cookie = await depart(auth)
    back = await approve(location, "ada")
    _, strange = await depart(auth)
    value = cookie.partition("=")[2]
    for other in ("", strange, cookie[:-2], cookie.replace(value, f"x{value}"), cookie.replace(value, "x.y")):
        assert_failed(await arrive(auth, back, other), "expired")
    for changed in (back.replace("state=", "state=x"), back.replace("state=", "old="), "/oidc/callback"):
        assert_failed(await arrive(auth, changed, cookie), "expired")
    assert_failed(await arrive(auth, back.replace("iss=http", "iss=evil"), cookie), "refused")
    done = await arrive(auth, back, cookie)
    assert done.headers["location"] == "/chat/#logged-in"
    assert cookies_of(done)[cookie.partition("=")[0]].strip('"') == ""
    assert_failed(await arrive(auth, back, cookie), "refused")
    assert_failed(await arrive(auth, back, ""), "expired")  # a reload


async def test_expired_login_returns_to_the_page(auth: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auth_service.oidc.login_state.LIFETIME", -1)
    location, cookie = await depart(auth)
    assert_failed(await arrive(auth, await approve(location, "ada"), cookie), "expired")


@pytest.mark.parametrize(
    ("target", "gone_to"),
    [
        ("/chat/?s=1", "/chat/?s=1"),
        ("https://evil.example", "/chat/"),
        ("//evil.example", "/chat/"),
        ("/\\evil.example", "/chat/"),
        ("/x\r\nSet-Cookie: a=b", "/chat/"),
    ],
)
async def test_login_redirects_only_to_this_site(auth: Running, target: str, gone_to: str) -> None:
    path = str(httpx2.URL("/oidc/login", params={"next": target}))
    answer = await log_in(auth, "ada", path=path)
    assert answer.headers["location"] == gone_to + "#logged-in"


async def test_deleted_account_is_not_linked_again(auth: Running) -> None:
    answer = await log_in(auth, "joan")
    tokens = (await auth.client.post("/refresh", headers=page_headers(answer))).json()
    form = {"new_passcode": GOOD}
    assert_problem(await auth.ask("PUT", "/me/passcode", tokens, json=form), 403, "forbidden")
    assert (await auth.ask("DELETE", "/me", tokens)).status_code == 204
    auth.client.cookies.clear()
    assert (await user_of(auth, await log_in(auth, "joan")))["id"].startswith("joan-")


async def test_page_reads_the_name_of_the_provider(auth: Running) -> None:
    assert (await auth.client.get("/oidc/provider")).json() == {"provider": "127.0.0.1"}


async def test_provider_routes_are_not_found_without_a_provider(serve: Serve) -> None:
    async with serve() as auth:
        assert (await auth.client.get("/oidc/provider")).json() == {"provider": None}
        for path in ("/oidc/login", "/oidc/callback?code=x&state=y"):
            assert_problem(await auth.client.get(path), 404, "not_found")
            assert_failed(await auth.client.get(path, headers={"Accept": "text/html,*/*"}), "unavailable")


async def test_absent_provider_returns_to_the_page_as_unavailable(serve: Serve) -> None:
    async with serve(**configured(f"http://127.0.0.1:{free_port()}")) as auth:
        assert_failed(await auth.client.get("/oidc/login?next=/chat/new"), "unavailable", "/chat/new")


Wrong = Callable[[str], dict[str, Any]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_issuer": "http://provider.example"},
        {"oidc_issuer": "provider.example"},
        {"oidc_redirect_uri": "http://auth/elsewhere"},
        {"oidc_client_id": None},
        {"oidc_redirect_uri": None},
        {"oidc_scopes": "profile"},
        {"oidc_target": "https://evil.example"},
    ],
)
def test_incomplete_provider_settings_are_refused_at_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="oidc"):
        AuthSettings(**configured("https://provider.example", **wrong))
