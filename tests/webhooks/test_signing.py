"""Both signatures: equal to published vectors, accepted by the official library, refused when a byte changes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from tests.delivering.other_header import check_other_header

from tonne.client.webhooks import WebhookNotGenuine, check_signature, read_webhook
from tonne.webhooks.signing import format_secret, parse_secret, sign

ORGANISATION = UUID("00000000-0000-7000-8000-00000000d340")
SECRET = format_secret(bytes(range(32)))
OTHER = format_secret(bytes(range(1, 33)))
# Of the official libraries' own tests (github.com/standard-webhooks/standard-webhooks).
PUBLISHED_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PUBLISHED_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
PUBLISHED_AT = 1614265330
PUBLISHED_BODY = b'{"test": 2432232314}'
PUBLISHED_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
# RFC 4231, test case 2: what HMAC-SHA256 is.
RFC_4231 = (
    b"Jefe",
    b"what do ya want for nothing?",
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
)


def signed(body: bytes, *secrets: str, at: datetime | None = None) -> dict[str, str]:
    return sign(
        body,
        message_id="0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e17",
        organisation_id=ORGANISATION,
        secrets=secrets or [SECRET],
        at=at or datetime.now(UTC),
    )


def test_the_standard_signature_is_the_published_one() -> None:
    at = datetime.fromtimestamp(PUBLISHED_AT, UTC)
    headers = sign(
        PUBLISHED_BODY,
        message_id=PUBLISHED_ID,
        organisation_id=ORGANISATION,
        secrets=[PUBLISHED_SECRET],
        at=at,
    )
    assert headers["webhook-signature"] == PUBLISHED_SIGNATURE
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (PUBLISHED_ID, str(PUBLISHED_AT))
    check_signature(PUBLISHED_BODY, headers, PUBLISHED_SECRET, now=PUBLISHED_AT)


def test_hmac_is_that_of_the_rfc() -> None:
    key, text, mac = RFC_4231
    assert hmac.digest(key, text, hashlib.sha256).hex() == mac


def test_the_other_header_is_what_the_contract_says() -> None:
    at = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    headers = sign(b'{"events":[]}', message_id="m", organisation_id=ORGANISATION, secrets=[SECRET], at=at)
    mac = hmac.digest(SECRET.encode(), b'1769851800.{"events":[]}', "sha256")
    assert headers["Lune-HMAC"] == (
        f"timestamp=1769851800,organisation={ORGANISATION},v1={mac.hex()},v1={base64.b64encode(mac).decode()}"
    )
    # Calculated with OpenSSL: openssl dgst -sha256 -hmac "$SECRET".
    assert mac.hex() == "72f44dce75071e1683069ec263921af8e3b233e853984aed90a6a8b749580b20"


@given(st.binary(max_size=300).map(lambda noise: json.dumps({"events": [noise.hex()]}).encode()))
def test_the_official_library_and_ours_accept_what_is_signed(body: bytes) -> None:
    headers = signed(body)
    assert Webhook(SECRET).verify(body, headers) == json.loads(body)
    assert read_webhook(body, headers, SECRET) == json.loads(body)["events"]
    check_other_header(body, headers["Lune-HMAC"], SECRET)


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    body = b'{"events":[{"event_id":"00000000-0001-8b02-9c23-137ad6624f62"}]}'
    headers = signed(body)
    place = data.draw(st.integers(0, len(body) - 1))
    changed = bytearray(body)
    changed[place] ^= data.draw(st.integers(1, 127))
    with pytest.raises((WebhookVerificationError, ValueError)):
        Webhook(SECRET).verify(bytes(changed), headers)
    with pytest.raises(WebhookNotGenuine):
        check_signature(bytes(changed), headers, SECRET)
    with pytest.raises(ValueError, match="not genuine"):
        check_other_header(bytes(changed), headers["Lune-HMAC"], SECRET)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_changed_or_missing_header_is_refused(name: str) -> None:
    headers = signed(b'{"events":[]}')
    with pytest.raises(WebhookNotGenuine):
        check_signature(b'{"events":[]}', headers | {name: headers[name][:-2] + "9x"}, SECRET)
    del headers[name]
    with pytest.raises(WebhookNotGenuine, match=f"{name} is missing"):
        check_signature(b'{"events":[]}', headers, SECRET)


def test_another_secret_is_refused() -> None:
    headers = signed(b'{"events":[]}')
    with pytest.raises(WebhookNotGenuine):
        check_signature(b'{"events":[]}', headers, OTHER)
    check_signature(b'{"events":[]}', headers, [OTHER, SECRET])


def test_while_secrets_overlap_either_is_accepted() -> None:
    headers = signed(b'{"events":[]}', OTHER, SECRET)
    for secret in (OTHER, SECRET):
        Webhook(secret).verify(b'{"events":[]}', headers)
        check_signature(b'{"events":[]}', headers, secret)
        check_other_header(b'{"events":[]}', headers["Lune-HMAC"], secret)


@pytest.mark.parametrize(("ago", "genuine"), [(299, True), (301, False), (-299, True), (-302, False)])
def test_what_was_signed_long_ago_or_ahead_is_refused(ago: int, *, genuine: bool) -> None:
    at = datetime.now(UTC)
    headers = signed(b'{"events":[]}', at=at - timedelta(seconds=ago))
    if genuine:
        check_signature(b'{"events":[]}', headers, SECRET, now=int(at.timestamp()))
    else:
        with pytest.raises(WebhookNotGenuine, match="s ago"):
            check_signature(b'{"events":[]}', headers, SECRET, now=int(at.timestamp()))


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_x", SECRET[6:], "whsec_" + "A" * 200, SECRET + "\n"])
def test_what_is_no_secret_is_said_to_be_none(secret: str) -> None:
    with pytest.raises(ValueError, match="a secret is"):
        parse_secret(secret)
    with pytest.raises(ValueError, match="a secret is"):
        check_signature(b"", {}, secret)
