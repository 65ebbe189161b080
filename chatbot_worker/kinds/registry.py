"""Finds kinds of chatbots by name: the built-in ones, and those of installed packages.

A package adds kinds by entry points of the group `backchat.chatbots`: the entry point has the name of the kind, and its
object is a `protocol.Kind`. A kind is imported when a catalogue names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from chatbot_worker.chatbots.protocol import Kind, Unusable

GROUP = "backchat.chatbots"
OWN: Mapping[str, str] = MappingProxyType(
    {
        "echo": "chatbot_worker.kinds.echo",
        "eliza": "chatbot_worker.kinds.eliza",
        "local": "chatbot_worker.kinds.local",
        "openai": "chatbot_worker.kinds.openai",
        "retrieval": "chatbot_worker.kinds.retrieval",
        "webhook": "chatbot_worker.kinds.webhook",
    }
)


class Kinds(Mapping[str, Kind]):
    """All kinds by name. A package cannot replace a built-in kind.

    A lookup raises `Unusable` if the kind cannot be imported, or is no `Kind`.
    """

    def __getitem__(self, name: str) -> Kind:
        found = _import(name) if name in OWN else _load(_added()[name])
        if not isinstance(found, Kind):
            raise Unusable(f'"{name}" of the entry points {GROUP} is no Kind')
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*OWN, *_added()}))

    def __len__(self) -> int:
        return len({*OWN, *_added()})


def _added() -> dict[str, EntryPoint]:
    """Return the current entry points, so that a reloaded catalogue finds newly installed packages."""
    return {point.name: point for point in entry_points(group=GROUP)}


def _import(name: str) -> object:
    try:
        return import_module(OWN[name]).KIND
    except ModuleNotFoundError as error:
        raise Unusable(f"\"{name}\" needs the package {error.name}: pip install 'backchat[{name}]'") from None


def _load(point: EntryPoint) -> object:
    try:
        return point.load()
    except ImportError as error:
        package = point.dist.name if point.dist else point.module
        missing = f": install {error.name}" if error.name else ""
        raise Unusable(f'"{point.name}" of the package {package} cannot be imported{missing}') from None
    except AttributeError:
        raise Unusable(f'"{point.name}": {point.module} has no {point.attr}') from None


KINDS = Kinds()
