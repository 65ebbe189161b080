"""`tools/audit` against a local vulnerability service with the protocols of OSV and npm."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[3]
VULNERABLE = "uvicorn"
VULNERABLE_NPM = "marked"
PATH = f"{os.defpath}:/usr/local/bin:{ROOT}/.venv/node"

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(not (ROOT / ".venv/bin/pip-audit").exists(), reason="pip-audit is not in the environment"),
]


class Service(ThreadingHTTPServer):
    """Reports one vulnerability of each kind and records the requested packages."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    """Handles one request."""

    server: Service

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(gzip.decompress(raw) if self.headers.get("content-encoding") == "gzip" else raw)
        if self.path == "/v1/query":
            name = asked["package"]["name"]
            self.server.asked.add(name)
            self._answer({"vulns": [OSV]} if name == VULNERABLE else {})
        elif self.path == "/-/npm/v1/security/advisories/bulk":
            self.server.asked |= asked.keys()
            known = VULNERABLE_NPM in asked
            self._answer({VULNERABLE_NPM: [ADVISORY]} if known else {})
        else:
            self.send_error(404)

    def do_GET(self) -> None:
        """Answer with the versions of a package, which npm searches for dependents of the vulnerable one."""
        name = self.path.strip("/")
        self._answer({"name": name, "dist-tags": {}, "versions": {}})

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _answer(self, body: Any) -> None:
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


OSV = {
    "id": "OSV-TEST-1",
    "summary": "made up",
    "affected": [
        {
            "package": {"name": VULNERABLE, "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}],
        }
    ],
}
ADVISORY = {
    "id": 1,
    "url": "https://advisories.example/NPM-TEST-1",
    "title": "made up",
    "severity": "high",
    "vulnerable_versions": "<99",
    "cwe": [],
    "cvss": {"score": 0, "vectorString": None},
}


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def audit(url: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the audit without a cache and with the given service only."""
    environment = {"PATH": PATH, "HOME": str(home), "npm_config_registry": url, "npm_config_fetch_retries": "0"}
    return subprocess.run(
        [ROOT / "tools/audit", "--osv", f"{url}/v1/query"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.mark.skipif(not shutil.which("npm", path=PATH), reason="there is no npm")
def test_known_vulnerability_fails_the_audit(service: Service, tmp_path: Path) -> None:
    """All packages of the locks are requested; each finding is named with the version that fixes it."""
    ended = audit(service.url, tmp_path)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    found = [line for line in ended.stdout.splitlines() if "VULNERABLE" in line]
    assert len(found) == 2, ended.stdout
    assert any(VULNERABLE in line and "OSV-TEST-1" in line and "99.1" in line for line in found)
    assert any(VULNERABLE_NPM in line and "NPM-TEST-1" in line for line in found)
    assert {"fastapi", "sqlalchemy", "pyjwt", "pytest", "socket.io-client", "preact"} <= service.asked
    assert len(service.asked) > 100
    assert ended.stdout.count(" 0 known vulnerabilities") == 4


def test_audit_without_an_answering_service_says_so(tmp_path: Path) -> None:
    """No process listens on the port."""
    ended = audit(f"http://127.0.0.1:{free_port()}", tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 2
    assert all("not audited, no vulnerability service answers" in line for line in lines)
