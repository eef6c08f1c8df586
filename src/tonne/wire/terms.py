"""What an order may ask for beyond a mass: whom the credits are retired for, and which ones it may be given."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.application.order_terms import EXCLUDED_MAX, read_beneficiary, read_terms
from tonne.domain.orders import Order
from tonne.domain.terms import Beneficiary, Terms
from tonne.wire.common import NO_NUL, Amount

CountryCode = Annotated[
    str,
    Meta(description="ISO 3166-1 alpha-3.", examples=["DEU"], extra_json_schema={"pattern": "^[A-Z]{3}$"}),
]


class NamedBeneficiary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For whom credits are retired."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="As it is given to the registry and printed on the certificate.",
            examples=["Example Freight Ltd"],
            extra_json_schema=NO_NUL,
        ),
    ]
    email: (
        Annotated[
            str,
            Meta(
                max_length=254,
                description="Whom to tell; it is shown to nobody else.",
                extra_json_schema=NO_NUL,
            ),
        ]
        | None
    ) = None
    country: CountryCode | None = None
    registration_number: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=100,
                description="In the country's register of companies, or what identifies the beneficiary there.",
                extra_json_schema=NO_NUL,
            ),
        ]
        | None
    ) = None
    hidden_until: (
        Annotated[
            str,
            Meta(
                description="The first day on which the public page shows the name.",
                extra_json_schema={"format": "date"},
                examples=["2027-01-31"],
            ),
        ]
        | None
    ) = None

    def to_beneficiary(self, pointer: str) -> Beneficiary:
        """Read the beneficiary.

        Raises:
            ValidationFailed: a name that certificates can't print, or what is no email address, country or date.
        """
        return read_beneficiary(self, pointer)


BeneficiaryOfOrder = Annotated[
    NamedBeneficiary | None,
    Meta(
        description="For whom the credits are retired, instead of for the account's beneficiary. Fractions of tonnes are "
        "pooled with those of the same beneficiary only."
    ),
]


class Guarded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an order or a quote may ask of price and credits: what can't be kept is refused, never ignored."""

    max_unit_price: (
        Annotated[
            Amount,
            Meta(
                description="What a tonne of any bundle may cost at most, in the account's currency, commission included."
            ),
        ]
        | None
    ) = None
    min_vintage_year: (
        Annotated[
            int,
            Meta(
                ge=1990,
                le=2100,
                description="No credits of an older vintage are given; where none are left, it waits.",
            ),
        ]
        | None
    ) = None
    excluded_countries: (
        Annotated[
            list[CountryCode],
            Meta(max_length=EXCLUDED_MAX, description="No credits of projects in these countries are given."),
        ]
        | None
    ) = None
    excluded_projects: (
        Annotated[
            list[Annotated[str, Meta(extra_json_schema=NO_NUL)]],
            Meta(max_length=EXCLUDED_MAX, description="No credits of the projects with these ids are given."),
        ]
        | None
    ) = None

    def read_terms(self) -> Terms:
        """Read what is asked for.

        Raises:
            ValidationFailed: a price that is none, or no country or project id.
        """
        body: NamedBeneficiary | None = getattr(self, "beneficiary", None)
        return read_terms(self, body)


class BeneficiaryBody(msgspec.Struct, frozen=True):
    """For whom an order's credits are retired."""

    name: str
    email: str | None
    country: str | None
    registration_number: str | None
    hidden_until: Annotated[
        str | None, Meta(description="The first day on which the public page shows the name.")
    ]


def beneficiary_body(order: Order) -> BeneficiaryBody | None:
    """Print for whom an order is: the account's beneficiary unless it names another."""
    named = order.terms.beneficiary
    if named is None:
        return (
            None if order.beneficiary is None else BeneficiaryBody(order.beneficiary, None, None, None, None)
        )
    hidden_until = None if named.hidden_until is None else named.hidden_until.isoformat()
    return BeneficiaryBody(named.name, named.email, named.country, named.registration_number, hidden_until)
