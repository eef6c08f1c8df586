"""Where things are: airports by IATA and ICAO code, sea ports by UN/LOCODE, and plain coordinates.

Airports: airportsdata by Mike Borsetti, MIT. Ports: those of searoute, Apache 2.0, except for the few whose position
there is not that of the NGA World Port Index (public domain): `ports.csv` has these as the index gives them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import airportsdata

from tonne.domain.errors import AirportInvalid, LocodeNotFound, ValidationFailed
from tonne.estimates.near import hint, near_codes, near_names

AIRPORTS_SOURCE = "Airport positions: airportsdata by Mike Borsetti, MIT"
IATA_LENGTH = 3
ICAO_LENGTH = 4
LATITUDE_MAX = 90
LONGITUDE_MAX = 180


@dataclass(frozen=True, slots=True)
class Place:
    """A place on earth in decimal degrees (WGS 84). `country` is an alpha-2 code, where it is known."""

    name: str
    latitude: float
    longitude: float
    country: str | None = None


@dataclass(frozen=True, slots=True)
class Airport(Place):
    """An airport and the city it is for."""

    city: str = ""


@dataclass(frozen=True, slots=True)
class Port(Place):
    """A sea port."""


def find_airport(code: str, pointer: str) -> Airport:
    """Find an airport by its IATA or ICAO code, in either case.

    Raises:
        AirportInvalid: there is none; the message names near matches.
    """
    airports = _airports()
    found = airports.get(code.strip().upper())
    if found is None:
        raise AirportInvalid.at(
            pointer,
            f"there is no airport {code[:60]!r}: name it by its IATA or ICAO code" + hint(_near(code)),
        )
    return found


def find_port(locode: str, pointer: str) -> Port:
    """Find a sea port by its UN/LOCODE, with or without the space after the country.

    Raises:
        LocodeNotFound: there is none; the message names near matches.
    """
    ports = _ports()
    found = ports.get(locode.replace(" ", "").upper())
    if found is None:
        near = near_codes(locode.replace(" ", ""), list(ports)) or near_names(locode, _port_names())
        raise LocodeNotFound.at(
            pointer,
            f"there is no sea port {locode[:60]!r}: name it by its UN/LOCODE, such as NLRTM, or give coordinates"
            + hint([f"{code} ({ports[code].name})" for code in near]),
        )
    return found


def place_at(latitude: float, longitude: float, pointer: str) -> Place:
    """A place by its coordinates in decimal degrees.

    Raises:
        ValidationFailed: there are no such coordinates.
    """
    if not -LATITUDE_MAX <= latitude <= LATITUDE_MAX:
        raise ValidationFailed.at(f"{pointer}/lat", "a latitude is between -90 and 90 degrees")
    if not -LONGITUDE_MAX <= longitude <= LONGITUDE_MAX:
        raise ValidationFailed.at(f"{pointer}/lon", "a longitude is between -180 and 180 degrees")
    return Place(f"{latitude}, {longitude}", latitude, longitude)


def _near(code: str) -> list[str]:
    airports = _airports()
    codes = near_names(code, _airport_names())
    if len(code.strip()) in (IATA_LENGTH, ICAO_LENGTH):
        # A city of three letters is rarer than a slip in a code.
        codes = near_codes(code, [known for known in airports if len(known) == len(code.strip())]) or codes
    return [f"{known} ({airports[known].name})" for known in codes]


@cache
def _airports() -> Mapping[str, Airport]:
    """Airports by each of their codes. Read with the first that is asked for: it takes a tenth of a second."""
    by_code: dict[str, Airport] = {}
    for found in airportsdata.load("ICAO").values():
        airport = Airport(
            found["name"] or found["icao"], found["lat"], found["lon"], found["country"], found["city"]
        )
        by_code[found["icao"]] = airport
        if found["iata"]:
            by_code[found["iata"]] = airport
    return by_code


@cache
def _airport_names() -> Mapping[str, str]:
    """What airports with an IATA code are looked for by."""
    return {
        code: f"{airport.city} {airport.name}"
        for code, airport in _airports().items()
        if len(code) == IATA_LENGTH
    }


@cache
def _ports() -> Mapping[str, Port]:
    # Imported with the first port that is asked for: it brings the network of shipping lanes along.
    from searoute.data.ports_dict import node_list  # noqa: PLC0415

    ports = {
        node["port"]: Port(node["name"], node["y"], node["x"], node["port"][:2])
        for node in node_list.values()
        if node.get("port")
    }
    table = files("tonne.estimates").joinpath("ports.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(table.splitlines()):
        ports[row["locode"]] = Port(row["name"], float(row["lat"]), float(row["lon"]), row["locode"][:2])
    return ports


@cache
def _port_names() -> Mapping[str, str]:
    return {locode: port.name for locode, port in _ports().items()}
