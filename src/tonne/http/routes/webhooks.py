"""Webhooks: where the events of an organisation's accounts are delivered to."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, delete, get, post, put
from litestar.params import JSONBody, QueryParameter

from tonne.application.identifiers import read_id, utc_now
from tonne.application.number_events import number_own
from tonne.domain.accounts import Directory
from tonne.domain.errors import (
    IdInvalid,
    NotFound,
    PaginationLimitInvalid,
    ValidationFailed,
)
from tonne.domain.events import parse_sequence
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, After, Limit, refusals
from tonne.http.paging import first_page, read_cursor, read_limit
from tonne.http.request import ApiRequest
from tonne.wire.common import NO_NUL
from tonne.wire.events import encode_delivery, ping_body
from tonne.wire.webhooks import (
    AttemptPage,
    CreateWebhook,
    PingResult,
    Replay,
    ReplayResult,
    RotateSecret,
    UpdateWebhook,
    WebhookBody,
    attempt_body,
    new_webhook_body,
    ping_result,
    webhook_body,
)

TAGS = ["Events and webhooks"]
FOUND: dict[str, Any] = {"tags": TAGS, "responses": refusals(NotFound)}


@post(
    "/webhooks",
    status_code=200,
    tags=TAGS,
    operation_id="createWebhook",
    summary="Create a webhook",
    responses=refusals(*WITH_BODY),
)
async def create_webhook(request: ApiRequest, data: JSONBody[CreateWebhook]) -> Response[WebhookBody]:
    """Have the events of your accounts delivered to a URL, from now on. The secret is answered whole this once."""
    new = await request.services.webhooks.create(
        request.account, data.to_wishes(), await _directory(request), actor=request.actor, at=utc_now()
    )
    return answer(new_webhook_body(new))


@get(
    "/webhooks",
    tags=TAGS,
    operation_id="listWebhooks",
    summary="List webhooks",
    responses=refusals(ValidationFailed),
)
async def list_webhooks(
    request: ApiRequest,
    account_id: Annotated[
        str | None,
        QueryParameter(required=False, description="Those that cover this account.", schema_extra=NO_NUL),
    ] = None,
) -> Response[list[WebhookBody]]:
    """List your organisation's webhooks for accounts of the key's mode, oldest first."""
    query = request.query("account_id")
    covering = None
    if "account_id" in query:
        covering = read_id(query["account_id"])
        account = None if covering is None else (await _directory(request)).accounts.get(covering)
        own = request.account
        if account is None or account.organisation_id != own.organisation_id or account.mode is not own.mode:
            return answer([])
    found = await request.services.webhooks.list(request.account, covering=covering)
    return answer([webhook_body(webhook) for webhook in found])


@get("/webhooks/{id:str}", operation_id="getWebhook", summary="Get a webhook", **FOUND)
async def get_webhook(request: ApiRequest) -> Response[WebhookBody]:
    """Get a webhook by its id."""
    found = await request.services.webhooks.find(request.account, read_id(request.path_params["id"]))
    return answer(webhook_body(found))


@put(
    "/webhooks/{id:str}",
    tags=TAGS,
    operation_id="updateWebhook",
    summary="Replace a webhook",
    responses=refusals(*WITH_BODY, NotFound),
)
async def put_webhook(request: ApiRequest, data: JSONBody[UpdateWebhook]) -> Response[WebhookBody]:
    """Replace a webhook's URL and accounts, and enable or disable it. Enabled again, it goes on where it stopped."""
    changed = await request.services.webhooks.change(
        request.account,
        _id(request),
        data.to_wishes(),
        await _directory(request),
        actor=request.actor,
        at=utc_now(),
    )
    return answer(webhook_body(changed))


@delete(
    "/webhooks/{id:str}", status_code=204, operation_id="deleteWebhook", summary="Delete a webhook", **FOUND
)
async def delete_webhook(request: ApiRequest) -> None:
    """Delete a webhook, with all that is known of its deliveries."""
    await request.services.webhooks.delete(request.account, _id(request), actor=request.actor, at=utc_now())


@put(
    "/webhooks/{id:str}/rotate-secret",
    tags=TAGS,
    operation_id="rotateWebhookSecret",
    summary="Rotate a webhook's secret",
    responses=refusals(*WITH_BODY, NotFound),
)
async def rotate_webhook_secret(request: ApiRequest) -> Response[WebhookBody]:
    """Give a webhook a new secret, answered whole this once. The body may be left out: the old one then ends at once.

    With `overlap_hours` requests are signed with both until that ends.
    """
    wishes = await request.optional_body(RotateSecret) or RotateSecret()
    new = await request.services.webhooks.rotate_secret(
        request.account,
        _id(request),
        overlap=timedelta(hours=wishes.overlap_hours),
        actor=request.actor,
        at=utc_now(),
    )
    return answer(new_webhook_body(new))


@post(
    "/webhooks/{id:str}/ping",
    status_code=200,
    tags=TAGS,
    operation_id="pingWebhook",
    summary="Try a webhook out",
    responses=refusals(*WITH_BODY, NotFound),
)
async def ping_webhook(request: ApiRequest) -> Response[PingResult]:
    """Send a signed `webhook.ping` event now, once, and answer what became of it. Send no body, or `{}`."""
    await request.refuse_content()
    at = utc_now()
    body = encode_delivery([ping_body(request.account, at=at)])
    answered = await request.services.webhooks.ping(request.account, _id(request), body, at=at)
    return answer(ping_result(answered))


@get(
    "/webhooks/{id:str}/attempts",
    tags=TAGS,
    operation_id="listWebhookAttempts",
    summary="List a webhook's attempts",
    responses=refusals(NotFound, ValidationFailed, PaginationLimitInvalid, IdInvalid),
)
async def list_webhook_attempts(
    request: ApiRequest, limit: Limit = None, after: After = None
) -> Response[AttemptPage]:
    """List the requests that were sent to a webhook, the newest first, with what the endpoint answered."""
    query = request.query("limit", "after")
    page_size, cursor = read_limit(query), read_cursor(query)
    webhook_id = _id(request)
    found = await request.services.webhooks.attempts(
        request.account, webhook_id, after=cursor, limit=page_size + 1
    )
    page, has_more = first_page(found, page_size)
    bodies = [attempt_body(attempt, str(webhook_id)) for attempt in page]
    return answer(AttemptPage(bodies, has_more, bodies[-1].id if has_more else None))


@post(
    "/webhooks/{id:str}/replay",
    status_code=200,
    tags=TAGS,
    operation_id="replayWebhook",
    summary="Deliver events again",
    responses=refusals(*WITH_BODY, NotFound),
)
async def replay_webhook(request: ApiRequest, data: JSONBody[Replay]) -> Response[ReplayResult]:
    """Deliver the account's events to a webhook again, from one on. They have their old ids and sequence numbers."""
    sequence = parse_sequence(data.sequence)
    if sequence is None:
        raise ValidationFailed.at("/sequence", "must be the `sequence` of an event")
    await number_own(request.services.pool, request.account)
    events = await request.services.webhooks.replay(
        request.account, _id(request), sequence=sequence, actor=request.actor, at=utc_now()
    )
    return answer(ReplayResult(events))


def _id(request: ApiRequest) -> UUID:
    webhook_id = read_id(request.path_params["id"])
    if webhook_id is None:
        raise NotFound
    return webhook_id


async def _directory(request: ApiRequest) -> Directory:
    # An account that was opened a moment ago may be named.
    await request.services.snapshots.refresh()
    return request.services.snapshots.current.directory
