"""What tests of webhooks share: creating them, what makes events, and what was tried."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx
from tests.support import Service, on_connection

PATH = "/webhooks"
Json = dict[str, Any]


def created(client: httpx.Client, url: str, **more: Any) -> Json:
    answer = client.post(PATH, json={"url": url, **more})
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def ordered(client: httpx.Client, **headers: str) -> str:
    answer = client.post("/orders/by-mass", json={"mass": {"amount": "1.5", "unit": "kg"}}, headers=headers)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def attempts(client: httpx.Client, webhook: Json) -> list[Json]:
    page: Json = client.get(f"{PATH}/{webhook['id']}/attempts").json()
    return list(page["data"])


def hurry(service: Service, webhook: Json, *, attempts: int | None = None) -> None:
    """Let what is to be tried again be due now, as if the time had passed and so many attempts been made."""
    on_connection(
        service.database_url,
        lambda connection: connection.execute(
            "UPDATE webhook_cursors SET due_at = now(), attempts = coalesce($2, attempts) WHERE webhook_id = $1",
            UUID(webhook["id"]),
            attempts,
        ),
    )
