"""How many requests to webhooks may be on their way from one process: endpoints that hang must not take all places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.webhooks import WEBHOOKS_MAX, Webhook, room_for_more

# Requests at once: of a process, of an organisation, of a webhook that answered quickly the last time. Of all others, which
# may hang, one each, and together only so many: of a process, and of an organisation. Where little is left, an
# organisation gets less (`room_for_more`). So one that hangs leaves places for others, and so do several; not any number.
REQUESTS_MAX = 256
ORGANISATION_MAX = 64
TOGETHER_MAX = 4
OTHERS_MAX = 160
ORGANISATION_OTHERS_MAX = 48
QUICK_MS = 2000
# An organisation has no more webhooks: of what is beyond, the ones that answered longest ago are forgotten.
QUICK_KEPT_MAX = WEBHOOKS_MAX * len(Mode)


@dataclass(slots=True)
class Traffic:
    """What is on its way from here, and which webhooks of each organisation answered quickly the last time."""

    by_webhook: Counter[UUID] = field(default_factory=Counter)
    by_organisation: Counter[UUID] = field(default_factory=Counter)
    others: Counter[UUID] = field(default_factory=Counter)
    # The values mean nothing: keys keep the order in which they came.
    _quick: dict[UUID, dict[UUID, None]] = field(default_factory=dict)

    def room(self, organisation_id: UUID) -> int:
        """How many more requests of an organisation may be begun."""
        return room_for_more(
            own=self.by_organisation[organisation_id],
            own_max=ORGANISATION_MAX,
            together=self.by_organisation.total(),
            together_max=REQUESTS_MAX,
        )

    def room_for_others(self, organisation_id: UUID) -> int:
        """How many of these may be to webhooks that did not answer quickly the last time."""
        return room_for_more(
            own=self.others[organisation_id],
            own_max=ORGANISATION_OTHERS_MAX,
            together=self.others.total(),
            together_max=OTHERS_MAX,
        )

    def quick(self, organisation_id: UUID) -> Collection[UUID]:
        """Webhooks of an organisation that answered quickly the last time."""
        return self._quick.get(organisation_id, {}).keys()

    def begin(self, webhook: Webhook) -> Callable[[], None]:
        """Count a request; returns what to call when it is over."""
        counted = [
            (self.by_webhook, webhook.webhook_id),
            (self.by_organisation, webhook.organisation_id),
        ]
        if webhook.webhook_id not in self.quick(webhook.organisation_id):
            counted.append((self.others, webhook.organisation_id))
        for counter, key in counted:
            counter[key] += 1

        def ended() -> None:
            for counter, key in counted:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

        return ended

    def learn(self, webhook: Webhook, *, quick: bool) -> None:
        """Remember whether a webhook answered quickly."""
        known = self._quick.setdefault(webhook.organisation_id, {})
        known.pop(webhook.webhook_id, None)
        if quick:
            known[webhook.webhook_id] = None
        if len(known) > QUICK_KEPT_MAX:
            del known[next(iter(known))]
        if not known:
            del self._quick[webhook.organisation_id]
