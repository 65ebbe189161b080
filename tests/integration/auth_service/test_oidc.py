"""Logging in by an OpenID provider, against one that really runs."""

from collections.abc import AsyncIterator, Callable
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from auth_service.settings import AuthSettings
from tests.integration.auth_service.conftest import GOOD, Running, Serve
from tests.integration.auth_service.test_routes import assert_problem
from tests.support.oidc_provider import CLIENT, SECRET, Faults
from tests.support.ports import free_port

REDIRECT = "http://auth/oidc/callback"

pytestmark = pytest.mark.timeout(180)  # an interpreter starts here


def configured(issuer: str, **more: Any) -> dict[str, Any]:
    ours = {"oidc_client_id": CLIENT, "oidc_client_secret": SECRET, "oidc_redirect_uri": REDIRECT}
    return {"oidc_issuer": issuer, **ours, **more}


@pytest.fixture
async def auth(serve: Serve, provider: str) -> AsyncIterator[Running]:
    async with serve(**configured(provider)) as service:
        yield service


async def depart(auth: Running, path: str = "/oidc/login") -> tuple[str, str]:
    """Where the provider is, and the cookie."""
    answer = await auth.client.get(path)
    assert answer.status_code == 303, answer.text
    cookie = SimpleCookie(answer.headers["set-cookie"])["backchat_oidc"]
    assert (cookie["path"], cookie["httponly"], cookie["samesite"], cookie["max-age"]) == ("/oidc", True, "lax", "600")
    auth.client.cookies.clear()
    return answer.headers["location"], cookie.value


async def approve(location: str, user: str, fault: str = "") -> str:
    """The path and query that the provider sends the browser back to."""
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(location, params={**_query(location), "user": user, "fault": fault})
    assert answer.status_code == 302, answer.text
    assert answer.headers["location"].startswith(REDIRECT)
    return answer.headers["location"].removeprefix("http://auth")


def _query(location: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def arrive(auth: Running, path: str, cookie: str) -> httpx2.Response:
    return await auth.client.get(path, headers={"Cookie": f"backchat_oidc={cookie}"})


async def log_in(auth: Running, user: str, fault: str = "", path: str = "/oidc/login") -> httpx2.Response:
    location, cookie = await depart(auth, path)
    return await arrive(auth, await approve(location, user, fault), cookie)


async def user_of(auth: Running, answer: httpx2.Response) -> dict[str, Any]:
    """Who the page is after it has used its cookie, as a browser would."""
    assert answer.status_code == 303, answer.text
    cookies = SimpleCookie("; ".join(line.partition(";")[0] for line in answer.headers.get_list("set-cookie")))
    headers = {"X-Backchat-Session": "cookie", "Origin": "http://auth"}
    headers["Cookie"] = f"backchat_refresh={cookies['backchat_refresh'].value}"
    auth.client.cookies.clear()
    refreshed = await auth.client.post("/refresh", headers=headers)
    assert refreshed.status_code == 200, refreshed.text
    found: dict[str, Any] = (await auth.ask("GET", "/me", refreshed.json())).json()
    auth.client.cookies.clear()
    return found


async def test_somebody_new_gets_an_account_and_comes_back_to_it(auth: Running) -> None:
    answer = await log_in(auth, "Ada Lovelace@example.org")
    assert answer.headers["location"] == "/chat/#logged-in"
    first = await user_of(auth, answer)
    assert (first["id"], first["roles"]) == ("ada-lovelace", ["user"])
    assert await user_of(auth, await log_in(auth, "Ada Lovelace@example.org")) == first
    assert_problem(await auth.login("ada-lovelace"), 401, "invalid_credentials")


async def test_a_name_that_is_taken_takes_over_nobody_s_account(auth: Running) -> None:
    """Accounts are linked by issuer and subject, never by a name."""
    await auth.register("grace")
    found = await user_of(auth, await log_in(auth, "grace"))
    assert found["id"].startswith("grace-")
    assert (await auth.login("grace")).status_code == 200


@pytest.mark.parametrize("fault", [*Faults.CLAIMS, *Faults.KEYS, "denied"])
async def test_a_wrong_answer_of_the_provider_logs_nobody_in(auth: Running, fault: str) -> None:
    answer = await log_in(auth, "ada", fault)
    assert_problem(answer, 401, "invalid_credentials")
    assert "set-cookie" not in answer.headers


async def test_only_the_browser_that_began_can_end(auth: Running) -> None:
    """Another browser's cookie, none, a changed one, another state, and a code that was used."""
    location, cookie = await depart(auth)
    back = await approve(location, "ada")
    _, strange = await depart(auth)
    for other in ("", strange, cookie[:-2], cookie.replace(".", "x."), "x.y", "." + cookie):
        assert_problem(await arrive(auth, back, other), 422, "invalid_request")
    for changed in (back.replace("state=", "state=x"), back.replace("state=", "old="), "/oidc/callback"):
        assert_problem(await arrive(auth, changed, cookie), 422, "invalid_request")
    assert_problem(await arrive(auth, back.replace("iss=http", "iss=evil"), cookie), 401, "invalid_credentials")
    assert (await arrive(auth, back, cookie)).status_code == 303
    assert_problem(await arrive(auth, back, cookie), 401, "invalid_credentials")


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
async def test_nobody_is_sent_to_another_site(auth: Running, target: str, gone_to: str) -> None:
    path = str(httpx2.URL("/oidc/login", params={"next": target}))
    answer = await log_in(auth, "ada", path=path)
    assert answer.headers["location"] == gone_to + "#logged-in"


async def test_who_was_deleted_begins_anew_and_who_is_disabled_stays_out(auth: Running) -> None:
    answer = await log_in(auth, "joan")
    cookies = SimpleCookie("; ".join(line.partition(";")[0] for line in answer.headers.get_list("set-cookie")))
    headers = {"X-Backchat-Session": "cookie", "Origin": "http://auth"}
    headers["Cookie"] = f"backchat_refresh={cookies['backchat_refresh'].value}"
    auth.client.cookies.clear()
    tokens = (await auth.client.post("/refresh", headers=headers)).json()
    form = {"new_passcode": GOOD}
    assert_problem(await auth.ask("PUT", "/me/passcode", tokens, json=form), 403, "forbidden")
    assert (await auth.ask("DELETE", "/me", tokens)).status_code == 204
    auth.client.cookies.clear()
    assert (await user_of(auth, await log_in(auth, "joan")))["id"].startswith("joan-")


async def test_a_page_is_told_that_there_is_a_provider(auth: Running) -> None:
    assert (await auth.client.get("/oidc/provider")).json() == {"provider": "127.0.0.1"}


async def test_without_a_provider_there_is_no_such_login(serve: Serve) -> None:
    async with serve() as auth:
        assert (await auth.client.get("/oidc/provider")).json() == {"provider": None}
        for path in ("/oidc/login", "/oidc/callback?code=x&state=y"):
            assert_problem(await auth.client.get(path), 404, "not_found")


async def test_a_provider_that_is_away_is_unavailable(serve: Serve) -> None:
    async with serve(**configured(f"http://127.0.0.1:{free_port()}")) as auth:
        assert_problem(await auth.client.get("/oidc/login"), 503, "unavailable")


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
def test_half_a_provider_is_refused_at_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="oidc"):
        AuthSettings(**configured("https://provider.example", **wrong))
