"""Whatever is sent, it is answered with the one error body, never with a 5xx, and nothing is ordered."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from tests.support import Service

Refusal = Callable[[httpx.Response], tuple[int, str]]
Send = Callable[..., httpx.Response]

BAD = (400, "validation_error")
UNKNOWN_BUNDLE = (400, "bundle_selection_bundle_invalid")
MEDIA = (415, "unsupported_media_type")
LARGE = (413, "payload_too_large")
MISSING = (404, "not_found")
NOTHING = (409, "order_quantity_invalid")
BODY_BYTES_MAX = 100_000
ENDLESS_BYTES = 50_000_000
BUNDLE = str(uuid4())
FINE = b'{"mass":{"amount":"1","unit":"kg"}}'
JSON = [("Content-Type", "application/json")]


@dataclass(frozen=True)
class Hostile:
    """One request, and how it is to be refused."""

    body: bytes
    expected: tuple[int, str] = BAD
    headers: Sequence[tuple[str, str | bytes]] = tuple(JSON)
    target: str | bytes = "/v1/orders/by-mass"
    method: str = "POST"


def amount(value: bytes) -> bytes:
    return b'{"mass":{"amount":' + value + b',"unit":"kg"}}'


def selection(value: bytes) -> bytes:
    return b'{"mass":{"amount":"1","unit":"kg"},"bundle_selection":' + value + b"}"


def percentage(*values: bytes) -> bytes:
    return selection(
        b"["
        + b",".join(b'{"bundle_id":"%s","percentage":%s}' % (str(uuid4()).encode(), v) for v in values)
        + b"]"
    )


def rest(value: bytes) -> bytes:
    return FINE[:-1] + b"," + value + b"}"


def nested(depth: int) -> bytes:
    """A body of so many levels, the first being the body's own object."""
    return b'{"metadata":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def padded(length: int) -> bytes:
    return FINE[:-1] + b" " * (length - len(FINE)) + b"}"


def typed(media_type: str | bytes) -> list[tuple[str, str | bytes]]:
    return [("Content-Type", media_type)]


