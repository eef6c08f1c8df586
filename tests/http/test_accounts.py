"""Contract, section 10: accounts come in pairs, client accounts in one mode; PUT replaces, PATCH keeps; logos."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from PIL import Image
from pypdfium2 import PdfDocument
from tests.paying import broken_rules, open_payer

from tonne.application.identifiers import new_id
from tonne.domain.accounts import Billing, Mode, Scope

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="#c00"/></svg>'


@pytest.fixture(scope="module", autouse=True)
def books(service):
    yield
    assert broken_rules(service.database_url) == {}


@pytest.fixture
def own(service):
    """A client with a key of an account of its own."""
    with open_payer(service, mode=Mode.TEST).client() as client:
        yield client


def create(api, **entry):
    return api.post("/accounts", json={"name": "Example Freight", "currency": "EUR"} | entry)


def create_client(api, **entry):
    entry = {"name": "A customer", "currency": "USD"} | entry
    return api.post("/accounts/client", json=entry).raise_for_status().json()


def test_an_account_is_opened_as_a_pair(api, service):
    pair = create(api, beneficiary="Example Freight Ltd", handle="pair").raise_for_status().json()
    assert set(pair) == {"live", "test"}
    assert (pair["live"]["type"], pair["test"]["type"]) == ("live", "test")
    assert pair["live"]["sibling_id"] == pair["test"]["id"]
    assert pair["test"]["sibling_id"] == pair["live"]["id"]
    assert {pair["live"]["beneficiary"], pair["test"]["beneficiary"]} == {"Example Freight Ltd"}
    assert api.get(f"/accounts/{pair['test']['id']}").json() == pair["test"]
    # A test key sees test accounts only.
    assert api.get(f"/accounts/{pair['live']['id']}").status_code == 404
    with service.client(mode=Mode.LIVE) as live:
        assert live.get(f"/accounts/{pair['live']['id']}").json() == pair["live"]
    order = api.post("/orders/by-mass", json=KILOGRAM, headers={"Lune-Account": pair["test"]["id"]}).json()
    assert (order["currency"], order["beneficiary"]["name"]) == ("EUR", "Example Freight Ltd")


def test_accounts_are_listed_page_by_page_oldest_first(api):
    for _ in range(3):
        create(api).raise_for_status()
    create_client(api)
    seen, after = [], ""
    while True:
        page = api.get(f"/accounts?limit=2{after}").raise_for_status().json()
        seen += [account["id"] for account in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert seen == sorted(set(seen))
    assert {account["scope"] for account in api.get("/accounts?limit=100").json()["data"]} == {"account"}


@pytest.mark.parametrize(
    ("entry", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "a\u202eb"}, "/name"),
        ({"currency": "XXX"}, "/currency"),
        ({"currency": "eur"}, "/currency"),
        ({"beneficiary": ""}, "/beneficiary"),
        ({"beneficiary": "\u200f\u200f"}, "/beneficiary"),
        ({"handle": "x"}, "/handle"),
        ({"handle": "x" * 41}, "/handle"),
        ({"handle": "With Capitals"}, "/handle"),
        ({"handle": "trailing-"}, "/handle"),
        ({"handle": "new\n"}, "/handle"),
        ({"beneficary": "x"}, "/beneficary"),
    ],
)
def test_an_account_that_can_not_be_is_refused(api, refusal, run_sql, entry, pointer):
    before = run_sql("SELECT count(*) FROM accounts")
    for path in ("/accounts", "/accounts/client"):
        answer = api.post(path, json={"name": "Example", "currency": "EUR"} | entry)
        assert refusal(answer) == (400, "validation_error")
        assert answer.json()["violations"][0]["pointer"] == pointer
    assert run_sql("SELECT count(*) FROM accounts") == before


def test_put_replaces_and_patch_keeps(own, refusal):
    handle = f"h{new_id().hex[-12:]}"
    first = own.put(
        "/accounts/me", json={"name": "First", "beneficiary": "Somebody", "handle": handle}
    ).json()
    assert (first["name"], first["beneficiary"], first["handle"]) == ("First", "Somebody", handle)
    patched = own.patch("/accounts/me", json={"beneficiary": "Another"}).json()
    assert patched == first | {"beneficiary": "Another"}
    patched = own.patch("/accounts/me", json={"handle": None, "external_pages_visibility": "public"}).json()
    assert (patched["handle"], patched["external_pages_visibility"]) == (None, "public")
    assert own.patch("/accounts/me", json={}).json() == patched
    replaced = own.put("/accounts/me", json={"name": "Second", "currency": "USD"}).json()
    assert (replaced["name"], replaced["beneficiary"], replaced["external_pages_visibility"]) == (
        "Second",
        None,
        "private",
    )
    assert own.get("/accounts/me").json() == replaced
    for method in ("put", "patch"):
        answer = own.request(method, "/accounts/me", json={"name": "Third", "currency": "EUR"})
        assert refusal(answer) == (400, "validation_error")
    assert refusal(own.patch("/accounts/me", json={"name": None})) == (400, "validation_error")
    assert refusal(own.put("/accounts/me", json={})) == (400, "validation_error")


def test_the_next_order_is_for_the_new_beneficiary(own):
    for name in ("One Ltd", "Two Ltd"):
        own.patch("/accounts/me", json={"beneficiary": name}).raise_for_status()
        assert own.post("/orders/by-mass", json=KILOGRAM).json()["beneficiary"]["name"] == name


def test_a_handle_is_one_account_s(api, own, refusal):
    create(api, handle="taken").raise_for_status()
    assert refusal(create(api, handle="taken")) == (409, "account_handle_already_exists")
    assert refusal(own.patch("/accounts/me", json={"handle": "taken"})) == (
        409,
        "account_handle_already_exists",
    )


def test_a_client_account_is_ordered_for_by_name_of_its_id(api, refusal):
    client = create_client(api, beneficiary="A customer's name", idempotency_key="customer-1")
    assert (client["scope"], client["sibling_id"], client["idempotency_key"]) == (
        "client_account",
        None,
        "customer-1",
    )
    again = api.post(
        "/accounts/client", json={"name": "A customer", "currency": "USD", "idempotency_key": "customer-1"}
    )
    assert refusal(again) == (409, "account_idempotency_already_exists")
    assert again.headers["location"] == f"/v1/accounts/client/{client['id']}"
    as_client = {"Lune-Account": client["id"]}
    order = api.post("/orders/by-mass", json=KILOGRAM, headers=as_client).raise_for_status().json()
    assert (order["account_id"], order["beneficiary"]["name"]) == (client["id"], "A customer's name")
    assert api.get("/accounts/client/me", headers=as_client).json() == client
    assert refusal(api.get("/accounts/client/me")) == (404, "not_found")
    changed = api.patch("/accounts/client/me", json={"name": "Renamed"}, headers=as_client).json()
    assert changed == client | {"name": "Renamed"}
    assert api.get(f"/accounts/client/{client['id']}").json() == changed
    assert api.get(f"/accounts/{client['id']}").status_code == 404
    assert client["id"] in {a["id"] for a in api.get("/accounts/client?limit=100").json()["data"]}
    assert api.put(f"/accounts/client/{client['id']}", json={"name": "Whole"}).json()["beneficiary"] is None


def test_an_operator_suspends_and_resumes_an_account(service, refusal):
    operator = open_payer(service, mode=Mode.TEST, scopes=frozenset({Scope.OPERATOR}))
    buyer = open_payer(service, mode=Mode.TEST)
    url = f"/operator/accounts/{buyer.account.account_id}"
    with operator.client() as client, buyer.client() as buying:
        assert client.post(f"{url}/suspend").json() == {
            "account_id": str(buyer.account.account_id),
            "suspended": True,
            "changed": True,
        }
        assert client.post(f"{url}/suspend").json()["changed"] is False
        assert refusal(buying.post("/orders/by-mass", json=KILOGRAM)) == (409, "account_suspended")
        assert client.post(f"{url}/resume").json()["changed"] is True
        assert buying.post("/orders/by-mass", json=KILOGRAM).status_code == 200
        assert refusal(buying.post(f"{url}/suspend")) == (403, "insufficient_scope")


def logo(kind="PNG"):
    written = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(written, kind)
    return written.getvalue()


@pytest.mark.parametrize("sent", [logo(), logo("JPEG"), SVG], ids=["png", "jpeg", "svg"])
def test_a_logo_is_served_and_stands_on_the_certificates_from_then_on(own, sent):
    def certificate():
        order = own.post("/orders/by-mass", json=KILOGRAM).json()
        own.post(f"/test/orders/{order['id']}/advance", json={"to": "complete"}).raise_for_status()
        return order["id"], own.get(f"/orders/{order['id']}/certificate").content

    before_id, before = certificate()
    shown = own.put("/accounts/me/logo", content=sent).raise_for_status().json()
    served = httpx.get(shown["logo"], trust_env=False)
    assert served.status_code == 200
    assert "default-src 'none'" in served.headers["content-security-policy"]
    _, after = certificate()
    assert _red_dots(after)
    assert not _red_dots(before)
    assert own.get(f"/orders/{before_id}/certificate").content == before
    assert own.delete("/accounts/me/logo").json()["logo"] is None


def _red_dots(pdf):
    picture = PdfDocument(pdf)[0].render(scale=1).to_pil().convert("RGB")
    return (
        sum(red > 170 and green < 40 and blue < 40 for red, green, blue in picture.get_flattened_data()) > 20
    )


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 415),
        (b"no picture", 415),
        (b"<html/>", 400),
        (b"<svg", 400),
        (SVG.replace(b"<rect", b"<image href='/etc/passwd'/><rect"), 400),
        (b"x" * 2_000_001, 413),
        (logo()[:50], 400),
    ],
)
def test_what_is_no_logo_is_refused_and_changes_nothing(own, sent, status):
    answer = own.put("/accounts/me/logo", content=sent)
    assert answer.status_code in ((400, 415) if status == 400 else (status,))
    assert own.get("/accounts/me").json()["logo"] is None


def _png(side):
    written = io.BytesIO()
    Image.new("1", (side, side)).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


BIG = _png(2001)


def _drawing(inner):
    return SVG.replace(b"<rect", inner.encode() + b"<rect")


@pytest.mark.parametrize(
    "sent",
    [
        _drawing("<g>" * 20_000 + "</g>" * 20_000),
        _drawing("<rect/>" * 6000),
        _drawing('<filter id="f"><feTurbulence numOctaves="100000000"/></filter><rect filter="url(#f)"/>'),
        _drawing("".join(f'<g id="a{n}">' + f'<use href="#a{n - 1}"/>' * 10 + "</g>" for n in range(1, 9))),
        _drawing('<pattern id="p"><rect fill="url(#p)"/></pattern><rect fill="url(#p)"/>'),
        _drawing('<style>rect{fill:url(#p)}</style><pattern id="p"><rect/></pattern>'),
        _drawing("<use href='#x'/>" * 201),
        _drawing(f'<image href="data:image/png;base64,{BIG}"/>'),
        _drawing('<image href="data:image/png;base64,iVBORw0K"/>'),
        b'<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG,
    ],
    ids=[
        "deep",
        "many",
        "effect",
        "multiplied",
        "pattern",
        "style",
        "references",
        "picture",
        "no-picture",
        "entity",
    ],
)
def test_a_drawing_that_would_take_long_is_refused(own, refusal, sent):
    assert refusal(own.put("/accounts/me/logo", content=sent)) == (400, "validation_error")


def test_a_drawing_with_gradients_and_copies_is_a_logo(own):
    drawing = _drawing(
        '<defs><linearGradient id="g"><stop offset="0" stop-color="#c00"/></linearGradient>'
        '<g id="x"><rect width="4" height="4" fill="url(#g)"/></g></defs>'
        f'<use href="#x"/><use href="#x" x="5"/><image width="9" height="9" href="data:image/png;base64,{_png(9)}"/>'
    )
    assert own.put("/accounts/me/logo", content=drawing).status_code == 200


def test_what_an_account_opens_is_trusted_no_more_than_itself(service, refusal):
    payer = open_payer(service, billing=Billing.PREPAID, mode=Mode.LIVE)
    with payer.client() as client:
        assert refusal(client.post("/orders/by-mass", json=KILOGRAM)) == (409, "insufficient_credits")
        opened = [create(client).json()["live"]["id"], create_client(client)["id"]]
        for account_id in opened:
            headers = {"Lune-Account": account_id}
            answer = client.post("/orders/by-mass", json=KILOGRAM, headers=headers)
            assert refusal(answer) == (409, "insufficient_credits")


def test_changes_at_once_keep_what_the_other_changed(service):
    payer = open_payer(service, mode=Mode.TEST)
    with payer.client() as one, payer.client() as other, ThreadPoolExecutor(2) as threads:
        for n in range(10):
            sent = [
                threads.submit(client.patch, "/accounts/me", json=change)
                for client, change in ((one, {"beneficiary": f"B{n} Ltd"}), (other, {"handle": f"once-{n}"}))
            ]
            assert [answer.result().status_code for answer in sent] == [200, 200]
            account = one.get("/accounts/me").json()
            assert (account["beneficiary"], account["handle"]) == (f"B{n} Ltd", f"once-{n}")


def test_a_suspended_account_opens_none(service, refusal):
    operator = open_payer(service, mode=Mode.TEST, scopes=frozenset({Scope.OPERATOR}))
    buyer = open_payer(service, mode=Mode.TEST)
    with operator.client() as client, buyer.client() as buying:
        client.post(f"/operator/accounts/{buyer.account.account_id}/suspend").raise_for_status()
        assert refusal(create(buying)) == (409, "account_suspended")
        entry = {"name": "A customer", "currency": "USD"}
        assert refusal(buying.post("/accounts/client", json=entry)) == (409, "account_suspended")


def test_a_drawing_is_made_safe(own):
    evil = SVG.replace(b"<rect", b"<script>alert(1)</script><rect onclick='alert(1)'").replace(
        b"</svg>", b"<a href='javascript:alert(1)'><text>x</text></a><foreignObject/></svg>"
    )
    shown = own.put("/accounts/me/logo", content=evil)
    if shown.status_code == 200:
        drawn = httpx.get(shown.json()["logo"], trust_env=False).content
        assert not any(word in drawn for word in (b"script", b"onclick", b"alert", b"foreignObject"))
    else:
        assert shown.status_code == 400
