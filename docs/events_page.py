"""Render `reference/events.md` from the models: client events, server events, shapes, error codes and limits."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

from chat_gateway.protocol.acks import ACK_CODES, ACKS
from chat_gateway.protocol.payloads import CLIENT_EVENTS
from chat_gateway.protocol.server_events import SERVER_EVENTS
from docs.limits import limits
from shared.contracts.schemas import AnyModel, Schema, components
from shared.errors import CATALOGUE, PayloadTooLarge

HEAD = """# Events, fields, errors and limits

Generated from the models by `make docs`; do not edit.

The [contract](contract.md) says what these events mean.
The same models are described for programs in [asyncapi.json](asyncapi.json) and [openapi.json](openapi.json).

- *Characters* are Unicode code points.
- *Required* fields must be present and not `null`. Unknown fields are ignored.
- Times are RFC 3339 in UTC with milliseconds.
"""
SHAPE = "### {name}\n"


def render() -> str:
    """The whole page."""
    _, client = components(CLIENT_EVENTS.values(), "{name}", mode="validation")
    _, server = components([*SERVER_EVENTS.values(), *ACKS.values()], "{name}")
    shown = {model.__name__ for model in (*SERVER_EVENTS.values(), *ACKS.values())} - _shapes(server)
    parts = [HEAD, "## Client events\n"]
    for name, model in CLIENT_EVENTS.items():
        parts += [f"### `{name}`\n", *_description(model, name), _fields(client[model.__name__], {})]
        parts += _ack(server, ACKS[name])
    parts.append("## Server events\n")
    for name, sent in SERVER_EVENTS.items():
        parts += [f"### `{name}`\n", *_event(server, sent, name)]
    parts.append("## Shapes\n")
    for name in sorted(server.keys() - shown):
        parts += [
            SHAPE.format(name=name),
            *_sentences(server[name].get("description", "")),
            _fields(server[name], server),
        ]
    parts += ["## Error codes\n", _errors(), "## Limits\n", limits()]
    return "\n".join(parts)


def _shapes(schemas: Mapping[str, Schema]) -> set[str]:
    """The names of the models that others refer to."""
    return set(re.findall(r"'\$ref': '(\w+)'", repr([schema.get("properties", {}) for schema in schemas.values()])))


def _description(model: AnyModel, name: str) -> list[str]:
    text = inspect.cleandoc(model.__doc__ or "")
    return _sentences(re.sub(rf"^`{name}`[:.]\s*", "", text))


def _sentences(text: str) -> list[str]:
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return [f"{paragraph[0].upper()}{paragraph[1:]}\n" for paragraph in paragraphs if paragraph]


def _ack(schemas: Mapping[str, Schema], model: AnyModel) -> list[str]:
    if not schemas[model.__name__]["properties"]:
        return ["The ack has no fields next to `ok`.\n"]
    return ["The ack has, next to `ok`:\n", _fields(schemas[model.__name__], schemas)]


def _event(schemas: Mapping[str, Schema], model: AnyModel, name: str) -> list[str]:
    """The fields of an event; of one that is a shape itself a link."""
    if model.__name__ in _shapes(schemas):
        return [f"A [{model.__name__}](#{model.__name__.lower()}).\n"]
    return [*_description(model, name), _fields(schemas[model.__name__], schemas)]


def _fields(schema: Schema, shapes: Mapping[str, Schema]) -> str:
    """A table of a model's fields; `shapes` is empty for what clients send, where fields may be left out."""
    properties: Mapping[str, Schema] = schema.get("properties", {})
    if not properties:
        return "No fields.\n"
    received = bool(shapes)
    required = schema.get("required", ())
    lines = ["| field | type | meaning |", "| --- | --- | --- |"]
    if not received:
        lines = ["| field | type | required | meaning |", "| --- | --- | --- | --- |"]
    for name, field in properties.items():
        meaning = _cell(field.get("description", ""))
        needed = "" if received else f" {'yes' if name in required else _default(field)} |"
        lines.append(f"| `{name}` | {_type(field, null=received)} |{needed} {meaning} |")
    return "\n".join(lines) + "\n"


def _default(field: Schema) -> str:
    default = field.get("default")
    return "no" if default is None else f"no, `{default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _type(field: Schema, *, null: bool) -> str:
    """In words: `string, 1 to 200 characters`."""
    if "$ref" in field:
        return f"[{field['$ref']}](#{field['$ref'].lower()})"
    if "anyOf" in field:
        kinds = [_type(kind, null=null) for kind in field["anyOf"] if kind.get("type") != "null"]
        has_null = null and len(kinds) < len(field["anyOf"])
        return " or ".join([*kinds, "`null`"] if has_null else kinds)
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(field['items'], null=null)}{_bounds(field, 'Items', 'elements')}"
    return _scalar(field)


def _scalar(field: Schema) -> str:
    kind = field.get("type", "any")
    if "format" in field:
        return {"uuid": "UUID", "date-time": "time"}[field["format"]]
    if kind == "string":
        text = "string" + _bounds(field, "Length", "characters")
        return f"{text}, `{_cell(field['pattern'])}`" if "pattern" in field else text
    low, high = field.get("minimum"), field.get("maximum")
    return f"{kind}, {_number(low)} to {_number(high)}" if low is not None and high is not None else str(kind)


def _bounds(field: Schema, suffix: str, unit: str) -> str:
    low, high = field.get(f"min{suffix}"), field.get(f"max{suffix}")
    if high is None:
        return ""
    return f", {low} to {high:,} {unit}" if low is not None else f", at most {high:,} {unit}"


def _number(value: int) -> str:
    return "2⁶³ - 1" if value == 2**63 - 1 else f"{value:,}"


def _errors() -> str:
    lines = ["| code | HTTP status | in acks | meaning |", "| --- | --- | --- | --- |"]
    for code, error in sorted(CATALOGUE.items()):
        status = f"{error.status} (414 for a long address)" if error is PayloadTooLarge else str(error.status)
        meaning = inspect.cleandoc(error.__doc__ or "").splitlines()[0]
        lines.append(f"| `{code}` | {status} | {'yes' if code in ACK_CODES else 'no'} | {_cell(meaning)} |")
    return "\n".join(lines) + "\n"
