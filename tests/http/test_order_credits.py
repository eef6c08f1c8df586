"""From paid to proven as a buyer sees it: parts, retirements, certificate, public page, and the check of a file."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from tests.support import Service

from tonne.domain.accounts import Mode

TONNE = {"mass": {"amount": "1", "unit": "t"}}


def ordered(client: httpx.Client, tonnes: str = "20") -> dict[str, Any]:
    answer = client.post("/orders/by-mass", json={"mass": {"amount": tonnes, "unit": "t"}})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture(scope="module")
def complete(service: Service) -> dict[str, Any]:
    """A complete test order of 20 t in two bundles."""
    with service.client() as client:
        order = ordered(client)
        answer = client.post(f"/test/orders/{order['id']}/advance", json={"to": "complete"})
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


def test_a_complete_order_names_its_projects_and_their_parts_add_up_to_it(api, complete):
    assert complete["status"] == "complete"
    assert {part["status"] for part in complete["projects"]} == {"retired"}
    assert sum(float(part["quantity"]) for part in complete["projects"]) == 20
    cents = sum(round(float(part["offset_cost"]) * 100) for part in complete["projects"])
    assert cents == round(float(complete["offset_cost"]) * 100)
    assert [reached["status"] for reached in complete["status_history"]] == [
        "received",
        "placed",
        "paid",
        "retiring",
        "complete",
    ]
    assert complete["waiting_for"] is None
    assert api.get(f"/orders/{complete['id']}").json() == complete
    listed = api.get("/orders", params={"project_id": complete["projects"][0]["project_id"]}).json()["data"]
    assert complete in listed


def test_each_part_says_in_which_retirement_with_which_serial_numbers_it_is(api, complete):
    parts = api.get(f"/orders/{complete['id']}/allocations").json()
    retirements = api.get(f"/orders/{complete['id']}/retirements").json()
    assert {part["retirement_id"] for part in parts} == {retirement["id"] for retirement in retirements}
    assert sum(float(part["quantity"]) for part in parts) == 20
    for part in parts:
        assert part["status"] == "retired"
        assert part["state"] == "confirmed"
        assert part["serial_first"].startswith("TEST-")
        assert part["registry_reference"].startswith("TEST-")
        assert part["order_id"] == complete["id"]


def test_the_certificate_is_a_signed_pdf_and_the_same_file_each_time(api, complete):
    first, second = (api.get(f"/orders/{complete['id']}/certificate") for _ in range(2))
    assert first.headers["content-type"] == "application/pdf"
    assert first.headers["content-language"] == "en"
    assert first.content.startswith(b"%PDF-")
    assert first.content == second.content
    assert complete["certificate"].endswith(f"/v1/orders/{complete['id']}/certificate")
    german = api.get(f"/orders/{complete['id']}/certificate", headers={"Accept-Language": "de-CH, en;q=0.5"})
    assert german.headers["content-language"] == "de"
    assert german.content != first.content


def test_the_certificate_has_a_twin_in_json(api, complete):
    facts = api.get(f"/orders/{complete['id']}/certificate", headers={"Accept": "application/json"})
    assert facts.headers["content-type"] == "application/json"
    body = facts.json()
    assert body["order_id"] == complete["id"]
    assert body["quantity"] == "20"
    assert body["mode"] == "test"
    assert sum(float(part["order_quantity"]) for part in body["retirements"]) == 20
    page = httpx.get(
        complete["public_certificate_url"], headers={"Accept": "application/json"}, trust_env=False
    )
    assert page.json() == body


def test_an_order_that_is_not_complete_has_no_certificate_and_no_public_page(api, refusal, service):
    order = ordered(api, "0.001")
    assert order["certificate"] is None
    assert order["public_certificate_url"] is None
    assert order["waiting_for"] == "tonne"
    answer = api.get(f"/orders/{order['id']}/certificate")
    assert refusal(answer) == (404, "not_found")
    assert "paid" in answer.json()["detail"]
    # Its kilogram, pooled whenever the worker gets to it, would keep others' last tonnes open.
    api.post(f"/test/orders/{order['id']}/advance", json={"to": "complete"}).raise_for_status()


def test_the_public_page_shows_the_facts_to_whoever_has_the_address(complete):
    page = httpx.get(complete["public_certificate_url"], headers={"Accept": "text/html"}, trust_env=False)
    assert page.status_code == 200
    assert "Demo Shop" in page.text
    assert "TEST: nothing was retired" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text


@pytest.mark.parametrize(
    "change", [lambda url: url[:-1], lambda url: url[:-64] + "A" * 64, lambda url: url + "x"]
)
def test_an_address_that_was_not_given_out_shows_nothing(complete, change):
    url = change(complete["public_certificate_url"])
    as_page = httpx.get(url, headers={"Accept": "text/html"}, trust_env=False)
    assert as_page.status_code == 404
    assert "Nothing to show" in as_page.text
    as_json = httpx.get(url, trust_env=False)
    assert as_json.status_code == 404
    assert as_json.json()["error"]["error_code"] == "not_found"


def test_a_file_is_checked_as_it_is_and_in_a_form(service, api, complete):
    pdf = api.get(f"/orders/{complete['id']}/certificate").content
    url = f"{service.base_url}/proof/check"
    with httpx.Client(trust_env=False) as anyone:
        sent = anyone.post(url, content=pdf, headers={"Content-Type": "application/pdf"})
        assert sent.json()["valid"] is True
        assert sent.json()["findings"][0]["code"] == "valid"
        in_form = anyone.post(
            url, files={"file": ("c.pdf", pdf, "application/pdf")}, headers={"Accept": "text/html"}
        )
        assert "exactly as it was signed" in in_form.text
        longer = anyone.post(url, content=pdf + b"\n", headers={"Content-Type": "application/pdf"})
        assert longer.json()["valid"] is False
        assert longer.json()["findings"][0]["code"] == "not_whole"
        nothing = anyone.post(url, content=b"", headers={"Content-Type": "application/pdf"})
        assert nothing.json()["valid"] is False
        text = anyone.post(url, content=b"hello", headers={"Content-Type": "text/plain"})
        assert text.status_code == 415
        assert text.json()["error"]["error_code"] == "unsupported_media_type"
        assert anyone.get(url, headers={"Accept": "text/html"}).status_code == 200
        assert (
            anyone.get(f"{service.base_url}/proof/style.css").headers["content-type"].startswith("text/css")
        )


def test_a_file_that_was_signed_but_never_handed_out_is_not_valid(service, api, complete, run_sql):
    pdf = api.get(f"/orders/{complete['id']}/certificate", headers={"Accept-Language": "fr"}).content
    run_sql("DELETE FROM certificates WHERE language = 'fr'")
    url = f"{service.base_url}/proof/check"
    answer = httpx.post(url, content=pdf, headers={"Content-Type": "application/pdf"}, trust_env=False).json()
    assert [finding["code"] for finding in answer["findings"]] == ["unknown_file"]


def test_a_file_over_the_limit_is_refused(service):
    url = f"{service.base_url}/proof/check"
    answer = httpx.post(
        url, content=b"%" * 20_100_000, headers={"Content-Type": "application/pdf"}, trust_env=False
    )
    assert answer.status_code == 413


def test_somebody_else_s_order_has_no_credits_to_see(service, complete, refusal):
    with service.client("EUR") as other:
        for what in ("allocations", "retirements", "certificate"):
            assert refusal(other.get(f"/orders/{complete['id']}/{what}")) == (404, "not_found")
        assert refusal(other.post(f"/test/orders/{complete['id']}/advance")) == (404, "not_found")


@pytest.fixture
def behaviour(api: httpx.Client):
    """Sets the switch of the test account in US dollars; it is normal again afterwards."""

    def switch(to: str) -> None:
        answer = api.put("/test/behaviour", json={"test_behaviour": to})
        assert answer.json() == api.get("/test/behaviour").json() == {"test_behaviour": to}

    yield switch
    switch("normal")


def test_an_order_moves_step_by_step_by_hand(api, behaviour):
    behaviour("by_hand")
    order = ordered(api, "0.5")
    seen = [order["status"]]
    while seen[-1] != "complete":
        seen.append(api.post(f"/test/orders/{order['id']}/advance").json()["status"])
    assert seen == ["received", "placed", "paid", "retiring", "complete"]


def test_a_received_order_can_fail_or_be_cancelled(api, behaviour, refusal):
    behaviour("by_hand")
    for target in ("failed", "cancelled"):
        order = ordered(api)
        moved = api.post(f"/test/orders/{order['id']}/advance", json={"to": target}).json()
        assert moved["status"] == target
        assert moved["waiting_for"] is None
        answer = api.post(f"/test/orders/{order['id']}/advance")
        assert refusal(answer) == (409, "order_not_advanceable")


@pytest.mark.parametrize(
    "accept",
    [
        "application/json;q=inf",
        "text/html;q=1e999",
        "application/json;q=nan",
        "*/*;q=-1",
        ",",
        ";;;",
        "x" * 5000,
        "é",
    ],
)
def test_no_accept_header_is_too_odd_for_an_answer(api, complete, accept):
    headers = {"Accept": accept.encode()}
    assert api.get(f"/orders/{complete['id']}/certificate", headers=headers).status_code == 200
    page = httpx.get(complete["public_certificate_url"], headers=headers, trust_env=False)
    assert page.status_code == 200


@pytest.mark.parametrize("target", ["received", "placed", "failed", "cancelled"])
def test_a_complete_order_moves_nowhere(api, complete, refusal, target):
    answer = api.post(f"/test/orders/{complete['id']}/advance", json={"to": target})
    assert refusal(answer) == (409, "order_not_advanceable")


@pytest.mark.parametrize("body", [{"to": "sold"}, {"status": "paid"}, [], {"to": 1}])
def test_where_to_move_an_order_is_one_of_its_statuses(api, complete, refusal, body):
    answer = api.post(f"/test/orders/{complete['id']}/advance", json=body)
    assert refusal(answer) == (400, "validation_error")


@pytest.mark.parametrize(
    ("switch", "states", "waits_for"),
    [
        ("slow", {"submitted"}, "registry"),
        ("unsure", {"unknown"}, "registry"),
        ("out_of_stock", set(), "stock"),
    ],
)
def test_each_switch_shows_a_path_and_advancing_ends_it(api, behaviour, until, switch, states, waits_for):
    behaviour(switch)
    order = ordered(api, "20")
    url = f"/orders/{order['id']}"
    until(lambda: {r["state"] for r in api.get(f"{url}/retirements").json()} == states)
    until(lambda: api.get(url).json()["waiting_for"] == waits_for)
    assert api.post(f"/test{url}/advance", json={"to": "complete"}).json()["status"] == "complete"


def test_what_a_rejecting_registry_rejects_is_retired_with_the_next_try(api, behaviour, until):
    behaviour("rejecting")
    order = ordered(api, "20")
    until(lambda: api.get(f"/orders/{order['id']}").json()["status"] == "complete")
    states = [r["state"] for r in api.get(f"/orders/{order['id']}/retirements").json()]
    assert sorted(set(states)) == ["confirmed", "rejected"]
    assert {part["status"] for part in api.get(f"/orders/{order['id']}/allocations").json()} == {"retired"}


def test_live_orders_are_not_moved_by_hand(service, refusal):
    with service.client(mode=Mode.LIVE) as live:
        order = live.post("/orders/by-mass", json=TONNE).json()
        assert refusal(live.post(f"/test/orders/{order['id']}/advance")) == (404, "not_found")
        assert refusal(live.get("/test/behaviour")) == (404, "not_found")
        assert refusal(live.put("/test/behaviour", json={"test_behaviour": "slow"})) == (404, "not_found")


def test_the_address_of_the_public_page_is_made_of_letters_and_digits_only(complete):
    assert re.fullmatch(r"https?://[^/]+/proof/[0-9A-Za-z_-]{64}", complete["public_certificate_url"])


def test_a_test_certificate_is_valid_and_plainly_a_test(service, api, complete):
    pdf = api.get(f"/orders/{complete['id']}/certificate").content
    headers = {"Content-Type": "application/pdf"}
    url = f"{service.base_url}/proof/check"
    told = httpx.post(url, content=pdf, headers=headers, trust_env=False).json()
    assert (told["valid"], told["mode"]) == (True, "test")
    page = httpx.post(url, content=pdf, headers=headers | {"Accept": "text/html"}, trust_env=False)
    assert "TEST: nothing was retired" in page.text


@pytest.mark.parametrize(
    "form",
    [
        b'--a\r\nContent-Type: text/plain; charset=nope\r\nContent-Disposition: form-data; name="x"\r\n\r\nx\r\n--a--\r\n',
        b"--a\r\nContent-Disposition: form-data\r\n\r\nx\r\n--a--\r\n",
        b"--a",
        b"",
    ],
)
def test_a_form_that_is_none_is_refused(service, form):
    headers = {"Content-Type": "multipart/form-data; boundary=a"}
    answer = httpx.post(f"{service.base_url}/proof/check", content=form, headers=headers, trust_env=False)
    assert answer.status_code in (400, 415)
    assert set(answer.json()) >= {
        "error",
        "errors",
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "violations",
    }


def test_a_refusal_of_a_page_is_in_the_one_error_body(service, refusal):
    url = f"{service.base_url}/proof/check"
    answer = httpx.post(
        url, content=b"x" * 20_020_000, headers={"Content-Type": "application/pdf"}, trust_env=False
    )
    assert answer.status_code == 413
    assert answer.json()["error"]["error_code"] == "payload_too_large"
    page = httpx.post(
        url, content=b"x", headers={"Content-Type": "text/plain", "Accept": "text/html"}, trust_env=False
    )
    assert page.status_code == 415
    assert "address copied whole" not in page.text


def test_what_is_not_wanted_is_not_sent(api, complete):
    url = f"/orders/{complete['id']}/certificate"
    for accept in ("application/json;q=0, application/pdf", "application/json;q=0", "*/*"):
        assert api.get(url, headers={"Accept": accept}).headers["content-type"] == "application/pdf"
    for accept in ("application/json", "application/pdf;q=0.1, application/json"):
        assert api.get(url, headers={"Accept": accept}).headers["content-type"] == "application/json"


def test_only_public_pages_are_for_search_engines(complete):
    page = httpx.get(complete["public_certificate_url"], trust_env=False)
    assert page.headers["x-robots-tag"] == "noindex"
