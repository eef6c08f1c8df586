"""Contract, section 7: so many requests a second for each key, and headers that tell."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

import httpx
import pytest
from tests.support import Service, on_connection, serving

from tonne.application.identifiers import utc_now
from tonne.application.open_accounts import NewKey, create_key
from tonne.domain.accounts import ApiKey, Mode
from tonne.domain.errors import RateLimited
from tonne.http.rate_limits import RateLimiter
from tonne.settings import Settings

KILOGRAM = {"mass": {"amount": "1", "unit": "kg"}}
REQUESTS_MAX = 2000
LIMITS = (None, 1, 3, 40)
KEYS_MAX = 6
POLICY = re.compile(r'"default";q=[0-9]+;w=1', re.ASCII)
STATE = re.compile(r'"default";r=([0-9]+);t=([0-9]+)', re.ASCII)

Refusal = Callable[[httpx.Response], tuple[int, str]]


@pytest.fixture(scope="module")
def limited(service: Service) -> Iterator[Callable[..., httpx.Client]]:
    """A service with the default limit; makes clients, each with a key that was never asked with."""
    # The service finds these keys when it starts.
    keys = {
        per_second: [new_key(service, per_second).api_key for _ in range(KEYS_MAX)] for per_second in LIMITS
    }
    with serving(Settings(database_url=service.database_url)) as base_url:

        def client(per_second: int | None = None) -> httpx.Client:
            made = service.client()
            made.base_url = httpx.URL(base_url + "/v1/")
            made.headers["Authorization"] = f"Bearer {keys[per_second].pop()}"
            return made

        yield client


def new_key(service: Service, per_second: int | None) -> NewKey:
    account = service.key().account
    return on_connection(
        service.database_url,
        lambda c: create_key(c, account, name="limited", rate_limit_per_second=per_second, at=utc_now()),
    )


def remaining(answer: httpx.Response) -> int:
    state = STATE.fullmatch(answer.headers["ratelimit"])
    assert state is not None
    return int(state[1])


def until_refused(client: httpx.Client) -> httpx.Response:
    for _ in range(REQUESTS_MAX):
        answer = client.get("/accounts/me")
        if answer.status_code != 200:
            return answer
    pytest.fail("it was never refused")


# Over HTTP.


def test_a_burst_of_15_is_let_in_and_much_more_is_not(
    limited: Callable[..., httpx.Client], refusal: Refusal
) -> None:
    with limited() as client:
        answers = [client.get("/accounts/me") for _ in range(15)]
        assert [answer.status_code for answer in answers] == [200] * 15
        assert remaining(answers[0]) == 14
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"default";q=15;w=1'}
        refused = until_refused(client)
    assert refusal(refused) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.headers["retry-after"].isdigit()
    assert remaining(refused) == 0
    assert refused.headers["ratelimit-policy"] == '"default";q=15;w=1'


def test_after_as_long_as_retry_after_says_requests_are_let_in_again(
    limited: Callable[..., httpx.Client],
) -> None:
    with limited() as client:
        refused = until_refused(client)
        time.sleep(int(refused.headers["retry-after"]))
        assert client.get("/accounts/me").status_code == 200


def test_one_key_does_not_use_up_anothers_requests(limited: Callable[..., httpx.Client]) -> None:
    with limited() as busy, limited() as quiet:
        until_refused(busy)
        answer = quiet.get("/accounts/me")
    assert answer.status_code == 200
    assert remaining(answer) == 14


@pytest.mark.parametrize("per_second", [1, 3, 40])
def test_a_key_may_have_a_limit_of_its_own(limited: Callable[..., httpx.Client], per_second: int) -> None:
    with limited(per_second) as client:
        answers = [client.get("/accounts/me") for _ in range(per_second)]
        refused = until_refused(client)
    assert [answer.status_code for answer in answers] == [200] * per_second
    assert refused.status_code == 429
    for answer in (*answers, refused):
        assert answer.headers["ratelimit-policy"] == f'"default";q={per_second};w=1'


def test_a_refused_order_is_not_placed(
    limited: Callable[..., httpx.Client], orders_stored: Callable[[], int]
) -> None:
    before = orders_stored()
    with limited() as client:
        statuses: list[int] = []
        while 429 not in statuses and len(statuses) < REQUESTS_MAX:
            statuses.append(client.post("/orders/by-mass", json=KILOGRAM).status_code)
    assert set(statuses) == {200, 429}
    assert orders_stored() == before + statuses.count(200)


def test_requests_that_are_refused_for_other_reasons_count_too(limited: Callable[..., httpx.Client]) -> None:
    with limited() as client:
        seen = set()
        for path in ("/nothing", "/orders?limit=0", f"/orders/{uuid4()}") * (REQUESTS_MAX // 3):
            seen.add(client.get(path).status_code)
            if 429 in seen:
                break
    assert 429 in seen


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/orders"), ("GET", "/v1/nothing"), ("DELETE", "/v1/orders"), ("POST", "/v1/orders/by-mass"),
     ("GET", "/v1/openapi.json"), ("GET", "/livez"), ("GET", "/nowhere")],
)  # fmt: skip
def test_every_answer_carries_both_headers(service: Service, method: str, path: str) -> None:
    for headers in ({}, {"Authorization": f"Bearer {service.key().api_key}"}):
        answer = httpx.request(method, service.base_url + path, headers=headers, trust_env=False)
        assert POLICY.fullmatch(answer.headers["ratelimit-policy"])
        assert STATE.fullmatch(answer.headers["ratelimit"])


# The bucket, by a clock of its own.


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def key(per_second: int | None = None) -> ApiKey:
    return ApiKey(uuid4(), uuid4(), uuid4(), Mode.TEST, per_second)


def take(limiter: RateLimiter, wanted: ApiKey) -> tuple[int, int]:
    """Take one request; returns what is left and the seconds until all are there again."""
    _, (_, value) = limiter.take(wanted)
    state = STATE.fullmatch(value.decode())
    assert state is not None
    return int(state[1]), int(state[2])


def test_a_full_bucket_gives_its_limit_and_not_one_more() -> None:
    limiter, wanted = RateLimiter(15, Clock()), key()
    assert [take(limiter, wanted) for _ in range(15)] == [(left, 1) for left in range(14, -1, -1)]
    with pytest.raises(RateLimited) as refused:
        take(limiter, wanted)
    assert refused.value.retry_after_seconds == 1


def test_a_bucket_fills_evenly_and_never_above_its_limit() -> None:
    clock = Clock()
    limiter, wanted = RateLimiter(10, clock), key()
    for _ in range(10):
        take(limiter, wanted)
    for elapsed, given in ((0.0625, 0), (0.0625, 1), (0.25, 2), (1.0, 10), (3600.0, 10)):
        clock.seconds += elapsed
        assert taken(limiter, wanted) == given


def taken(limiter: RateLimiter, wanted: ApiKey) -> int:
    for count in range(REQUESTS_MAX):
        try:
            take(limiter, wanted)
        except RateLimited:
            return count
    pytest.fail("the bucket has no bottom")


def test_a_refusal_takes_nothing() -> None:
    clock = Clock()
    limiter, wanted = RateLimiter(1, clock), key()
    take(limiter, wanted)
    for _ in range(10):
        clock.seconds += 0.0625
        with pytest.raises(RateLimited):
            take(limiter, wanted)
    clock.seconds += 0.375
    assert take(limiter, wanted) == (0, 1)


def test_each_key_has_a_bucket_and_a_limit_of_its_own() -> None:
    limiter = RateLimiter(2, Clock())
    assert [taken(limiter, wanted) for wanted in (key(), key(), key(5), key(1))] == [2, 2, 5, 1]


def test_a_clock_that_stands_still_gives_nothing_for_free() -> None:
    limiter, wanted = RateLimiter(3, Clock()), key()
    assert taken(limiter, wanted) == 3
    assert taken(limiter, wanted) == 0
