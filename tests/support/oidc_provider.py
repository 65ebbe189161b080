"""A small OpenID provider in a thread.

It approves every request at once, for the user in the query parameter `user`. The parameter `fault` selects an error in
the ID token. It has one client, `backchat`, with a secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import JWKRegistry, Key, OctKey

from auth_service.oidc.id_tokens import ASYMMETRIC, Signatures

CLIENT, SECRET = "backchat", "the provider knows this + 100 % of it"
KID = "rsa-1"
LIFETIME = 60  # seconds
KEYS: dict[str, tuple[str, str | int]] = {
    "RS": ("RSA", 2048),
    "PS": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "ES256K": ("EC", "secp256k1"),
    "Ed25519": ("OKP", "Ed25519"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed448": ("OKP", "Ed448"),
}


class Faults:
    """Faults of an ID token, by the value of `fault`."""

    CLAIMS: ClassVar[dict[str, dict[str, Any]]] = {
        "nonce": {"nonce": "another"},
        "no nonce": {"nonce": None},
        "audience": {"aud": "somebody-else"},
        "audiences": {"aud": [CLIENT, "somebody-else"]},
        "party": {"azp": "somebody-else"},
        "issuer": {"iss": "http://127.0.0.1:1"},
        "expired": {"exp": 1},
        "future": {"iat": 2**33},
        "no subject": {"sub": None},
        "empty subject": {"sub": ""},
        "long subject": {"sub": "x" * 300},
        "number as subject": {"sub": 7},
    }
    KEYS = ("none", "symmetric", "foreign", "unknown", "foreign without kid")


class Provider(ThreadingHTTPServer):
    """Server with the unused authorization codes. Tests change the public attributes between requests."""

    daemon_threads = True

    def __init__(self, host: str, handler: type[Handler]) -> None:
        super().__init__((host, 0), handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.foreign = JWKRegistry.generate_key("RSA", 2048)
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, dict[str, str]] = {}
        self.metadata: dict[str, Any] = {}
        self.published: list[dict[str, Any]] = []  # keys next to the signing one
        self.id_claims: dict[str, Any] | None = None  # of the ID token, in place of `preferred_username`
        self.user_info: dict[str, Any] | int = {}  # claims, or the status of a refusal
        self.key_requests = self.user_info_requests = 0
        self.sign_with("RS256")

    def sign_with(self, algorithm: str, *, kid: str | None = KID, jwk: dict[str, Any] | None = None) -> None:
        """Replace the signing key; `jwk` has parameters of the published key, `None` removes one."""
        family = KEYS.get(algorithm) or KEYS[algorithm[:2]]
        self.key: Key = JWKRegistry.generate_key(*family)
        self.algorithm, self.kid = algorithm, kid
        parameters = {"kid": KID, "use": "sig", "alg": algorithm, **(jwk or {})}
        self.jwk = {
            **self.key.as_dict(private=False),
            **{name: value for name, value in parameters.items() if value is not None},
        }

    def id_token(self, request: dict[str, str]) -> str:
        now, fault = int(time.time()), request.get("fault", "")
        claims: dict[str, Any] = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + LIFETIME}
        claims |= {"nonce": request["nonce"], "sub": f"subject-{request['user']}"}
        claims |= {"preferred_username": request["user"]} if self.id_claims is None else self.id_claims
        claims |= Faults.CLAIMS.get(fault, {})
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": self.algorithm, "kid": "unknown" if fault == "unknown" else self.kid, "x5c": ["x" * 1_500]}
        key = self.foreign if fault.startswith("foreign") else self.key
        if fault == "foreign without kid":
            header["kid"] = None
        if fault == "none":
            encoded = [json.dumps(each).encode() for each in ({"alg": "none", "kid": KID}, claims)]
            return ".".join(base64.urlsafe_b64encode(each).rstrip(b"=").decode() for each in encoded) + "."
        if fault == "symmetric":
            header["alg"], key = "HS256", OctKey.import_key(SECRET)
        header = {name: value for name, value in header.items() if value is not None}
        return jwt.encode(header, claims, key, registry=Signatures({*ASYMMETRIC, "HS256"}))


class Handler(BaseHTTPRequestHandler):
    """The endpoints of the provider."""

    server: Provider

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        issuer = self.server.issuer
        if address.path == "/.well-known/openid-configuration":
            found = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
            paths = {"jwks_uri": "jwks", **{name: name.partition("_")[0] for name in found}}
            endpoints = {name: f"{issuer}/{path}" for name, path in paths.items()}
            self.answer(200, {"issuer": issuer, **endpoints, **self.server.metadata})
        elif address.path == "/jwks":
            self.server.key_requests += 1
            self.answer(200, {"keys": [*self.server.published, self.server.jwk]})
        elif address.path == "/authorization":
            self.authorize(query)
        elif address.path == "/userinfo":
            self.user_info()
        else:
            self.answer(404, {})

    def authorize(self, query: dict[str, str]) -> None:
        if query.get("client_id") != CLIENT or query.get("response_type") != "code":
            self.answer(400, {"error": "invalid_request"})
            return
        back = {"state": query["state"], "iss": self.server.issuer}
        if query.get("fault", "").startswith("error "):
            back["error"] = query["fault"].removeprefix("error ")
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.server.codes[back["code"]] = query
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{urlencode(back)}")
        self.end_headers()

    def user_info(self) -> None:
        self.server.user_info_requests += 1
        request = self.server.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if request is None or isinstance(self.server.user_info, int):
            self.answer(401 if request is None else int(str(self.server.user_info)), {"error": "invalid_token"})
        else:
            self.answer(200, {"sub": f"subject-{request['user']}", **self.server.user_info})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        request = self.server.codes.pop(form.get("code", ""), None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        proven = request and request["code_challenge"] == digest.rstrip(b"=").decode()
        same = request and request["redirect_uri"] == form.get("redirect_uri")
        if self.client() != (CLIENT, SECRET):
            self.answer(401, {"error": "invalid_client", "error_description": self.headers.get("Authorization")})
        elif not request or not proven or not same:
            self.answer(400, {"error": "invalid_grant"})
        else:
            access_token = secrets.token_urlsafe(16)
            self.server.tokens[access_token] = request
            token = {"access_token": access_token, "token_type": "Bearer", "id_token": self.server.id_token(request)}
            self.answer(200, token)

    def client(self) -> tuple[str, ...]:
        """Return the client id and the secret of HTTP Basic, whose parts are form-encoded (RFC 6749 §2.3.1)."""
        encoded = self.headers.get("Authorization", "").removeprefix("Basic ")
        return tuple(unquote_plus(part) for part in base64.b64decode(encoded).decode().split(":"))

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing."""


@contextmanager
def running_provider(host: str = "127.0.0.1", handler: type[Handler] = Handler) -> Iterator[Provider]:
    """Run a provider on a free port."""
    with Provider(host, handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
