"""Response headers below `/v1` that pages of other origins may read: auth and the gateway both serve routes there."""

from __future__ import annotations

EXPOSED = "Location, Preference-Applied, Retry-After, ETag, Content-Range, Content-Disposition"
