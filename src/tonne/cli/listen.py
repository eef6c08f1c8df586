"""`tonne listen`: see a test account's events as they happen, and have them delivered to a program on this machine."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import click
import httpx
import msgspec

from tonne.cli.session import console
from tonne.webhooks.signing import SECRET_BYTES, format_secret, parse_secret, sign

POLL_SECONDS = 0.3
POLL_SECONDS_MAX = 10.0
FORWARD_SECONDS = 30
PAGE_SIZE = 100
_SHOWN_IN = ("order", "allocation", "webhook")
_OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class _Forward:
    """Where events are forwarded to, and with what they are signed."""

    client: httpx.Client
    url: str
    secret: str
    organisation_id: UUID

    def send(self, events: list[dict[str, Any]]) -> str:
        """Forward some events, once; returns what became of it."""
        body = msgspec.json.encode({"events": events})
        headers = sign(
            body,
            message_id=str(uuid4()),
            organisation_id=self.organisation_id,
            secrets=[self.secret],
            at=datetime.now(UTC),
        )
        began = time.monotonic()
        try:
            answer = self.client.post(
                self.url, content=body, headers={"Content-Type": "application/json", **headers}
            )
        except httpx.HTTPError as error:
            return f"not delivered: {error}"
        told = f"{answer.status_code} in {(time.monotonic() - began) * 1000:.0f} ms"
        return told if answer.status_code in _OK else f"{told}, not acknowledged"


@click.command()
@click.option(
    "--forward", "forward_url", metavar="URL", help="Deliver them, signed, to a program on this machine."
)
@click.option(
    "--secret",
    help="Sign with this secret (whsec_…) instead of one that is made and printed. [TONNE_WEBHOOK_SECRET]",
)
@click.option("--api-url", metavar="URL", help="The service. [TONNE_API_URL, default: http://127.0.0.1:8080]")
@click.option("--api-key", help="A test key. [TONNE_API_KEY]")
@click.option("--account", metavar="ID", help="Another account of the key's organisation.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only such events; may be repeated.")
@click.option("--after", metavar="SEQUENCE", help="Begin behind this event; 0 begins with the first.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
def listen(
    *,
    forward_url: str | None,
    secret: str | None,
    api_url: str | None,
    api_key: str | None,
    account: str | None,
    types: tuple[str, ...],
    after: str | None,
    as_json: bool,
) -> None:
    r"""Print a test account's events live, until Ctrl-C; with --forward deliver them to a program on this machine.

    \b
    tonne listen --api-key test_… --forward http://localhost:4242/hook

    Nothing needs to be reachable from outside. Requests are as those of a webhook, but each is sent once.
    """
    key = api_key or os.environ.get("TONNE_API_KEY")
    if not key:
        msg = "Give a test key: --api-key, or TONNE_API_KEY."
        raise click.UsageError(msg)
    base_url = (api_url or os.environ.get("TONNE_API_URL") or "http://127.0.0.1:8080").rstrip("/")
    headers = {"Authorization": f"Bearer {key}"} | ({"Lune-Account": account} if account else {})
    with (
        httpx.Client(base_url=f"{base_url}/v1", headers=headers, timeout=30, trust_env=False) as api,
        _forwarding(forward_url, secret or os.environ.get("TONNE_WEBHOOK_SECRET")) as (local, known_secret),
    ):
        try:
            me = _ask(api, "/accounts/me", {})
        except (httpx.TransportError, httpx.InvalidURL) as error:
            msg = f"There is no service at {base_url}: {error}. Start one with `tonne serve --demo`, or name it with --api-url."
            raise click.ClickException(msg) from None
        own = me.json()
        if own["type"] != "test":
            msg = "This is a live key: `tonne listen` shows a test account's events. Take a test key, or create a webhook."
            raise click.ClickException(msg)
        forward = None
        if local is not None and forward_url is not None:
            forward = _Forward(local, forward_url, known_secret, UUID(own["organisation_id"]))
            console.print(
                f"Forwarding to {forward_url}. Requests are signed with {known_secret}", markup=False
            )
        if not as_json:
            console.print(f"Listening to {own['name']} at {base_url}; Ctrl-C stops it.", markup=False)
        params = {"limit": str(PAGE_SIZE)} | ({"event_type": ",".join(types)} if types else {})
        start = {"after": after} if after is not None else {"created_from": _server_time(me).isoformat()}
        try:
            for events in _follow(api, params, start):
                told = None if forward is None else forward.send(events)
                _show(events, told, as_json=as_json)
        except KeyboardInterrupt:
            pass


@contextmanager
def _forwarding(url: str | None, secret: str | None) -> Iterator[tuple[httpx.Client | None, str]]:
    if url is None:
        yield None, ""
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{url!r} is no URL such as http://localhost:4242/hook."
        raise click.BadParameter(msg, param_hint="--forward")
    try:
        known = secret or format_secret(secrets.token_bytes(SECRET_BYTES))
        parse_secret(known)
    except ValueError as error:
        raise click.BadParameter(f"{error}.", param_hint="--secret") from None
    with httpx.Client(timeout=FORWARD_SECONDS, trust_env=False, follow_redirects=False) as client:
        yield client, known


def _follow(
    api: httpx.Client, params: dict[str, str], start: dict[str, str]
) -> Iterator[list[dict[str, Any]]]:
    """Pages of events, for ever."""
    place, wait = start, POLL_SECONDS
    while True:
        try:
            page = _ask(api, "/events", params | place).json()
            wait = POLL_SECONDS
        except httpx.TransportError as error:
            wait = min(wait * 2, POLL_SECONDS_MAX)
            console.print(f"The service does not answer ({error}); trying again.", markup=False)
            time.sleep(wait)
            continue
        if page["data"]:
            place = {"after": page["data"][-1]["sequence"]}
            yield page["data"]
        if not page["has_more"]:
            time.sleep(wait)


def _ask(api: httpx.Client, path: str, params: dict[str, str]) -> httpx.Response:
    while True:
        answer = api.get(path, params=params)
        if answer.status_code in _OK:
            return answer
        if answer.status_code in (429, 503):
            time.sleep(float(answer.headers.get("retry-after", "1")))
            continue
        try:
            message = answer.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = f"{api.base_url} answers {answer.status_code}: is it the service?"
        raise click.ClickException(message)


def _server_time(answer: httpx.Response) -> datetime:
    """Now, by the service's clock."""
    try:
        return parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _show(events: list[dict[str, Any]], told: str | None, *, as_json: bool) -> None:
    for event in events:
        if as_json:
            click.echo(msgspec.json.encode(event | ({} if told is None else {"forwarded": told})).decode())
            continue
        subject = next((event["data"][name]["id"] for name in _SHOWN_IN if name in event["data"]), "")
        line = f"{event['created_at']}  {int(event['sequence']):>8}  {event['event_type']:<18}  {subject}"
        console.print(line if told is None else f"{line}  → {told}", markup=False)