BODIES = {
    # Not JSON.
    "empty": Hostile(b""),
    "blank": Hostile(b" \r\n\t"),
    "not JSON": Hostile(b"mass=1"),
    "cut off": Hostile(FINE[:-1]),
    "trailing garbage": Hostile(FINE + b"x"),
    "two values": Hostile(FINE + FINE),
    "trailing comma": Hostile(b'{"mass":{"amount":"1","unit":"kg"},}'),
    "comment": Hostile(b'{/**/"mass":{"amount":"1","unit":"kg"}}'),
    "single quotes": Hostile(FINE.replace(b'"', b"'")),
    "unquoted names": Hostile(b'{mass:{amount:"1",unit:"kg"}}'),
    "control character": Hostile(amount(b'"1\x01"')),
    "raw newline in a string": Hostile(amount(b'"1\n"')),
    "unknown escape": Hostile(amount(b'"\\x31"')),
    "leading zero": Hostile(percentage(b"0100")),
    "plus sign": Hostile(percentage(b"+100")),
    "bare point": Hostile(percentage(b".5")),
    "hexadecimal": Hostile(percentage(b"0x64")),
    "NaN": Hostile(amount(b"NaN")),
    "Infinity": Hostile(percentage(b"Infinity")),
    "-Infinity": Hostile(rest(b'"x":-Infinity')),
    # Not UTF-8.
    "byte order mark": Hostile(b"\xef\xbb\xbf" + FINE),
    "UTF-16": Hostile(FINE.decode().encode("utf-16")),
    "UTF-16 without a mark": Hostile(FINE.decode().encode("utf-16-le")),
    "UTF-32": Hostile(FINE.decode().encode("utf-32-be")),
    "invalid UTF-8": Hostile(amount(b'"\xff"')),
    "overlong UTF-8": Hostile(amount(b'"\xc0\xb1"')),
    "a surrogate in UTF-8": Hostile(rest(b'"metadata":{"a":"\xed\xa0\x80"}')),
    "gzip": Hostile(gzip.compress(FINE), headers=[*JSON, ("Content-Encoding", "gzip")]),
    # Duplicates: what two parsers could read differently.
    "a property twice": Hostile(b'{"mass":{"amount":"1","unit":"kg"},"mass":{"amount":"2","unit":"kg"}}'),
    "a property twice, alike": Hostile(rest(FINE[1:-1])),
    "a nested property twice": Hostile(b'{"mass":{"amount":"1","amount":"2","unit":"kg"}}'),
    "a property twice, once escaped": Hostile(rest(b'"m\\u0061ss":{"amount":"2","unit":"kg"}')),
    "a metadata key twice": Hostile(rest(b'"metadata":{"a":"1","a":"2"}')),
    "a property twice in an unknown one": Hostile(rest(b'"x":{"a":1,"a":1}')),
    "a property twice after 9000 others": Hostile(
        b"{" + b",".join(b'"k%x":1' % number for number in range(9000)) + b',"twice":1,"twice":1}'
    ),
    # Deep.
    "33 levels": Hostile(nested(33)),
    "100,000 levels": Hostile(b"[" * BODY_BYTES_MAX),
    "20,000 levels of objects": Hostile(b'{"a":' * 20_000),
    "brackets in a string": Hostile(rest(b'"metadata":{"a":"' + b"[{" * 300 + b'"}')),
    # Long.
    "100,001 bytes": Hostile(padded(BODY_BYTES_MAX + 1), LARGE),
    "a million bytes": Hostile(padded(1_000_000), LARGE),
    "5,000 digits": Hostile(amount(b"9" * 5000)),
    "5,000 digits in a string": Hostile(amount(b'"' + b"9" * 5000 + b'"')),
    "5,000 decimals": Hostile(amount(b'"0.' + b"0" * 5000 + b'1"')),
    "61 digits": Hostile(amount(b'"' + b"0" * 60 + b'1"')),
    "5,000 digits of a percentage": Hostile(percentage(b"9" * 5000)),
    "5,000 digits and NUL": Hostile(rest(b'"x":' + b"9" * 5000 + b',"y":"\\u0000"')),
    "an exponent of 5,000 digits": Hostile(percentage(b"1e" + b"9" * 5000)),
    "beyond 10^9 tonnes": Hostile(b'{"mass":{"amount":"1000000000.000001","unit":"t"}}'),
    "1e400": Hostile(percentage(b"1e400")),
    # Not a decimal of ASCII digits.
    "a number for an amount": Hostile(amount(b"1")),
    "a float for an amount": Hostile(amount(b"0.1")),
    "-0": Hostile(amount(b'"-0"')),
    "-1": Hostile(amount(b'"-1"')),
    "+1": Hostile(amount(b'"+1"')),
    "1e3": Hostile(amount(b'"1e3"')),
    "0x10": Hostile(amount(b'"0x10"')),
    "1_000": Hostile(amount(b'"1_000"')),
    "1,000": Hostile(amount(b'"1,000"')),
    ".5": Hostile(amount(b'".5"')),
    "5.": Hostile(amount(b'"5."')),
    "1.2.3": Hostile(amount(b'"1.2.3"')),
    "no digits": Hostile(amount(b'""')),
    "a blank before": Hostile(amount(b'" 1"')),
    "a newline after": Hostile(amount(b'"1\\n"')),
    "a NUL after": Hostile(amount(b'"1\\u0000"')),
    "Arabic digits": Hostile(amount('"٣"'.encode())),
    "fullwidth digits": Hostile(amount('"１"'.encode())),
    "superscript digits": Hostile(amount('"²"'.encode())),
    "NaN in a string": Hostile(amount(b'"NaN"')),
    "Infinity in a string": Hostile(amount(b'"Infinity"')),
    "zero": Hostile(amount(b'"0"'), NOTHING),
    "zero with decimals": Hostile(amount(b'"0.000"'), NOTHING),
    # Of the wrong type.
    "null": Hostile(b"null"),
    "an array": Hostile(b"[" + FINE + b"]"),
    "a string": Hostile(b'"mass"'),
    "a number": Hostile(b"1"),
    "true": Hostile(b"true"),
    "an empty object": Hostile(b"{}"),
    "mass: null": Hostile(b'{"mass":null}'),
    "mass: a string": Hostile(b'{"mass":"1 kg"}'),
    "mass: an array": Hostile(b'{"mass":["1","kg"]}'),
    "amount: null": Hostile(amount(b"null")),
    "amount: true": Hostile(amount(b"true")),
    "amount: an object": Hostile(amount(b"{}")),
    "unit: in capitals": Hostile(b'{"mass":{"amount":"1","unit":"KG"}}'),
    "unit: a list": Hostile(b'{"mass":{"amount":"1","unit":["kg"]}}'),
    "unit: a blank after": Hostile(b'{"mass":{"amount":"1","unit":"kg "}}'),
    "quantity_trunc: empty": Hostile(rest(b'"quantity_trunc":""')),
    "idempotency_key: a number": Hostile(rest(b'"idempotency_key":1')),
    "metadata: an array": Hostile(rest(b'"metadata":[]')),
    "metadata: a nested object": Hostile(rest(b'"metadata":{"a":{"b":"c"}}')),
    "metadata: a number": Hostile(rest(b'"metadata":{"a":1}')),
    "metadata: null for a value": Hostile(rest(b'"metadata":{"a":null}')),
    "metadata: 51 keys": Hostile(
        rest(b'"metadata":' + json.dumps({str(number): "" for number in range(51)}).encode())
    ),
    # Unknown properties.
    "a typo": Hostile(rest(b'"bundle_selections":[]')),
    "a typo in another case": Hostile(b'{"Mass":{"amount":"1","unit":"kg"}}'),
    "a typo in the mass": Hostile(b'{"mass":{"amount":"1","unit":"kg","per":"year"}}'),
    "a typo in a choice": Hostile(selection(b'[{"bundle_id":"x","percentages":100}]')),
    "a property of another operation": Hostile(rest(b'"value":"1"')),
    "__proto__": Hostile(rest(b'"__proto__":{}')),
    # Characters that storage can't hold.
    "NUL in a key": Hostile(rest(b'"metadata":{"a\\u0000":"b"}')),
    "NUL in a value": Hostile(rest(b'"metadata":{"a":"\\u0000"}')),
    "NUL in an idempotency key": Hostile(rest(b'"idempotency_key":"a\\u0000b"')),
    "a lone high surrogate": Hostile(rest(b'"metadata":{"a":"\\ud800"}')),
    "a lone low surrogate": Hostile(rest(b'"metadata":{"a":"\\udc00"}')),
    "surrogates the wrong way round": Hostile(rest(b'"idempotency_key":"\\udc00\\ud800"')),
    "a lone surrogate in a key": Hostile(rest(b'"metadata":{"\\udfff":"a"}')),
    "a lone surrogate in a name": Hostile(rest(b'"\\ud83d":1')),
    # Bundle selections.
    "no bundles": Hostile(selection(b"[]")),
    "an object for a selection": Hostile(selection(b"{}")),
    "a string for a choice": Hostile(selection(b'["x"]')),
    "no bundle id": Hostile(selection(b'[{"percentage":100}]')),
    "a number for a bundle id": Hostile(selection(b'[{"bundle_id":1}]')),
    "an empty bundle id": Hostile(selection(b'[{"bundle_id":""}]')),
    "a bundle id of 101 characters": Hostile(selection(b'[{"bundle_id":"' + b"x" * 101 + b'"}]')),
    "a malformed bundle id": Hostile(selection(b'[{"bundle_id":"x"}]'), UNKNOWN_BUNDLE),
    "an unknown bundle": Hostile(selection(b'[{"bundle_id":"%s"}]' % BUNDLE.encode()), UNKNOWN_BUNDLE),
    "a bundle twice": Hostile(selection(b"[" + b",".join([b'{"bundle_id":"%s"}' % BUNDLE.encode()] * 2) + b"]")),
    "1000 bundles": Hostile(
        selection(b"[" + b",".join(b'{"bundle_id":"%s"}' % str(uuid4()).encode() for _ in range(1000)) + b"]")
    ),
    "-1 percent": Hostile(percentage(b"-1", b"101")),
    "101 percent": Hostile(percentage(b"101"), expected=(400, "bundle_selection_ratios_invalid")),
    "101 percent in a string": Hostile(
        percentage(b'"101"'), expected=(400, "bundle_selection_ratios_invalid")
    ),
    "a float for percent": Hostile(percentage(b"99.5", b"0.5")),
    "true for percent": Hostile(percentage(b"true", b"99")),
    "an exponent for percent": Hostile(percentage(b"1e2")),
    "a blank for percent": Hostile(percentage(b'" 100"')),
    "Arabic digits for percent": Hostile(percentage('"١٠٠"'.encode())),
    "no bundle masses": Hostile(b'{"bundle_masses":[]}'),
    "a mass for bundle masses": Hostile(b'{"bundle_masses":{"amount":"1","unit":"kg"}}'),
    "a malformed bundle of masses": Hostile(
        b'{"bundle_masses":[{"bundle_id":"x","mass":{"amount":"1","unit":"kg"}}]}', UNKNOWN_BUNDLE
    ),
    "masses and percentages": Hostile(
        b'{"bundle_masses":[{"bundle_id":"%s","mass":{"amount":"1","unit":"kg"},"percentage":1}]}' % BUNDLE.encode()
    ),
    # Values and estimates.
    "a number for a value": Hostile(b'{"value":1}', target="/v1/orders/by-value"),
    "a currency in a value": Hostile(b'{"value":"1 USD"}', target="/v1/orders/by-value"),
    "a value of 60 nines": Hostile(b'{"value":"' + b"9" * 60 + b'"}', target="/v1/orders/by-value"),
    "a value of nothing": Hostile(
        b'{"value":"0"}', (400, "order_value_invalid"), target="/v1/orders/by-value"
    ),
    "a number for an estimate": Hostile(b'{"estimate_id":1}', target="/v1/orders/by-estimate"),
    "an estimate id of 101 characters": Hostile(
        b'{"estimate_id":"' + b"x" * 101 + b'"}', target="/v1/orders/by-estimate"
    ),
    "NUL in an estimate id": Hostile(b'{"estimate_id":"\\u0000"}', target="/v1/orders/by-estimate"),
    "a batch of nothing": Hostile(b"[]", target="/v1/estimates/transactions/batch"),
    "a batch of 9,000,000 levels": Hostile(b"[" * 9_000_000, target="/v1/estimates/transactions/batch"),
    "a batch of 10,001 rows": Hostile(
        b"[" + b",".join([b"{}"] * 10_001) + b"]", target="/v1/estimates/transactions/batch"
    ),
    "a batch over 10 MB": Hostile(
        b"[" + b" " * 10_000_000 + b"]", LARGE, target="/v1/estimates/transactions/batch"
    ),
    "an estimate to replace under %00": Hostile(
        b'{"consumption":{"amount":"1","unit":"kWh"}}', MISSING, target="/v1/estimates/electricity/%00", method="PUT"
    ),
    # Media types.
    "no content type": Hostile(FINE, MEDIA, headers=()),
    "an empty content type": Hostile(FINE, MEDIA, headers=typed("")),
    "two content types": Hostile(FINE, MEDIA, headers=[*JSON, *JSON]),
    "text/plain": Hostile(FINE, MEDIA, headers=typed("text/plain")),
    "a form": Hostile(b"value=1", MEDIA, headers=typed("application/x-www-form-urlencoded")),
    "application/jsonp": Hostile(FINE, MEDIA, headers=typed("application/jsonp")),
    "application/problem+json": Hostile(FINE, MEDIA, headers=typed("application/problem+json")),
    "a list of content types": Hostile(FINE, MEDIA, headers=typed("application/json, text/plain")),
    "charset latin-1": Hostile(FINE, MEDIA, headers=typed("application/json; charset=latin-1")),
    "charset utf-16": Hostile(FINE, MEDIA, headers=typed('application/json; charset="utf-16"')),
    "a content type of noise": Hostile(FINE, MEDIA, headers=typed(b"\xff\xfe;;==")),
    # Headers.
    "a chunked body of 100,001 bytes": Hostile(
        b"%x\r\n%s\r\n0\r\n\r\n" % (BODY_BYTES_MAX + 1, padded(BODY_BYTES_MAX + 1)),
        LARGE,
        headers=[*JSON, ("Transfer-Encoding", "chunked")],
    ),
}  # fmt: skip

