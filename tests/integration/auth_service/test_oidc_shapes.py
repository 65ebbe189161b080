"""Valid answers of OpenID providers, in the shapes that real ones have, from a server that really runs."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import structlog

from tests.integration.auth_service.conftest import Running, Serve
from tests.integration.auth_service.oidc_flow import approve, arrive, assert_failed, configured, depart, log_in, user_of
from tests.support.oidc_provider import KEYS, SECRET, Provider, running_provider

ALGORITHMS = sorted({*KEYS} - {"RS", "PS"} | {f"{family}{size}" for family in ("RS", "PS") for size in (256, 384, 512)})


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as server:
        yield server


@pytest.fixture
async def auth(serve: Serve, provider: Provider) -> AsyncIterator[Running]:
    async with serve(**configured(provider.issuer)) as service:
        yield service


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_asymmetric_algorithm_of_the_list_is_verified(
    auth: Running, provider: Provider, algorithm: str
) -> None:
    """With the key's `alg`, without it, and under both names of the Edwards curves (RFC 9864)."""
    provider.metadata = {"id_token_signing_alg_values_supported": ["HS256", "none", algorithm]}
    jwks: list[dict[str, Any]] = [{}, {"alg": None, "use": None}]
    if algorithm.startswith("Ed"):
        jwks += [{"alg": "EdDSA"}]
    for jwk in jwks:
        provider.sign_with(algorithm, jwk=jwk)
        assert (await user_of(auth, await log_in(auth, "ada")))["id"] == "ada"


async def test_algorithm_that_the_provider_does_not_list_is_refused(auth: Running, provider: Provider) -> None:
    provider.metadata = {"id_token_signing_alg_values_supported": ["RS256", "HS256"]}
    provider.sign_with("ES256")
    assert_failed(await log_in(auth, "ada"), "refused")


async def test_key_verifies_only_its_own_algorithm_and_use(auth: Running, provider: Provider) -> None:
    for jwk in ({"alg": "PS256"}, {"use": "enc"}):
        provider.sign_with("RS256", jwk=jwk)
        provider.published = [{"kty": "OKP", "crv": "X25519", "x": "AA"}, provider.foreign.as_dict(private=False)]
        assert_failed(await log_in(auth, "ada"), "refused")


@pytest.mark.parametrize("kid", [None, "another"])
@pytest.mark.parametrize("published", ["kid", "no kid"])
async def test_token_without_kid_is_accepted_where_a_key_fits(
    auth: Running, provider: Provider, kid: str | None, published: str
) -> None:
    """A token without `kid`, or a key without one. A `kid` that names no key of the set is refused."""
    provider.sign_with("RS256", kid=kid, jwk={} if published == "kid" else {"kid": None})
    answer = await log_in(auth, "ada")
    if kid and published == "kid":
        assert_failed(answer, "refused")
    else:
        assert (await user_of(auth, answer))["id"] == "ada"


async def test_unusable_keys_of_the_set_are_skipped(auth: Running, provider: Provider) -> None:
    """Unknown types and curves, incomplete and encryption keys, and entries that are no keys."""
    provider.published = [
        {"kty": "AKP", "kid": "rsa-1", "alg": "ML-DSA-44", "pub": "AA"},
        {"kty": "EC", "crv": "P-999", "x": "AA", "y": "AA"},
        {"kty": "RSA", "kid": "rsa-1", "n": "AA"},
        {"kty": "oct", "kid": "rsa-1", "k": "AA"},
        {**provider.jwk, "kid": "rsa-1", "use": "enc"},
        {**provider.jwk, "key_ops": ["sign"], "use": None},
    ]
    provider.published += [None, "key"]  # type: ignore[list-item]
    provider.kid = None
    assert (await user_of(auth, await log_in(auth, "ada")))["id"] == "ada"


@pytest.mark.parametrize("new", ["kid", "same kid", "no kid"])
async def test_key_rotated_at_once_after_a_login_is_accepted(auth: Running, provider: Provider, new: str) -> None:
    """Keys are fetched again if none of the cached ones verifies a token, at most once for a login."""
    await user_of(auth, await log_in(auth, "ada"))
    for _ in range(3):
        before = provider.key_requests
        kid = None if new == "no kid" else "rsa-1" if new == "same kid" else f"rsa-{before + 1}"
        provider.sign_with("RS256", kid=kid, jwk={"kid": kid})
        assert (await user_of(auth, await log_in(auth, "ada")))["id"] == "ada"
        assert provider.key_requests == before + 1
    for _ in range(2):
        await user_of(auth, await log_in(auth, "ada"))
    assert provider.key_requests == before + 1
    assert_failed(await log_in(auth, "ada", "foreign"), "refused")
    assert provider.key_requests == before + 2


