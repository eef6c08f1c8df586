"""Work out what a change of the catalogue comes to, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from tonne.application.catalogue_entries import (
    BundleEntry,
    ChoiceEntry,
    PlannedPrice,
    PortfolioEntry,
    ProjectEntry,
    find_violations,
    given,
    read_instant,
)
from tonne.application.identifiers import new_id
from tonne.domain.catalogue import Bundle, Catalogue, OnShortage, Portfolio, Price, Project
from tonne.domain.catalogue_changes import Difference, fixed_prices_at, reprice, slug_of
from tonne.domain.decimals import parse_decimal, plain
from tonne.domain.errors import TonneError, ValidationFailed, Violation
from tonne.domain.retirement import RetirementPolicy
from tonne.domain.selection import Choice, selection_from
from tonne.domain.times import format_time
from tonne.storage.countries import country_name

Entry = TypeVar("Entry", ProjectEntry, BundleEntry, PortfolioEntry)

_REQUIRED: dict[type[msgspec.Struct], tuple[str, ...]] = {
    ProjectEntry: ("name", "project_type", "registry_name", "registry_project_id", "country_code"),
    BundleEntry: ("name", "currency", "price", "projects"),
    PortfolioEntry: ("label", "selection"),
}
_LISTS = ("results", "un_sdg", "additional_standards_met")


@dataclass(frozen=True, slots=True)
class Wanted(Generic[Entry]):
    """One object as it is to be: the id of the one that changes, None for a new one; `pointer` is its place in the request.

    `whole`: fields that are left out take their defaults instead of staying as they are.
    """

    entry: Entry
    object_id: UUID | None = None
    pointer: str = ""
    whole: bool = False


@dataclass(slots=True)
class Wishes:
    """All that is to change together."""

    projects: list[Wanted[ProjectEntry]] = field(default_factory=list)
    bundles: list[Wanted[BundleEntry]] = field(default_factory=list)
    portfolios: list[Wanted[PortfolioEntry]] = field(default_factory=list)
    default_selection: list[ChoiceEntry] | None = None


@dataclass(slots=True)
class Planned:
    """What a change comes to, and what is to be stored for it."""

    catalogue: Catalogue
    at: datetime
    projects: dict[UUID, Project] = field(default_factory=dict)
    bundles: dict[UUID, Bundle] = field(default_factory=dict)
    portfolios: dict[UUID, Portfolio] = field(default_factory=dict)
    default_selection: tuple[Choice, ...] | None = None
    differences: list[Difference] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    @property
    def all_projects(self) -> dict[UUID, Project]:
        return {**self.catalogue.projects, **self.projects}

    @property
    def all_bundles(self) -> dict[UUID, Bundle]:
        return {**self.catalogue.bundles, **self.bundles}


def project_fields(project: Project) -> dict[str, Any]:
    """A project in the words of an entry."""
    fields: dict[str, Any] = {}
    for name in ProjectEntry.__struct_fields__:
        value = project.disabled if name == "disabled" else getattr(project, name)
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, date):
            value = value.isoformat()
        elif isinstance(value, Decimal):
            value = f"{value.normalize():f}"
        fields[name] = value
    return fields


def with_price(
    catalogue: Catalogue,
    at: datetime,
    *,
    bundle_id: UUID,
    currency: str,
    price: str | None,
    valid_from: str | None,
) -> Wishes:
    """What is to be said of a bundle for it to have one more price, from now or from a time on; its others stay.

    In the bundle's own currency it is the price that others are converted from; in another one it is a fixed price, which
    None ends.

    Raises:
        ValidationFailed: there would be no price in the bundle's own currency.
    """
    bundle = catalogue.bundles[bundle_id]
    fields = bundle_fields(bundle, catalogue.projects, at=at)
    if valid_from is not None:
        known = [PlannedPrice(**planned) for planned in fields["planned_prices"]]
        new = PlannedPrice(valid_from=valid_from, currency=currency, price=price)
        entry = BundleEntry(planned_prices=[*known, new])
    elif currency != bundle.base_currency:
        fixed = {code: known for code, known in fields["fixed_prices"].items() if code != currency}
        entry = BundleEntry(fixed_prices=fixed | ({} if price is None else {currency: price}))
    elif price is None:
        raise ValidationFailed.at("/price", "is required in the bundle's own currency")
    else:
        entry = BundleEntry(price=price)
    return Wishes(bundles=[Wanted(entry, bundle_id)])


def bundle_fields(bundle: Bundle, projects: Mapping[UUID, Project], *, at: datetime) -> dict[str, Any]:
    """A bundle in the words of an entry, with its prices of that time and those to come."""
    price = bundle.price_at(bundle.base_currency, at)
    assert price is not None
    fields: dict[str, Any] = {
        "currency": bundle.base_currency,
        "price": plain(price),
        "fixed_prices": {code: plain(fixed) for code, fixed in fixed_prices_at(bundle, at).items()},
        "planned_prices": [
            {
                "valid_from": format_time(planned.valid_from),
                "currency": planned.currency,
                "price": None if planned.price is None else plain(planned.price),
            }
            for planned in bundle.prices
            if planned.valid_from > at
        ],
        "projects": [projects[project_id].slug for project_id in bundle.project_ids],
        "on_shortage": bundle.on_shortage.value,
        "retirement_policy": bundle.retirement_policy.value,
    }
    return {
        name: fields[name] if name in fields else getattr(bundle, name)
        for name in BundleEntry.__struct_fields__
    }


def portfolio_fields(portfolio: Portfolio, bundles: Mapping[UUID, Bundle]) -> dict[str, Any]:
    """A portfolio in the words of an entry."""
    return {
        "identifier": portfolio.identifier,
        "label": portfolio.label,
        "selection": selection_fields(portfolio.selection, bundles),
        "disabled": portfolio.disabled,
    }


def selection_fields(selection: Sequence[Choice], bundles: Mapping[UUID, Bundle]) -> list[dict[str, Any]]:
    """A selection in the words of an entry."""
    return [
        {"bundle": bundles[choice.bundle_id].identifier, "percentage": plain(choice.percentage)}
        for choice in selection
    ]


def plan_project(planned: Planned, wanted: Wanted[ProjectEntry]) -> None:
    current = None if wanted.object_id is None else planned.catalogue.projects[wanted.object_id]
    before = None if current is None else project_fields(current)
    said = _checked(planned, wanted, before)
    if said is None:
        return
    fields: dict[str, Any] = {name: [] if name in _LISTS else None for name in ProjectEntry.__struct_fields__}
    fields |= {"disabled": False, "description": ""} | (before if before and not wanted.whole else {}) | said
    fields["slug"] = fields["slug"] or slug_of(fields["name"])
    fields["short_name"] = fields["short_name"] or fields["name"]
    if "country_code" in said and "country_name" not in said:
        fields["country_name"] = country_name(fields["country_code"])
    if not fields["slug"]:
        planned.violations.append(
            Violation(f"{wanted.pointer}/slug", "is required: none can be made from the name")
        )
        return
    project_id = current.project_id if current else new_id()
    values = dict(fields)
    values["disabled_at"] = _disabled_at(current, planned.at, disabled=values.pop("disabled"))
    for name in _LISTS:
        values[name] = tuple(values[name])
    for name in ("latitude", "longitude"):
        values[name] = None if values[name] is None else Decimal(values[name])
    for name in ("crediting_start_date", "crediting_end_date", "registration_date"):
        values[name] = None if values[name] is None else date.fromisoformat(values[name])
    project = Project(project_id=project_id, **values)
    planned.projects[project_id] = project
    _note(planned, Difference("project", project.slug, str(project_id), before, project_fields(project)))


def plan_bundle(planned: Planned, wanted: Wanted[BundleEntry]) -> None:
    current = None if wanted.object_id is None else planned.catalogue.bundles[wanted.object_id]
    before = None if current is None else bundle_fields(current, planned.catalogue.projects, at=planned.at)
    said = _checked(planned, wanted, before)
    if said is None:
        return
    if current is not None and said.get("currency", current.base_currency) != current.base_currency:
        planned.violations.append(
            Violation(
                f"{wanted.pointer}/currency",
                f"can't change: the bundle's price is in {current.base_currency}",
            )
        )
    fields: dict[str, Any] = dict.fromkeys(BundleEntry.__struct_fields__)
    fields |= {"disabled": False, "description": "", "projects": [], "on_shortage": OnShortage.ACCEPT}
    fields |= {"retirement_policy": RetirementPolicy.OLDEST_VINTAGE}
    fields |= (before if before and not wanted.whole else {}) | said
    fields["identifier"] = fields["identifier"] or slug_of(fields["name"])
    project_ids = _find_all(planned, fields["projects"], f"{wanted.pointer}/projects")
    planned_prices = _read_planned(planned, wanted, said)
    if planned.violations:
        return
    bundle_id = current.bundle_id if current else new_id()
    price = parse_decimal(fields["price"])
    kept = {
        name: fields[name]
        for name in BundleEntry.__struct_fields__
        if name not in ("currency", "price", "fixed_prices", "planned_prices", "projects", "disabled")
    }
    kept |= {
        "on_shortage": OnShortage(fields["on_shortage"]),
        "retirement_policy": RetirementPolicy(fields["retirement_policy"]),
        "project_ids": project_ids,
        "disabled_at": _disabled_at(current, planned.at, disabled=fields["disabled"]),
    }
    bundle = (
        replace(current, **kept)
        if current
        else Bundle(bundle_id=bundle_id, base_price=price, base_currency=fields["currency"], **kept)
    )
    fixed = said.get("fixed_prices", {} if wanted.whole else None)
    prices = reprice(
        bundle,
        price=price,
        fixed_prices=None if fixed is None else {code: parse_decimal(text) for code, text in fixed.items()},
        planned=planned_prices,
        at=planned.at,
    )
    bundle = replace(bundle, prices=prices)
    planned.bundles[bundle_id] = bundle
    after = bundle_fields(bundle, planned.all_projects, at=planned.at)
    _note(planned, Difference("bundle", bundle.identifier, str(bundle_id), before, after))


def plan_portfolio(planned: Planned, wanted: Wanted[PortfolioEntry]) -> None:
    current = None if wanted.object_id is None else planned.catalogue.portfolios[wanted.object_id]
    before = None if current is None else portfolio_fields(current, planned.catalogue.bundles)
    said = _checked(planned, wanted, before)
    if said is None:
        return
    fields = {"disabled": False, "identifier": None} | (before if before and not wanted.whole else {}) | said
    selection = current.selection if current else ()
    if "selection" in said:
        selection = _read_selection(planned, said["selection"], f"{wanted.pointer}/selection")
    portfolio_id = current.portfolio_id if current else new_id()
    portfolio = Portfolio(
        portfolio_id,
        fields["identifier"] or slug_of(fields["label"]),
        fields["label"],
        selection,
        _disabled_at(current, planned.at, disabled=fields["disabled"]),
    )
    if planned.violations:
        return
    planned.portfolios[portfolio_id] = portfolio
    after = portfolio_fields(portfolio, planned.all_bundles)
    _note(planned, Difference("portfolio", portfolio.identifier, str(portfolio_id), before, after))


def plan_default(planned: Planned, wanted: Sequence[ChoiceEntry] | None) -> None:
    if wanted is None:
        return
    selection = _read_selection(planned, wanted, "/default_selection") if wanted else ()
    if planned.violations:
        return
    before = {"selection": selection_fields(planned.catalogue.default_selection, planned.catalogue.bundles)}
    planned.default_selection = selection
    after = {"selection": selection_fields(selection, planned.all_bundles)}
    _note(planned, Difference("default selection", "", "default_selection", before, after))


def _checked(
    planned: Planned, wanted: Wanted[Any], before: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    said = given(wanted.entry)
    violations = find_violations(wanted.entry, wanted.pointer)
    needed = _REQUIRED[type(wanted.entry)] if before is None or wanted.whole else ()
    if wanted.whole and before is not None:
        # A bundle's currency never changes: it need not be said again.
        needed = tuple(name for name in needed if name != "currency")
        said = {"currency": before["currency"]} | said if "currency" in before else said
    violations += [
        Violation(f"{wanted.pointer}/{name}", "is required") for name in needed if name not in said
    ]
    violations += [
        Violation(f"{wanted.pointer}/projects", "must name one project at least")
        for name, value in said.items()
        if name == "projects" and not value
    ]
    planned.violations += violations
    return None if violations else said


def _find_all(planned: Planned, slugs: Sequence[str], pointer: str) -> tuple[UUID, ...]:
    known = {project.slug: key for key, project in planned.all_projects.items()}
    found = []
    for position, slug in enumerate(slugs):
        if slug not in known:
            planned.violations.append(Violation(f"{pointer}/{position}", f"there is no project {slug!r}"))
        elif slug in slugs[:position]:
            planned.violations.append(Violation(f"{pointer}/{position}", f"{slug!r} is named twice"))
        else:
            found.append(known[slug])
    return tuple(found)


def _read_planned(
    planned: Planned, wanted: Wanted[BundleEntry], said: Mapping[str, Any]
) -> list[Price] | None:
    if "planned_prices" not in said:
        return [] if wanted.whole else None
    found = []
    base = said.get("currency")
    if wanted.object_id is not None:
        base = planned.catalogue.bundles[wanted.object_id].base_currency
    for position, each in enumerate(said["planned_prices"]):
        pointer = f"{wanted.pointer}/planned_prices/{position}"
        valid_from = read_instant(each.valid_from)
        if valid_from <= planned.at:
            planned.violations.append(Violation(f"{pointer}/valid_from", "must be in the future"))
        if each.price is None and each.currency == base:
            planned.violations.append(
                Violation(f"{pointer}/price", "is required in the bundle's own currency")
            )
        found.append(
            Price(each.currency, valid_from, None if each.price is None else parse_decimal(each.price))
        )
    if len({(price.currency, price.valid_from) for price in found}) < len(found):
        planned.violations.append(
            Violation(f"{wanted.pointer}/planned_prices", "has two prices in a currency at one time")
        )
    return found


def _read_selection(planned: Planned, entries: Sequence[ChoiceEntry], pointer: str) -> tuple[Choice, ...]:
    known = {bundle.identifier: bundle for bundle in planned.all_bundles.values()}
    chosen: list[tuple[UUID, Decimal | None]] = []
    for position, entry in enumerate(entries):
        bundle = known.get(entry.bundle)
        if bundle is None:
            planned.violations.append(
                Violation(f"{pointer}/{position}/bundle", f"there is no bundle {entry.bundle!r}")
            )
            continue
        try:
            percentage = None if entry.percentage is None else parse_decimal(str(entry.percentage))
        except ValueError as error:
            planned.violations.append(Violation(f"{pointer}/{position}/percentage", str(error)))
            continue
        chosen.append((bundle.bundle_id, percentage))
    if planned.violations:
        return ()
    try:
        return selection_from(chosen)
    except TonneError as error:
        planned.violations.append(Violation(pointer, error.message))
        return ()


def _note(planned: Planned, difference: Difference) -> None:
    if difference.before != difference.after:
        planned.differences.append(difference)


def _disabled_at(
    current: Project | Bundle | Portfolio | None, at: datetime, *, disabled: bool
) -> datetime | None:
    if not disabled:
        return None
    return current.disabled_at if current is not None and current.disabled_at is not None else at