TARGETS: dict[str, tuple[str | bytes, tuple[int, str]]] = {
    "%ff in an id": ("/v1/orders/%ff", MISSING),
    "%00 in an id": ("/v1/orders/%00", MISSING),
    "%00 after an id": (f"/v1/orders/{BUNDLE}%00", MISSING),
    "a lone surrogate in an id": ("/v1/orders/%ed%a0%80", MISSING),
    "a cut-off escape": ("/v1/orders/%e", MISSING),
    "dots": ("/v1/orders/..%2f..%2fdocs", MISSING),
    "a very long id": ("/v1/orders/" + "x" * 50_000, MISSING),
    "a very long key": ("/v1/orders/by-idempotency-key/" + "%F0%9F%8C%B1" * 4000, MISSING),
    "a very deep path": ("/v1/orders" + "/x" * 20_000, MISSING),
    "%ff in a key": ("/v1/orders/by-idempotency-key/%ff", MISSING),
    "%00 in a key": ("/v1/orders/by-idempotency-key/a%00b", MISSING),
    "%00 in a slug": ("/v1/projects/by-slug/%00", MISSING),
    "%ff in a bundle id": ("/v1/bundles/%ff", MISSING),
    "other digits in an id": ("/v1/orders/" + "%D9%A3" * 36, MISSING),
    "%ff in a query": ("/v1/orders?after=%ff", BAD),
    "%ff in a parameter's name": ("/v1/orders?%ff=1", BAD),
    "%00 in a query": ("/v1/orders?status=%00", BAD),
    "%00 in a parameter's name": ("/v1/orders?a%00b=1", BAD),
    "%00 in a metadata filter": ("/v1/orders?metadata[a]=%00", BAD),
    "%00 in a metadata filter's key": ("/v1/orders?metadata[%00]=a", BAD),
    "a lone surrogate in a query": ("/v1/orders?metadata[a]=%ed%a0%80", BAD),
    "%ff in an estimate's id": ("/v1/estimates/%ff", MISSING),
    "%00 in an estimate's id": ("/v1/estimates/shipping/multi-leg/%00", MISSING),
    "%00 in a purchase's key": ("/v1/estimates/transactions/by-idempotency-key/a%00b", MISSING),
    "a very long purchase's key": (
        "/v1/estimates/transactions/by-idempotency-key/" + "%F0%9F%8C%B1" * 4000,
        MISSING,
    ),
    "%ff in a factor's id": ("/v1/emission-factors/by-id/%ff", MISSING),
    "%00 in a factor's id": ("/v1/emission-factors/by-id/owid-2026/DEU/2025%00", MISSING),
    "dots in a factor's id": ("/v1/emission-factors/by-id/..%2f..%2fdocs", MISSING),
    "a very long factor's id": ("/v1/emission-factors/by-id/" + "x" * 50_000, MISSING),
    "%00 in a factor's name": ("/v1/emission-factors?name=%00", BAD),
    "%ff in a factor's name": ("/v1/emission-factors?name=%ff", BAD),
    "a very long cursor of factors": ("/v1/emission-factors?after=" + "x" * 50_000, (400, "id_invalid")),
    "a year of 5,000 digits": ("/v1/emission-factors?publication_year=" + "1" * 5000, BAD),
    "%00 in an estimate's name": ("/v1/estimates?name=%00", BAD),
    "%00 in a metadata filter of estimates": ("/v1/estimates?metadata[%00]=a", BAD),
    "an unknown kind of estimates": ("/v1/estimates?kind=holiday", BAD),
    "an unknown parameter": ("/v1/orders?limits=1", BAD),
    "a parameter twice": ("/v1/orders?status=placed&status=placed", BAD),
    "101 parameters": ("/v1/orders?" + "&".join(f"metadata[{n}]=" for n in range(101)), BAD),
    "a parameter in brackets": ("/v1/orders?limit[]=1", BAD),
    "a limit of other digits": ("/v1/orders?limit=%D9%A3", (400, "pagination_limit_invalid")),
    "a limit with a newline": ("/v1/orders?limit=1%0A", (400, "pagination_limit_invalid")),
    "a limit of 5,000 digits": ("/v1/orders?limit=" + "1" * 5000, (400, "pagination_limit_invalid")),
    "a very long cursor": ("/v1/orders?after=" + "x" * 50_000, (400, "id_invalid")),
    "a cursor of quotes": ("/v1/orders?after=%27%3B--", (400, "id_invalid")),
    "a bundle cursor of quotes": ("/v1/bundles?after=%27%3B--", (400, "bundle_id_invalid")),
    "a time beyond the calendar": ("/v1/orders?created_to=99999-01-01T00:00:00Z", BAD),
}
HOSTILE = BODIES | {
    name: Hostile(b"", expected, (), target, "GET") for name, (target, expected) in TARGETS.items()
}


