"""Schemathesis on the interface description: no server error, nothing undocumented (`FUZZ_EXAMPLES` for a longer run)."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.support.children import PLAIN_ENVIRONMENT
from tests.support.oidc_provider import CLIENT, SECRET
from tests.support.stack import EmbeddedStack, running_stack

EXAMPLES = os.environ.get("FUZZ_EXAMPLES", "3")  # noqa: TID251 - a setting of the tests; of each operation and phase
SHORT = EXAMPLES == "3"
SECONDS = 200 if SHORT else 3_600
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
SETTINGS = {"LIMITS": "off", "GUESTS": "on", "HASHING_QUEUE": "1000", "ACCESS_TOKEN_TTL": "86400"}
FORM = {"id": "fuzz", "passcode": "correct horse"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[EmbeddedStack]:
    """A complete stack, so that no answer needs to be `unavailable`."""
    with running_stack(EmbeddedStack(tmp_path, SETTINGS)) as stack:
        yield stack


@pytest.fixture
def stack_with_provider(tmp_path: Path, provider: str) -> Iterator[EmbeddedStack]:
    """A complete stack that accepts logins of an OpenID provider."""
    ours = {"OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET, "OIDC_REDIRECT_URI": "http://auth/oidc/callback"}
    with running_stack(EmbeddedStack(tmp_path, {**SETTINGS, "OIDC_ISSUER": provider, **ours})) as stack:
        yield stack


def fuzz(stack: EmbeddedStack, directory: Path, *arguments: str, examples: str = EXAMPLES) -> str:
    """Run Schemathesis with the `schemathesis.toml` of the directory, and return its summary."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{stack.auth_url}/openapi.json"]
    command += ["--max-examples", examples, "--seed", "1", "--checks", ",".join(CHECKS), "--no-color", *arguments]
    ended = subprocess.run(
        command, cwd=directory, env=PLAIN_ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    summary = ended.stdout[ended.stdout.find("= SUMMARY =") :]
    print(summary)  # noqa: T201 - the number of cases
    assert ended.returncode == 0, ended.stdout[-4_000:]
    return summary


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("known", [True] if SHORT else [True, False])
def test_routes_answer_as_described(stack: EmbeddedStack, tmp_path: Path, *, known: bool) -> None:
    """Asked with a login (which must not end) and without one."""
    arguments = []
    if known:
        with httpx2.Client(base_url=stack.auth_url, timeout=20) as client:
            assert client.post("/register", json=FORM).status_code == 201
            token = client.post("/login", json=FORM).json()["access_token"]
        arguments = ["-H", f"Authorization: Bearer {token}"]
    arguments += ["--exclude-path-regex", "^/(logout|v1/)" if known else "^/v1/"]
    summary = fuzz(stack, tmp_path, *arguments)
    assert re.search(r"✅ +Stateful", summary), "registering, logging in and refreshing are linked"
    assert int(re.findall(r"(\d+) generated", summary)[0]) > 100


@pytest.mark.timeout(SECONDS + 60)
def test_login_through_a_provider_redirects_after_any_request(
    stack_with_provider: EmbeddedStack, tmp_path: Path
) -> None:
    """Asked by a browser that has started a login, so that its codes reach the provider, which refuses them."""
    with httpx2.Client(base_url=stack_with_provider.auth_url, timeout=20) as client:
        begun = client.get("/oidc/login")
    cookie = begun.headers["set-cookie"].partition(";")[0]
    [state] = parse_qs(urlsplit(begun.headers["location"]).query)["state"]
    (tmp_path / "schemathesis.toml").write_text(f'[parameters]\n"query.state" = "{state}"\n')
    only = ["-H", f"Cookie: {cookie}", "--include-path-regex", "^/oidc/", "--phases", "coverage,fuzzing"]
    report = ["--report", "har", "--report-har-path", "asked.har"]
    fuzz(stack_with_provider, tmp_path, *only, *report, examples="10" if SHORT else EXAMPLES)
    entries = json.loads((tmp_path / "asked.har").read_text())["log"]["entries"]
    answers = {(urlsplit(each["request"]["url"]).path, each["response"]["status"]) for each in entries}
    assert answers >= {("/oidc/login", 303), ("/oidc/callback", 303)}
    headers = [header for each in entries for header in each["response"]["headers"]]
    failures = {urlsplit(each["value"]).fragment for each in headers if each["name"].lower() == "location"}
    assert "login-error=refused" in failures
