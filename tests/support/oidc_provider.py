"""A small OpenID provider as a separate process: `python -m tests.support.oidc_provider PORT`.

It approves every request at once, for the user in the query parameter `user`. The parameter `fault` selects an error in
the ID token. It has one client, `backchat`, with a secret.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT, SECRET = "backchat", "the provider knows this one"
KID = "rsa-1"
LIFETIME = 60  # seconds


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
        "no subject": {"sub": None},
        "empty subject": {"sub": ""},
        "long subject": {"sub": "x" * 300},
    }
    KEYS = ("none", "symmetric", "foreign", "unknown")


class Provider(ThreadingHTTPServer):
    """Server with the unused authorization codes."""

    daemon_threads = True

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.key, self.foreign = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        self.codes: dict[str, dict[str, str]] = {}

    def id_token(self, request: dict[str, str]) -> str:
        now, fault = int(time.time()), request.get("fault", "")
        claims: dict[str, Any] = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + LIFETIME}
        claims |= {
            "nonce": request["nonce"],
            "sub": f"subject-{request['user']}",
            "preferred_username": request["user"],
        }
        claims |= Faults.CLAIMS.get(fault, {})
        claims = {name: value for name, value in claims.items() if value is not None}
        if fault == "none":
            return jwt.encode(claims, None, algorithm="none", headers={"kid": KID})
        if fault == "symmetric":
            return jwt.encode(claims, SECRET + "-" * 16, algorithm="HS256", headers={"kid": KID})
        kid = "unknown" if fault == "unknown" else KID
        return jwt.encode(claims, self.foreign if fault == "foreign" else self.key, "RS256", headers={"kid": kid})


class Handler(BaseHTTPRequestHandler):
    """The four endpoints of the provider."""

    server: Provider

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        issuer = self.server.issuer
        if address.path == "/.well-known/openid-configuration":
            found = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            self.answer(200, {"issuer": issuer, **{name: f"{issuer}/{path}" for name, path in found.items()}})
        elif address.path == "/jwks":
            jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self.server.key.public_key(), as_dict=True)
            self.answer(200, {"keys": [{**jwk, "kid": KID, "use": "sig", "alg": "RS256"}]})
        elif address.path == "/authorize":
            self.authorize(query)
        else:
            self.answer(404, {})

    def authorize(self, query: dict[str, str]) -> None:
        if query.get("client_id") != CLIENT or query.get("response_type") != "code":
            self.answer(400, {"error": "invalid_request"})
            return
        back = {"state": query["state"], "iss": self.server.issuer}
        if query.get("fault") == "denied":
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.server.codes[back["code"]] = query
        self.send_response(302)
        self.send_header("Location", f"{query['redirect_uri']}?{urlencode(back)}")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        request = self.server.codes.pop(form.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        proven = request and request["code_challenge"] == digest.rstrip(b"=").decode()
        same = request and request["redirect_uri"] == form.get("redirect_uri")
        if self.headers.get("Authorization") != f"Basic {basic}":
            self.answer(401, {"error": "invalid_client"})
        elif not request or not proven or not same:
            self.answer(400, {"error": "invalid_grant"})
        else:
            token = {"access_token": "x", "token_type": "Bearer", "id_token": self.server.id_token(request)}
            self.answer(200, token)

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: Any) -> None:
        """Log nothing."""


if __name__ == "__main__":
    Provider(int(sys.argv[1])).serve_forever()