@pytest.mark.parametrize("hostile", [pytest.param(case, id=name) for name, case in HOSTILE.items()])
def test_a_hostile_request_is_refused_and_nothing_is_ordered(
    send: Send, refusal: Refusal, orders_stored: Callable[[], int], hostile: Hostile
) -> None:
    before = orders_stored()
    answer = send(hostile.method, hostile.target, headers=hostile.headers, body=hostile.body)
    assert refusal(answer) == hostile.expected
    assert orders_stored() == before


# The other side of those limits.


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(FINE, JSON, id="a kilogram"),
        pytest.param(padded(BODY_BYTES_MAX), JSON, id="100,000 bytes"),
        pytest.param(b" \r\n\t" + FINE + b"\n", JSON, id="blanks around"),
        pytest.param(amount(b'"' + b"0" * 59 + b'1"'), JSON, id="60 digits"),
        pytest.param(amount(b'"\\u0031"'), JSON, id="an escaped digit"),
        pytest.param(rest(b'"metadata":{"a":"' + b"[{" * 200 + b'"}'), JSON, id="400 brackets in a string"),
        pytest.param(rest(b'"metadata":{"a":"\\ud83c\\udf31"}'), JSON, id="a surrogate pair"),
        pytest.param(rest(b'"metadata":{"a":"\\\\u0000"}'), JSON, id="an escaped backslash before u0000"),
        pytest.param(FINE, typed("APPLICATION/JSON"), id="capitals"),
        pytest.param(FINE, typed('application/json; charset="UTF-8"'), id="charset utf-8"),
        pytest.param(FINE, typed("application/json;charset=utf8;v=1"), id="more parameters"),
        pytest.param(
            b"10\r\n" + FINE[:16] + b"\r\n%x\r\n" % (len(FINE) - 16) + FINE[16:] + b"\r\n0\r\n\r\n",
            [*JSON, ("Transfer-Encoding", "chunked")],
            id="chunked",
        ),
    ],
)
def test_an_unusual_request_that_is_right_is_carried_out(
    send: Send, body: bytes, headers: Sequence[tuple[str, str | bytes]]
) -> None:
    answer = send("POST", "/v1/orders/by-mass", headers=headers, body=body)
    assert answer.status_code == 200, answer.text


