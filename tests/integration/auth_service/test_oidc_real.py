"""Login by two real providers: `oidc-provider` on Node.js, and `oidc-provider-mock` on Authlib."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urljoin

import httpx2
import oidc_provider_mock
import pytest

from tests.e2e.test_javascript import HERE, node
from tests.integration.auth_service.conftest import Running, Serve
from tests.integration.auth_service.oidc_flow import REDIRECT, arrive, assert_failed, configured, depart, user_of
from tests.support.oidc_provider import CLIENT, SECRET
from tests.support.ports import free_port

pytestmark = pytest.mark.timeout(180)  # Node.js starts here


@pytest.fixture
def node_provider() -> Iterator[str]:
    port = free_port()
    command = [node(), HERE / "oidc_provider.mjs", str(port), CLIENT, SECRET, REDIRECT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "listening\n"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
async def auth(serve: Serve, node_provider: str) -> AsyncIterator[Running]:
    async with serve(**configured(node_provider)) as service:
        yield service


async def visit(location: str, *, user: str) -> str:
    """Fill in the forms of `oidc-provider` as a person would; without a user, press Cancel."""
    forms = iter([{"prompt": "login", "login": user, "password": "any"}, {"prompt": "consent"}])
    async with httpx2.AsyncClient() as browser:
        answer = await browser.get(location)
        for _ in range(12):
            if answer.is_redirect:
                location = urljoin(location, answer.headers["location"])
                if location.startswith(REDIRECT):
                    return location.removeprefix("http://auth")
                answer = await browser.get(location)
            elif user:
                answer = await browser.post(location, data=next(forms))
            else:
                answer = await browser.get(f"{location}/abort")
    raise AssertionError("the provider did not redirect to Backchat")


async def test_node_provider_names_the_account_by_its_user_info(auth: Running) -> None:
    """The secret has characters that RFC 6749 wants encoded; the ID token has no name at the provider's defaults."""
    for _ in range(2):
        location, cookie = await depart(auth)
        found = await user_of(auth, await arrive(auth, await visit(location, user="ada"), cookie))
        assert found["id"] == "ada.l"


async def test_cancel_at_the_node_provider_returns_to_the_page(auth: Running) -> None:
    location, cookie = await depart(auth)
    assert_failed(await arrive(auth, await visit(location, user=""), cookie), "cancelled")


@pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")  # the provider's use of Authlib
async def test_token_of_authlib_without_kid_is_accepted(serve: Serve) -> None:
    """And its refusal, which lacks `state`."""
    user = oidc_provider_mock.User(sub="ada", claims={"email": "ada.lovelace@example.org", "name": "Ada"})
    with oidc_provider_mock.run_server_in_thread(user_claims=[user]) as server:
        issuer = f"http://localhost:{server.server_port}"
        async with serve(**configured(issuer)) as auth, httpx2.AsyncClient() as browser:
            location, cookie = await depart(auth)
            for form, back in (({"sub": "ada"}, "done"), ({"action": "deny"}, "cancelled")):
                answer = await browser.post(location, data=form)
                path = answer.headers["location"].removeprefix("http://auth")
                if back == "done":
                    assert (await user_of(auth, await arrive(auth, path, cookie)))["id"] == "ada.lovelace"
                else:
                    assert_failed(await arrive(auth, path, cookie), back)
