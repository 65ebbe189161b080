"""The web page below `/chat/`: the built files of one directory, read at the start and served from memory.

Clients may cache hashed files permanently; all other files are revalidated, mostly with a 304. Routes of the page, such
as `/chat/c/…`, return the page itself. Paths are looked up in a table, so no path leads out of the directory.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from chat_gateway.http.frame_refusals import FrameRefusals
from shared.errors import MethodNotAllowed, NotFound
from shared.http.problems import problem

PREFIX: Final = "/chat/"
COMPACT: Final = "embed"  # this route and those below it may be shown in a frame by other sites
INDEX: Final = "index.html"
WIDGET: Final = "widget.js"
IMMUTABLE: Final = "public, max-age=31536000, immutable"
REVALIDATE: Final = "no-cache"
CODINGS: Final = (("br", ".br"), ("gzip", ".gz"))  # as the build writes them, best first
DIRECTORIES: Final = (
    Path(__file__).parents[1] / "static",
    Path(__file__).parents[2] / "web" / "dist",
)  # wheel, checkout

for suffix, kind in ((".webmanifest", "application/manifest+json"), (".js", "text/javascript")):
    mimetypes.add_type(kind, suffix)


@dataclass(frozen=True, slots=True)
class File:
    """One file: its bytes by content coding (`""`: not compressed)."""

    media_type: str
    etag: str
    bodies: Mapping[str, bytes]
    cache_control: str

    @classmethod
    def read(cls, path: Path, name: str) -> Self:
        """Read a file and its compressed versions in the same directory."""
        body = path.read_bytes()
        bodies = {"": body}
        for coding, suffix in CODINGS:
            compressed = path.with_name(path.name + suffix)
            if compressed.is_file():
                bodies[coding] = compressed.read_bytes()
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        etag = f'W/"{hashlib.sha256(body).hexdigest()[:24]}"'
        return cls(media_type, etag, bodies, IMMUTABLE if name.startswith("assets/") else REVALIDATE)


class Page:
    """The files below `/chat/` as an ASGI app."""

    def __init__(
        self, directory: Path, frame_ancestors: Iterable[str] = (), refusals: FrameRefusals | None = None
    ) -> None:
        names = (path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
        self._files = {name: File.read(directory / name, name) for name in names if not name.endswith((".br", ".gz"))}
        self._refusals = refusals
        self._policy = policy("'none'")
        self._compact_policy = policy(" ".join(("'self'", *frame_ancestors)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._answer(scope)(scope, receive, send)

    def _answer(self, scope: Scope) -> ASGIApp:
        if scope["method"] not in ("GET", "HEAD"):
            return problem(MethodNotAllowed(), {"Allow": "GET, HEAD"})
        if not scope["path"].startswith(PREFIX):
            return RedirectResponse(PREFIX, 308)
        name = scope["path"].removeprefix(PREFIX)
        file = self._files.get(name)
        if file is None and "." not in name:
            name, file = INDEX, self._files[INDEX]
        if file is None:
            return problem(NotFound("There is no file at this path."))
        is_compact = scope["path"].removeprefix(PREFIX).split("/")[0] == COMPACT
        if is_compact and self._refusals and (refusal := self._refusals.refusal(scope)):
            return refusal
        return self._response(name, file, Headers(scope=scope), self._compact_policy if is_compact else self._policy)

    def _response(self, name: str, file: File, asked: Headers, page_policy: str) -> Response:
        headers = {"ETag": file.etag, "Cache-Control": file.cache_control, "Vary": "Accept-Encoding"}
        if name == INDEX:
            headers["Content-Security-Policy"] = page_policy
        if name == WIDGET:  # pages of other sites load it
            headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        if file.etag in asked.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        coding = best_coding(asked.get("accept-encoding", ""), file.bodies)
        if coding:
            headers["Content-Encoding"] = coding
        return Response(file.bodies[coding], headers=headers, media_type=file.media_type)


def find(
    directory: Path | None, frame_ancestors: Iterable[str] = (), refusals: FrameRefusals | None = None
) -> Page | None:
    """Return the page of a directory, by default that of the wheel or checkout; `None` if it is not built."""
    places = DIRECTORIES if directory is None else (directory,)
    built = next((place for place in places if (place / INDEX).is_file()), None)
    return Page(built, frame_ancestors, refusals) if built else None


def policy(frame_ancestors: str) -> str:
    """Return the content security policy of the page. The page loads images of other hosts only on a click."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' https:",
            "connect-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            f"frame-ancestors {frame_ancestors}",
            "require-trusted-types-for 'script'",
            "trusted-types dompurify",
        )
    )


def best_coding(accepted: str, bodies: Mapping[str, bytes]) -> str:
    """Return the best available coding that `Accept-Encoding` allows; `q=0` excludes a coding."""
    named = {part.split(";")[0].strip().lower(): part for part in accepted.split(",")}
    return next((c for c, _ in CODINGS if c in bodies and c in named and _quality(named[c]) > 0), "")


def prefers_html(accepted: str) -> bool:
    """Return whether an `Accept` header prefers HTML to JSON, as those of browsers do."""
    qualities = {part.split(";")[0].strip().lower(): _quality(part) for part in accepted.split(",")}
    return qualities.get("text/html", 0) > qualities.get("application/json", 0)


def _quality(part: str) -> float:
    """Return the `q` of one part of an `Accept…` header; 0 if it is not a number."""
    value = next((p.split("=", 1)[1] for p in part.replace(" ", "").split(";")[1:] if p.startswith("q=")), "1")
    try:
        return float(value)
    except ValueError:
        return 0
