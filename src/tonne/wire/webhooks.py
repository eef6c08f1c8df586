"""Webhooks on the wire: contract, section 10."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from tonne.application.identifiers import read_id
from tonne.application.manage_webhooks import OVERLAP_HOURS_MAX, NewSecret, WebhookWishes
from tonne.domain.errors import ValidationFailed
from tonne.domain.events import format_sequence
from tonne.domain.times import format_time
from tonne.domain.webhooks import Webhook
from tonne.storage.deliveries import Attempt
from tonne.webhooks.sending import URL_LENGTH_MAX, Answered
from tonne.wire.common import NO_NUL, Id, Time

ACCOUNTS_MAX = 1000

Url = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=URL_LENGTH_MAX,
        extra_json_schema=NO_NUL,
        description="Where events are delivered to: https, at a public address.",
        examples=["https://example.com/hook"],
    ),
]
AccountIds = Annotated[
    list[Annotated[str, Meta(max_length=100, extra_json_schema=NO_NUL)]],
    Meta(
        max_length=ACCOUNTS_MAX,
        description="Whose events are delivered; those of every account of the key's mode where it is left out or empty.",
    ),
]


class CreateWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to deliver events to, and whose."""

    url: Url
    account_ids: AccountIds | None = None

    def to_wishes(self) -> WebhookWishes:
        """Read what the webhook is to be."""
        return WebhookWishes(self.url, _read_accounts(self.account_ids))


class UpdateWebhook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a webhook is to be from now on."""

    url: Url
    enabled: bool
    account_ids: AccountIds | None = None

    def to_wishes(self) -> WebhookWishes:
        """Read what the webhook is to be."""
        return WebhookWishes(self.url, _read_accounts(self.account_ids), self.enabled)


class RotateSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the old secret signs beside the new one."""

    overlap_hours: Annotated[
        int, Meta(ge=0, le=OVERLAP_HOURS_MAX, description="0 ends the old secret at once.")
    ] = 0


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From which event on the account's events are delivered again."""

    sequence: Annotated[
        str,
        Meta(
            description="The `sequence` of the first event to deliver again.",
            max_length=20,
            extra_json_schema={"pattern": "^[0-9]{1,20}$"},
            examples=["00000000000000000001"],
        ),
    ]


class WebhookBody(msgspec.Struct, frozen=True):
    """A webhook."""

    id: Id
    url: str
    enabled: Annotated[bool, Meta(description="Disabled by itself after ten attempts in a row that failed.")]
    account_type: Annotated[
        str,
        Meta(
            description="Whether it covers live or test accounts: those of the key that created it.",
            extra_json_schema={"enum": ["live", "test"]},
        ),
    ]
    account_ids: Annotated[list[str] | None, Meta(description="null: every account of the type.")]
    created_at: Time
    secret: Annotated[
        str, Meta(description="Whole when it was made just now; else its last four characters.")
    ]
    former_secret_ends_at: Annotated[
        Time | None, Meta(description="Until when the secret before this one signs, too.")
    ]
    disabled_at: Time | None
    disabled_reason: Annotated[str | None, Meta(description="Why it was disabled by itself; else null.")]


class PingResult(msgspec.Struct, frozen=True):
    """What became of a request."""

    acknowledged: Annotated[bool, Meta(description="Whether the endpoint answered 2xx in time.")]
    status: Annotated[int | None, Meta(description="The HTTP status; null where none came.")]
    error: str | None
    duration_ms: int
    answer: Annotated[str, Meta(description="The first kilobyte of what the endpoint answered.")]


class AttemptBody(msgspec.Struct, frozen=True):
    """A request that delivered some events, or failed to."""

    id: Id
    webhook_id: Id
    account_id: Id
    batch_id: Annotated[
        str, Meta(description="The header `webhook-id`: the same in each attempt of a batch.")
    ]
    sequence_first: str
    sequence_last: str
    attempt: Annotated[int, Meta(description="1 the first time.")]
    sent_at: Time
    acknowledged: bool
    status: int | None
    error: str | None
    duration_ms: int
    answer: Annotated[str, Meta(description="The first kilobyte of what the endpoint answered.")]
    next_attempt_at: Annotated[Time | None, Meta(description="null where none follows.")]


class AttemptPage(msgspec.Struct, frozen=True):
    """A page of attempts, the newest first."""

    data: list[AttemptBody]
    has_more: bool
    next_cursor: Annotated[str | None, Meta(description="Pass it as `after`; null when there is no more.")]


class ReplayResult(msgspec.Struct, frozen=True):
    """What is delivered again."""

    events: Annotated[int, Meta(description="How many are to come.")]


def webhook_body(webhook: Webhook, secret: str | None = None) -> WebhookBody:
    """Print a webhook, with its whole secret where that is new."""
    return WebhookBody(
        id=str(webhook.webhook_id),
        url=webhook.url,
        enabled=webhook.enabled,
        account_type=webhook.mode.value,
        account_ids=None if webhook.account_ids is None else [str(each) for each in webhook.account_ids],
        created_at=format_time(webhook.created_at),
        secret=secret or webhook.secret_end,
        former_secret_ends_at=None if webhook.former_until is None else format_time(webhook.former_until),
        disabled_at=None if webhook.disabled_at is None else format_time(webhook.disabled_at),
        disabled_reason=webhook.disabled_reason,
    )


def new_webhook_body(new: NewSecret) -> WebhookBody:
    """Print a webhook with its new secret."""
    return webhook_body(new.webhook, new.secret)


def ping_result(answered: Answered) -> PingResult:
    """Print what became of a ping."""
    return PingResult(
        answered.is_acknowledged,
        answered.status,
        answered.error,
        answered.duration_ms,
        _text(answered.answer),
    )


def attempt_body(attempt: Attempt, webhook_id: str) -> AttemptBody:
    """Print an attempt."""
    return AttemptBody(
        id=str(attempt.attempt_id),
        webhook_id=webhook_id,
        account_id=str(attempt.account_id),
        batch_id=str(attempt.batch_id),
        sequence_first=format_sequence(attempt.sequence_first),
        sequence_last=format_sequence(attempt.sequence_last),
        attempt=attempt.attempt,
        sent_at=format_time(attempt.sent_at),
        acknowledged=attempt.is_acknowledged,
        status=attempt.http_status,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
        answer=_text(attempt.answer),
        next_attempt_at=None if attempt.next_at is None else format_time(attempt.next_at),
    )


def _text(answer: bytes) -> str:
    return answer.decode("utf-8", errors="replace").replace("\x00", "\ufffd")


def _read_accounts(account_ids: Sequence[str] | None) -> tuple[UUID, ...] | None:
    if not account_ids:
        return None
    found = []
    for position, text in enumerate(account_ids):
        account_id = read_id(text)
        if account_id is None:
            raise ValidationFailed.at(f"/account_ids/{position}", f"{text!r} is no account's id")
        found.append(account_id)
    return tuple(dict.fromkeys(found))
