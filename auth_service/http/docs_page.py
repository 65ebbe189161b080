"""The page `/docs`: the OpenAPI document as plain HTML, without scripts and further requests."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any

STYLE = """
html { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; border-top: 1px solid #8888; padding-top: 1rem }
code, pre { font: 14px/1.5 ui-monospace, monospace }
pre { overflow-x: auto; border: 1px solid #8888; border-radius: 4px; padding: .75rem }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render(description: dict[str, Any]) -> str:
    """Render an OpenAPI document."""
    info, schemas = description["info"], description.get("components", {}).get("schemas", {})
    title = escape(f"{info['title']} {info['version']}")
    operations = "".join(
        _operation(method, path, operation, schemas)
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f'<body><h1>{title}</h1><p>OpenAPI: <a href="openapi.json">openapi.json</a></p>{operations}</body></html>'
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"]
    parts.append(f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>")
    if operation.get("security"):
        parts.append("<p>Needs <code>Authorization: Bearer</code>.</p>")
    if body := operation.get("requestBody"):
        parts.append(f"<h3>Body</h3>{_content(body, schemas)}")
    for status, answer in operation["responses"].items():
        parts.append(f"<h3>{escape(status)}</h3><p>{escape(answer['description'])}</p>")
        if status.startswith("2"):
            parts.append(_content(answer, schemas))
    return "".join(parts)


def _content(holder: dict[str, Any], schemas: dict[str, Any]) -> str:
    return "".join(
        f"<p><code>{escape(kind)}</code></p><pre>{escape(_schema(content.get('schema', {}), schemas))}</pre>"
        for kind, content in holder.get("content", {}).items()
    )


def _schema(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    if reference := schema.get("$ref"):
        schema = schemas[reference.rpartition("/")[2]]
    return json.dumps(schema, indent=2, ensure_ascii=False)