NAMES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"preferred_username": "ada.l"}, {"preferred_username": "other"}, "ada.l"),
    ({}, {"preferred_username": "ada.l"}, "ada.l"),
    ({"preferred_username": "??"}, {"preferred_username": "ada.l"}, "ada.l"),
    ({"preferred_username": 7, "email": "x@example.org"}, {"preferred_username": "ada.l"}, "ada.l"),
    ({"preferred_username": "me@example.org"}, {"preferred_username": "ada.l"}, "ada.l"),
    ({"preferred_username": "Me"}, {}, "user"),
    ({"email": "Ada.Lovelace@example.org"}, {}, "ada.lovelace"),
    ({}, {"email": "ada+chat@example.org", "name": "Someone"}, "ada-chat"),
    ({"name": "Ada Lovelace"}, {"email": "a.l@example.org"}, "a.l"),
    ({"name": "Ada Lovelace"}, {}, "ada-lovelace"),
    ({}, {"name": "Zoë Ångström"}, "zoe-angstrom"),
    ({}, {"name": "Анна Каренина"}, "anna-karenina"),
    ({}, {"name": "Ελένη"}, "eleni"),
    ({}, {"name": "李明"}, "liming"),
    ({"preferred_username": "jürgen@example.org"}, {}, "jurgen"),
    ({}, {"name": "x" * 100}, "x" * 48),
    ({"name": "--"}, {"email": None}, "user"),
    ({}, {}, "user"),
]


@pytest.mark.parametrize(("in_token", "in_user_info", "user_id"), NAMES)
async def test_new_account_is_named_by_the_best_claim(
    auth: Running, provider: Provider, in_token: dict[str, Any], in_user_info: dict[str, Any], user_id: str
) -> None:
    """Of the ID token, else of the user info; user info is requested for a new account only, if it is needed."""
    provider.id_claims, provider.user_info = in_token, in_user_info
    for _ in range(2):
        assert (await user_of(auth, await log_in(auth, "ada")))["id"] == user_id
    named = in_token.get("preferred_username") in ("ada.l", "jürgen@example.org")
    assert provider.user_info_requests == (0 if named else 1)


@pytest.mark.parametrize("subject", ["another", "", None, 7])
async def test_user_info_about_another_subject_is_refused(auth: Running, provider: Provider, subject: Any) -> None:
    provider.id_claims, provider.user_info = {}, {"sub": subject, "preferred_username": "eve"}
    assert_failed(await log_in(auth, "ada"), "refused")


@pytest.mark.parametrize(("status", "reason"), [(401, None), (403, None), (503, "unavailable")])
async def test_refused_user_info_leaves_the_name_of_the_id_token(
    auth: Running, provider: Provider, status: int, reason: str | None
) -> None:
    """A user info endpoint that has failed makes the login unavailable: an id is permanent."""
    provider.id_claims, provider.user_info = {"email": "ada.l@example.org"}, status
    answer = await log_in(auth, "ada")
    if reason:
        assert_failed(answer, reason)
    else:
        assert (await user_of(auth, answer))["id"] == "ada.l"


async def test_refusals_are_logged_with_their_reason_and_without_secrets(serve: Serve, provider: Provider) -> None:
    wrong = "a secret + of 100 % entropy"
    async with serve(**configured(provider.issuer, oidc_client_secret=wrong)) as auth:
        with structlog.testing.capture_logs() as logs:
            location, cookie = await depart(auth)
            back = await approve(location, "ada")
            assert_failed(await arrive(auth, back, cookie), "refused")
    [line] = [line for line in logs if line["event"] == "provider_request.refused"]
    assert (line["endpoint"], line["status"], line["error"]) == ("/token", 401, "invalid_client")
    text = json.dumps(logs, default=str)
    for secret in (wrong, SECRET, "Basic", back.partition("code=")[2].partition("&")[0]):
        assert secret not in text


async def test_invalid_id_token_is_logged_with_the_claim(auth: Running) -> None:
    with structlog.testing.capture_logs() as logs:
        await log_in(auth, "ada", "audience")
        await log_in(auth, "ada", "foreign")
    lines = [(line["reason"], line["claim"]) for line in logs if line["event"] == "id_token.refused"]
    assert lines == [("InvalidClaimError", "aud"), ("BadSignatureError", None)]
