"""The catalogue as a YAML file: what is written can be read, and reading it changes nothing.

Numbers are read as they are written, never as binary fractions: 13.57 is "13.57".
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import yaml

from tonne.application.catalogue_entries import CatalogueFile
from tonne.application.catalogue_plan import (
    bundle_fields,
    portfolio_fields,
    project_fields,
    selection_fields,
)
from tonne.domain.catalogue import Catalogue
from tonne.domain.errors import ValidationFailed

FILE_BYTES_MAX = 20 * 10**6


class _Loader(yaml.SafeLoader):
    """Reads numbers and days as text, and refuses what YAML leaves open to surprises: repeated keys and aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases (*name) are not read")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the parent's signature
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# Numbers and days are text to begin with.
_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.rpartition(":")[2] not in ("float", "int", "timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def write_catalogue(catalogue: Catalogue, *, at: datetime) -> str:
    """Write a catalogue as YAML, with the prices of that time and those to come."""
    projects = sorted(catalogue.projects.values(), key=lambda project: project.slug)
    bundles = sorted(catalogue.bundles.values(), key=lambda bundle: bundle.identifier)
    portfolios = sorted(catalogue.portfolios.values(), key=lambda portfolio: portfolio.identifier)
    whole = {
        "projects": [_short(project_fields(project)) for project in projects],
        "bundles": [_short(bundle_fields(bundle, catalogue.projects, at=at)) for bundle in bundles],
        "portfolios": [_short(portfolio_fields(portfolio, catalogue.bundles)) for portfolio in portfolios],
        "default_selection": selection_fields(catalogue.default_selection, catalogue.bundles),
    }
    text: str = yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=110)
    return text


def read_catalogue(text: str) -> CatalogueFile:
    """Read what a YAML file says of a catalogue.

    Raises:
        ValidationFailed: it is no YAML, or says what nothing can be said of; naming the place.
    """
    try:
        found = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValidationFailed(f"This is no YAML that can be read: {error}") from None
    except RecursionError:
        raise ValidationFailed("This nests too deep.") from None
    try:
        return msgspec.convert(found if found is not None else {}, CatalogueFile, strict=False)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise ValidationFailed(f"{place.rstrip('`').lstrip('.') or 'the file'}: {message}") from None


def _short(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is not there: a file is for people."""
    empty: tuple[Any, ...] = (None, [], {}, False)
    return {
        name: value
        for name, value in fields.items()
        if value not in empty or (value == 0 and value is not False)
    }
