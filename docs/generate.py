"""Write the generated pages of the reference: configuration, events, OpenAPI, AsyncAPI (`make docs`).

`render()` gives path → text, so that a test can compare them with what is committed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

import auth_service.app
import auth_service.settings
import chat_gateway.http.api.openapi
import chat_gateway.protocol.asyncapi
import chat_gateway.settings
import chatbot_worker.settings
import embedded.settings
import persistence_worker.settings
import shared.http.openapi
from docs import events_page
from shared.runtime import unknown_settings
from shared.runtime.settings import PREFIX

REFERENCE = Path(__file__).parent / "reference"
PROCESSES: dict[str, type[BaseSettings]] = {
    "embedded": embedded.settings.EmbeddedSettings,
    "auth_service": auth_service.settings.AuthProcessSettings,
    "chat_gateway": chat_gateway.settings.GatewayProcessSettings,
    "persistence_worker": persistence_worker.settings.PersistenceProcessSettings,
    "chatbot_worker": chatbot_worker.settings.ChatbotProcessSettings,
}
# The embedded process reads the settings of all four services and its own.
EMBEDDED: tuple[type[BaseSettings], ...] = (
    auth_service.settings.AuthSettings,
    chat_gateway.settings.GatewaySettings,
    persistence_worker.settings.PersistenceSettings,
    chatbot_worker.settings.ChatbotSettings,
)
HEAD = """# Configuration

Generated from the settings models by `make docs`; do not edit.

The environment is the only configuration. A wrong or missing value is one line that names the variable, and exit
code 2.
"""


# Read by deploy/ and docker-compose.yml, so that an `.env` for the composed stack may be given to a process.
COMPOSED = {
    *("CHATBOTS_DIR", "FRAME_ANCESTORS", "GRAFANA_PORT", "IMAGE", "MODEL_IMAGE", "PUBLISH", "PULL_POLICY", "SECRETS"),
    *("SITE", "PAGE_DIR"),
}


def setting_names() -> str:
    """Return the names of the variables of all processes, one a line."""
    models = {*PROCESSES.values(), *EMBEDDED}
    names = {name.upper() for model in models for name in model.model_fields} | COMPOSED
    return "".join(f"{PREFIX}{name}\n" for name in sorted(names))


def render() -> dict[Path, str]:
    """Return the text of every generated page by its path."""
    return {
        REFERENCE / "configuration.md": configuration(),
        unknown_settings.NAMES: setting_names(),
        REFERENCE / "events.md": events_page.render(),
        REFERENCE / "openapi.json": (whole := _json(openapi())),
        shared.http.openapi.FILE: whole,
        REFERENCE / "asyncapi.json": _json(chat_gateway.protocol.asyncapi.document()),
    }


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the origin: the routes of auth and those of the gateway.

    Raises:
        ValueError: both services have a schema of the same name.
    """
    auth, api = auth_service.app.openapi(), chat_gateway.http.api.openapi.describe()
    schemas, others = auth["components"]["schemas"], api["components"]["schemas"]
    if both := schemas.keys() & others.keys():
        raise ValueError(f"schemas of both services: {sorted(both)}")
    components = {**auth["components"], "schemas": {**schemas, **others}}
    info = {"title": "Backchat", "version": auth["info"]["version"]}
    return {**auth, "info": info, "paths": {**auth["paths"], **api["paths"]}, "components": components}


def configuration() -> str:
    """Return one table of all variables: name, default, processes that read it, meaning."""
    rows: dict[str, tuple[str, list[str], str]] = {}
    for process, model in PROCESSES.items():
        models = (model, *EMBEDDED) if process == "embedded" else (model,)
        for name, info in ((n, i) for m in models for n, i in m.model_fields.items()):
            known = rows.setdefault(name, (_default(info), [], info.description or ""))
            if process not in known[1]:
                known[1].append(process)
    lines = [HEAD, "| variable | default | read by | meaning |", "| --- | --- | --- | --- |"]
    for name, (default, readers, meaning) in sorted(rows.items()):
        who = "all" if len(readers) == len(PROCESSES) else ", ".join(readers)
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {who} | {meaning.replace('|', ', ')} |")
    return "\n".join(lines) + "\n"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    return "-" if value in (None, ()) else f"`{value}`"


def _json(document: object) -> str:
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in render().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(REFERENCE.parent.parent))
