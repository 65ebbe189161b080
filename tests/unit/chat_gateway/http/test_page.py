"""The page's files: which are served how, to whom, and what a path can reach."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from chat_gateway.http.page import Page, best_coding, find, prefers_html

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    files = {
        "index.html": "<!doctype html>page",
        "widget.js": "widget",
        "icon.svg": "<svg/>",
        "manifest.webmanifest": "{}",
        "assets/base-1a2b.js": "code" * 100,
    }
    for name, text in files.items():
        path = tmp_path / "dist" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    code = tmp_path / "dist" / "assets" / "base-1a2b.js"
    code.with_name("base-1a2b.js.gz").write_bytes(gzip.compress(code.read_bytes()))
    (tmp_path / "secret").write_text("not for you")
    return tmp_path / "dist"


@pytest.fixture
def client(directory: Path) -> TestClient:
    return TestClient(Page(directory, ["https://shop.example"]), follow_redirects=False)


@pytest.mark.parametrize(
    "path", ["/chat/", "/chat/c/0197", "/chat/new", "/chat/join", "/chat/embed", "/chat/index.html"]
)
def test_routes_of_the_page_return_the_page(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "<!doctype html>page")
    assert answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


def test_only_the_compact_page_may_be_framed(client: TestClient) -> None:
    def ancestors(path: str) -> str:
        policy = client.get(path).headers["content-security-policy"]
        return next(part for part in policy.split("; ") if part.startswith("frame-ancestors"))

    assert ancestors("/chat/") == "frame-ancestors 'none'"
    assert ancestors("/chat/embedded") == "frame-ancestors 'none'"
    assert ancestors("/chat/embed") == ancestors("/chat/embed/c/1") == "frame-ancestors 'self' https://shop.example"


def test_hashed_files_are_immutable_and_compressed(client: TestClient) -> None:
    answer = client.get("/chat/assets/base-1a2b.js", headers={"accept-encoding": "gzip, br"})
    assert answer.text == "code" * 100
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]


def test_unchanged_file_is_not_sent_again(client: TestClient) -> None:
    etag = client.get("/chat/").headers["etag"]
    answer = client.get("/chat/", headers={"if-none-match": f'"other", {etag}'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_widget_may_be_loaded_by_other_sites(client: TestClient) -> None:
    assert client.get("/chat/widget.js").headers["cross-origin-resource-policy"] == "cross-origin"
    assert "cross-origin-resource-policy" not in client.get("/chat/icon.svg").headers


@pytest.mark.parametrize(
    "path",
    [
        "/chat/nothing.js",
        "/chat/assets/base-1a2b.js.gz",
        "/chat/%2e%2e/secret.txt",
        "/chat/..%2fsecret.txt",
        "/chat//etc/passwd.txt",
    ],
)
def test_unknown_paths_are_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/chat/..%2fsecret", "/chat/%2e%2e/secret", "/chat//secret"])
def test_no_path_leads_out_of_the_directory(client: TestClient, path: str) -> None:
    assert "not for you" not in client.get(path).text


def test_other_methods_are_refused_and_the_bare_path_redirects(client: TestClient) -> None:
    assert client.post("/chat/").status_code == 405
    assert client.head("/chat/").status_code == 200
    assert client.get("/chat").headers["location"] == "/chat/"


def test_no_page_is_found_if_none_was_built(tmp_path: Path) -> None:
    assert find(tmp_path) is None


@pytest.mark.parametrize(
    ("accepted", "prefers"),
    [
        (BROWSER, True),
        ("text/html", True),
        ("*/*", False),
        ("", False),
        ("application/json", False),
        ("application/json, text/html;q=0.5", False),
        ("text/html;q=nonsense", False),
    ],
)
def test_browsers_prefer_the_page(accepted: str, *, prefers: bool) -> None:
    assert prefers_html(accepted) is prefers


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("", ""), ("*", ""), ("identity", "")],
)
def test_best_accepted_coding_is_chosen(accepted: str, coding: str) -> None:
    assert best_coding(accepted, {"": b"", "br": b"", "gzip": b""}) == coding