def test_32_levels_are_read_and_then_refused_for_what_they_hold(send: Send) -> None:
    messages = [
        send("POST", "/v1/orders/by-mass", headers=JSON, body=nested(depth)).json()["error"]["message"]
        for depth in (32, 33)
    ]
    assert "32 levels" not in messages[0]
    assert "32 levels" in messages[1]


def test_an_unknown_property_is_named(send: Send) -> None:
    for body, name in (
        (rest(b'"bundel_selection":[]'), "/bundel_selection"),
        (b'{"mass":{"amount":"1","unit":"kg","unti":1}}', "/mass/unti"),
        (selection(b'[{"bundle_id":"x","percent":1}]'), "/bundle_selection/0/percent"),
    ):
        answer = send("POST", "/v1/orders/by-mass", headers=JSON, body=body).json()
        assert answer["violations"][0]["pointer"] == name
        assert name in answer["error"]["message"]


def test_a_header_with_a_nul_is_refused(service: Service, send: Send) -> None:
    answer = send("GET", "/v1/orders", headers=[("Lune-Version", b"2024-08-08\x00")])
    assert 400 <= answer.status_code < 500


def test_an_endless_body_is_refused_while_it_is_being_sent(service: Service) -> None:
    address = urlsplit(service.base_url)
    assert address.hostname is not None
    head = (
        f"POST /v1/orders/by-mass HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.key().api_key}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with socket.create_connection((address.hostname, address.port or 80), timeout=30) as connection:
        connection.sendall(head.encode())
        sent = 0
        answered = b""
        connection.settimeout(0.01)
        while sent < ENDLESS_BYTES and not answered:
            try:
                connection.sendall(chunk)
                sent += len(chunk)
                answered = connection.recv(65536)
            except TimeoutError:
                continue
            except OSError:
                break
    assert answered.startswith(b"HTTP/1.1 413 "), f"no answer after {sent} bytes"


def test_a_body_made_to_be_slow_to_read_does_not_stop_the_service(send: Send, refusal: Refusal) -> None:
    # Each of these quotes may begin a string, and none of them ends one.
    quotes = b"[" * 33 + b'"' + b'\\"' * 49_000
    answer = send("POST", "/v1/orders/by-mass", headers=JSON, body=quotes, seconds_max=10)
    assert refusal(answer) == BAD


def test_after_all_that_an_order_is_placed(api: httpx.Client, orders_stored: Callable[[], int]) -> None:
    before = orders_stored()
    body: dict[str, Any] = {"mass": {"amount": "12.07", "unit": "kg"}}
    placed = api.post("/orders/by-mass", json=body)
    assert placed.json()["total_cost"] == "0.35"
    assert orders_stored() == before + 1


def test_there_are_at_least_sixty() -> None:
    assert len(HOSTILE) >= 60
