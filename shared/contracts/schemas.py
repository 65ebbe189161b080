"""JSON Schemas of models: of wire models (msgspec structs), and of the forms of clients (pydantic)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.json import schema_components
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

AnyModel = type[Struct] | type[BaseModel]
Schema = dict[str, Any]


def components(
    models: Iterable[AnyModel], template: str, *, mode: JsonSchemaMode = "serialization"
) -> tuple[dict[AnyModel, Schema], dict[str, Schema]]:
    """Return a reference to the schema of each model, and these schemas and all that they refer to, by name.

    The modules of models that have the same name are part of their names. `template` is a reference to `{name}`;
    `mode` is that of pydantic.
    """
    ordered = sorted(set(models), key=lambda model: (model.__name__, model.__module__))
    count = Counter(model.__name__ for model in ordered)
    found: dict[str, Schema] = {}
    references: dict[AnyModel, Schema] = {}
    for model in ordered:
        name = model.__name__
        own, others = _schemas(model, template, mode)
        if count[name] > 1:
            name = f"{model.__module__}.{name}".replace(".", "__")
        found |= {name: own, **others}
        references[model] = {"$ref": template.format(name=name)}
    return references, dict(sorted(found.items()))


def inlined(model: type[Struct]) -> Schema:
    """Return the schema of a wire model, with those of other models in place of references to them."""
    own, others = _schemas(model, "{name}", "serialization")
    schema: Schema = _resolved(own, others)
    return schema


def _schemas(model: AnyModel, template: str, mode: JsonSchemaMode) -> tuple[Schema, Mapping[str, Schema]]:
    """Return the schema of a model, and those of the models that it refers to, by name."""
    if issubclass(model, BaseModel):
        others = models_json_schema([(model, mode)], ref_template=template.replace("{name}", "{model}"))[1]["$defs"]
    else:
        others = {
            name: _completed(schema) for name, schema in schema_components([model], ref_template=template)[1].items()
        }
    return others.pop(model.__name__), others


def _completed(schema: Any) -> Any:
    """Add what msgspec leaves out: that a sent object has no other fields, and the type of enumerated values."""
    if isinstance(schema, list):
        return [_completed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    completed = {key: _completed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        completed["additionalProperties"] = False
    if isinstance(schema.get("enum"), list):
        completed["type"] = "string" if isinstance(schema["enum"][0], str) else "integer"
    return completed


def _resolved(schema: Any, others: Mapping[str, Schema]) -> Any:
    if isinstance(schema, list):
        return [_resolved(each, others) for each in schema]
    if not isinstance(schema, dict):
        return schema
    whole = others[schema["$ref"]] | schema if "$ref" in schema else schema
    return {key: _resolved(value, others) for key, value in whole.items() if key != "$ref"}
