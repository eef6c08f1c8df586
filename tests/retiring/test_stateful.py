"""Orders, payments, stock, registries and crashes in any order: the books stay sound and everyone keeps their place.

The model is a list of grams for each pool, written anew from design, section 6: it works out from the tonnes that
retirements cover which order each gram is for, and from that what every order must be.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tonne.application.cancel_order import cancel_order
from tonne.application.fill_pools import fill_pools
from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.pay_orders import PayOutcome, pay_orders
from tonne.application.place_orders import Placed, PlaceOrder, place_orders
from tonne.application.record_answers import record_answers
from tonne.application.retire_pools import cover_pools, pool_paid_orders
from tonne.application.worker import retire_all
from tonne.domain.accounts import Caller, Mode
from tonne.domain.errors import OrderNotCancellable
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByBundleMasses, Purchase, price_purchase
from tonne.domain.retirement import Confirmed, Rejected, Unknown
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import Lot, insert_lots, load_catalogue
from tonne.storage.checks import run_checks
from tonne.storage.database import open_pool
from tonne.storage.lots import release_set_aside

TONNE = 1_000_000
grams = st.one_of(
    st.integers(1, 2 * TONNE), st.integers(1, 40 * TONNE), st.sampled_from([1, TONNE, TONNE - 1])
)
masses = st.lists(st.tuples(st.integers(0, 1), grams), min_size=1, max_size=2, unique_by=lambda m: m[0])
BENEFICIARIES = ("Fabrikate GmbH", "Tischlerei Probe")


crashes = st.none() | st.integers(0, 14)
# What can happen, and what is drawn for it; what comes twice comes twice as often.
HAPPENINGS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "order": {
        "beneficiary": st.sampled_from(BENEFICIARIES),
        "wanted": st.lists(masses, min_size=1, max_size=4),
    },
    "pay": {"crash": crashes},
    "pay again": {"crash": crashes},
    "cancel": {},
    "stock_up": {
        "bundle": st.integers(0, 1),
        "project": st.integers(0, 1),
        "vintage": st.integers(2015, 2024),
        "tonnes": st.integers(1, 60),
    },
    "choose_policy": {
        "bundle": st.integers(0, 1),
        "policy": st.sampled_from(["oldest_vintage", "cheapest", "spread"]),
    },
    "pool_orders": {"crash": crashes},
    "cover": {"crash": crashes},
    "cover again": {"crash": crashes},
    "work": {},
    "answer": {"crash": crashes},
    "answer again": {"crash": crashes},
    "answer once more": {"crash": crashes},
    "repeat_answers": {},
    "release": {},
    "top_up": {},
    "restart": {},
}


ANSWERS = st.sampled_from(
    [
        Confirmed("REG-1", date(2026, 1, 31)),
        Confirmed("REG-2", date(2026, 1, 31)),
        Rejected("frozen"),
        Rejected("typing error", credits_are_good=True),
        Unknown("no answer"),
    ]
)


class Crashed(Exception):
    """The process ended in the middle of something."""


class CrashingConnection:
    """A connection whose process ends before its nth statement."""

    def __init__(self, connection: Any, statements: list[int]) -> None:
        self._connection, self._statements = connection, statements

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in {"fetch", "fetchrow", "fetchval", "execute", "executemany"}:
            return found

        async def counted(*arguments: Any, **options: Any) -> Any:
            self._statements[0] -= 1
            if self._statements[0] < 0:
                raise Crashed
            return await found(*arguments, **options)

        return counted


class CrashingPool:
    """A pool of such connections."""

    def __init__(self, pool: Any, statements: int) -> None:
        self._pool, self._statements = pool, [statements]

    @asynccontextmanager
    async def acquire(self, **options: Any):
        async with self._pool.acquire(**options) as connection:
            yield CrashingConnection(connection, self._statements)


class Shop(RuleBasedStateMachine):
    """A live account on invoice, two bundles, and everything that can happen to their orders."""

    def __init__(self, new_database: Callable[[], str]) -> None:
        super().__init__()
        self.url = new_database()
        self.runner = asyncio.Runner()
        self.orders: dict[UUID, dict[str, Any]] = {}
        self.pools: dict[tuple[str, UUID], list[tuple[UUID | None, int]]] = defaultdict(list)
        self.answered: dict[UUID, Any] = {}
        self.issued: dict[UUID, int] = defaultdict(int)
        self.offers: dict[UUID, list[UUID]] = {}
        self.payments = 0

    @initialize(
        stocked=st.lists(st.integers(1, 60), min_size=1, max_size=4),
        wished=st.lists(masses, min_size=2, max_size=8),
        is_paid=st.booleans(),
    )
    def open_shop(
        self,
        stocked: list[int],
        wished: list[list[tuple[int, int]]],
        is_paid: bool,  # noqa: FBT001 -- drawn by hypothesis
    ) -> None:
        self.pool = self.run(open_pool(self.url, connections_max=3))

        async def set_up(connection: Any) -> None:
            keys = await load_demo(connection, at=utc_now())
            assert keys is not None
            await connection.execute("DELETE FROM lots")
            self.key = next(
                k for k in keys if k.account.mode is Mode.LIVE and k.account.currency.code == "USD"
            )
            rows = await connection.fetch(
                "SELECT bundle_id, array_agg(project_id ORDER BY position) AS projects FROM bundle_projects "
                "GROUP BY bundle_id ORDER BY bundle_id LIMIT 2"
            )
            self.offers = {row["bundle_id"]: list(row["projects"])[:2] for row in rows}

        self.with_connection(set_up)
        self.organisation_id = self.key.account.organisation_id
        for number, tonnes in enumerate(stocked):
            self.stock_up(bundle=number % 2, project=0, vintage=2015 + number, tonnes=tonnes)
        for number, wish in enumerate(wished):
            self.place(BENEFICIARIES[number % 2], wish)
        if is_paid:
            self.run(pay_orders(self.pool, list(self.orders), at=utc_now()))
            self.see_what_was_paid(list(self.orders))

    def teardown(self) -> None:
        if hasattr(self, "pool"):
            broken = self.with_connection(self.broken_rules)
            self.run(self.pool.close())
            self.runner.close()
            assert broken == []

    @rule(data=st.data())
    def do_something(self, data: st.DataObject) -> None:
        """One thing that can happen. Drawn here and not by the framework, so that all of them do in every run."""
        name = data.draw(st.sampled_from(sorted(HAPPENINGS)))
        arguments = {key: data.draw(value) for key, value in HAPPENINGS[name].items()}
        action = getattr(self, name.partition(" ")[0])
        if name.partition(" ")[0] in {"pay", "cancel", "answer"}:
            arguments["data"] = data
        action(**arguments)

    # --- What customers do ---

    def order(self, beneficiary: str, wanted: list[list[tuple[int, int]]]) -> None:
        for wish in wanted:
            self.place(beneficiary, wish)

    def place(self, beneficiary: str, masses: list[tuple[int, int]]) -> None:
        lines = {list(self.offers)[number]: quantity for number, quantity in masses}

        async def place(connection: Any) -> UUID:
            await connection.execute(
                "UPDATE accounts SET beneficiary = $2, version = version + 1 WHERE account_id = $1",
                self.key.account.account_id,
                beneficiary,
            )
            account = (await load_directory(connection)).accounts[self.key.account.account_id]
            catalogue = await load_catalogue(connection, on=utc_now().date())
            wanted = ByBundleMasses(
                tuple((bundle, Mass(Decimal(mass), MassUnit.G)) for bundle, mass in lines.items())
            )
            quote = price_purchase(Purchase(wanted), account=account, catalogue=catalogue, at=utc_now())
            command = PlaceOrder(
                new_id(), Caller(self.key.key, account), Purchase(wanted), catalogue, utc_now()
            )
            [outcome] = await place_orders(connection, [command])
            assert isinstance(outcome, Placed)
            assert outcome.order.total_cost_minor == quote.priced.total_cost_minor
            return outcome.order.order_id

        order_id = self.with_connection(place)
        self.orders[order_id] = {"lines": lines, "beneficiary": beneficiary, "paid": None, "over": False}

    def pay(self, data: st.DataObject, crash: int | None) -> None:
        some = st.lists(self.any_order(), min_size=1, max_size=4)
        wanted = data.draw(some | st.just(list(self.orders)))
        paid = self.crashing(crash, lambda pool: pay_orders(pool, wanted, at=utc_now()))
        if paid is None:
            return self.see_what_was_paid(wanted)
        for result in paid:
            order = self.orders[result.order_id]
            if order["over"]:
                assert result.outcome is PayOutcome.REFUSED
            else:
                first = order["paid"] is None
                assert result.outcome is (PayOutcome.PAID if first else PayOutcome.PAID_BEFORE)
        return self.see_what_was_paid(wanted)

    def cancel(self, data: st.DataObject) -> None:
        order_id = data.draw(self.any_order())
        order = self.orders[order_id]
        account = self.key.account

        async def attempt(pool: Any) -> bool:
            try:
                await cancel_order(pool, account, order_id, at=utc_now())
            except OrderNotCancellable:
                return False
            return True

        assert self.run(attempt(self.pool)) is (order["paid"] is None and not order["over"])
        if order["paid"] is None:
            order["over"] = True

    # --- What the operator and the registries do ---

    def stock_up(self, bundle: int, project: int, vintage: int, tonnes: int) -> None:
        projects = list(self.offers.values())[bundle]
        project_id = projects[project % len(projects)]
        lot = Lot(project_id, new_id(), vintage, f"TEST-{len(self.issued)}", 1, tonnes)
        self.with_connection(lambda connection: insert_lots(connection, [lot], at=utc_now()))
        self.issued[lot.lot_id] = tonnes

    def choose_policy(self, bundle: int, policy: str) -> None:
        self.sql(
            "UPDATE bundles SET retirement_policy = $2 WHERE bundle_id = $1",
            list(self.offers)[bundle],
            policy,
        )

    def pool_orders(self, crash: int | None) -> None:
        self.crashing(crash, lambda pool: pool_paid_orders(pool, self.organisation_id, at=utc_now()))
        self.see_what_was_pooled()

    def cover(self, crash: int | None) -> None:
        self.crashing(crash, lambda pool: cover_pools(pool, self.organisation_id, at=utc_now()))

    def work(self) -> None:
        self.run(retire_all(self.pool, utc_now))
        self.see_what_was_pooled()
        # Nothing that could be covered is left waiting.
        waiting = self.sql(
            "SELECT p.bundle_id FROM pools p JOIN bundle_projects b USING (bundle_id) "
            "JOIN lots l USING (project_id) WHERE p.due_since IS NOT NULL AND l.available_tonnes > 0"
        )
        assert waiting == []

    def answer(self, data: st.DataObject, crash: int | None) -> None:
        # Drawn before looking: which retirements there are depends on ids, which no two runs have in the same order.
        drawn = data.draw(st.lists(st.tuples(st.integers(0, 99), ANSWERS), min_size=1, max_size=5))
        undecided = [row["retirement_id"] for row in self.sql(
            "SELECT retirement_id FROM retirements WHERE state IN ('pending', 'submitted', 'unknown') ORDER BY 1"
        )]  # fmt: skip
        if not undecided:
            return
        said: dict[UUID, Any] = {undecided[number % len(undecided)]: answer for number, answer in drawn}
        self.crashing(crash, lambda pool: record_answers(pool, self.organisation_id, said, at=utc_now()))
        self.answered |= said

    def repeat_answers(self) -> None:
        decided = {
            row["retirement_id"]: self.answered[row["retirement_id"]]
            for row in self.sql(
                "SELECT retirement_id FROM retirements WHERE state IN ('confirmed', 'rejected')"
            )
        }
        recorded = self.run(record_answers(self.pool, self.organisation_id, decided, at=utc_now()))
        assert (recorded.confirmed, recorded.rejected, recorded.unknown) == ((), (), ())

    def release(self) -> None:
        rejected = [row["retirement_id"] for row in self.sql("SELECT retirement_id FROM returned_blocks")]

        async def put_back(connection: Any) -> None:
            async with connection.transaction():
                await release_set_aside(connection, rejected)

        self.with_connection(put_back)

    def top_up(self) -> None:
        self.see_what_was_pooled()
        rests = self.run(fill_pools(self.pool, self.key.account, at=utc_now()))
        for rest in rests:
            entries = self.pools[rest.beneficiary, rest.bundle_id]
            assert sum(quantity for _, quantity in entries) % TONNE == rest.waiting_grams
            assert set(rest.order_ids) == self.owners_of_the_rest(entries)
            entries.append((None, TONNE - rest.waiting_grams))

    def restart(self) -> None:
        self.run(self.pool.close())
        self.pool = self.run(open_pool(self.url, connections_max=3))

    # --- What must be true ---

    @invariant()
    def every_order_is_what_its_grams_say(self) -> None:
        if not self.orders:
            return
        allocated: dict[UUID, int] = defaultdict(int)
        retired: dict[UUID, int] = defaultdict(int)
        rows = self.sql(
            "SELECT beneficiary, bundle_id, gram_first, tonnes, state FROM retirements WHERE state <> 'rejected'"
        )
        for row in rows:
            until = row["gram_first"] + row["tonnes"] * TONNE
            first = 0
            for order_id, quantity in self.pools[row["beneficiary"], row["bundle_id"]]:
                part = min(first + quantity, until) - max(first, row["gram_first"])
                if part > 0 and order_id is not None:
                    allocated[order_id] += part
                    retired[order_id] += part if row["state"] == "confirmed" else 0
                first += quantity
            assert until <= first, "more is covered than was ordered"
        stored = {row["order_id"]: row["status"] for row in self.sql("SELECT order_id, status FROM orders")}
        for order_id, order in self.orders.items():
            total = sum(order["lines"].values())
            if order["over"]:
                expected = {"cancelled"}
            elif order["paid"] is None:
                expected = {"placed"}
            elif retired[order_id] == total:
                expected = {"complete"}
            elif allocated[order_id]:
                expected = {"retiring"}
            else:
                # All of its retirements may have been rejected.
                expected = {"paid", "retiring"}
            assert stored[order_id] in expected

    @invariant()
    def everyone_stands_in_line_as_they_came(self) -> None:
        if not self.orders:
            return
        rows = self.sql(
            "SELECT p.beneficiary, p.bundle_id, e.order_id, e.quantity_grams FROM pool_entries e "
            "JOIN pools p USING (organisation_id, pool_id) ORDER BY e.gram_first"
        )
        lines: dict[tuple[str, UUID], list[tuple[UUID | None, int]]] = defaultdict(list)
        for row in rows:
            lines[row["beneficiary"], row["bundle_id"]].append((row["order_id"], row["quantity_grams"]))
        assert lines == {pool: entries for pool, entries in self.pools.items() if entries}

    @invariant()
    def every_tonne_is_somewhere(self) -> None:
        if not self.issued:
            return
        taken = {row["lot_id"]: row["tonnes"] for row in self.sql(
            "SELECT lot_id, sum(tonnes)::bigint AS tonnes FROM retirements WHERE state <> 'rejected' GROUP BY lot_id"
        )}  # fmt: skip
        for row in self.sql("SELECT lot_id, available_tonnes, set_aside_tonnes FROM lots"):
            left = row["available_tonnes"] + row["set_aside_tonnes"]
            assert left == self.issued[row["lot_id"]] - taken.get(row["lot_id"], 0)

    # --- How ---

    def run(self, work: Awaitable[Any]) -> Any:
        async def awaited() -> Any:
            return await work

        return self.runner.run(awaited())

    def crashing(self, statements: int | None, work: Callable[[Any], Awaitable[Any]]) -> Any:
        """Do something, or end in the middle of it; None then."""
        pool = self.pool if statements is None else CrashingPool(self.pool, statements)
        try:
            return self.run(work(pool))
        except Crashed:
            return None

    def with_connection(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def on_connection() -> Any:
            async with self.pool.acquire() as connection:
                return await work(connection)

        return self.run(on_connection())

    def sql(self, statement: str, *arguments: Any) -> list[Any]:
        found: list[Any] = self.with_connection(lambda connection: connection.fetch(statement, *arguments))
        return found

    def any_order(self) -> st.SearchStrategy[UUID]:
        return st.sampled_from(list(self.orders))

    def see_what_was_paid(self, wanted: list[UUID]) -> None:
        rows = self.sql(
            "SELECT order_id FROM orders WHERE paid_at IS NOT NULL AND order_id = ANY($1::uuid[]) ORDER BY order_id",
            wanted,
        )
        for row in rows:
            order = self.orders[row["order_id"]]
            if order["paid"] is None:
                order["paid"] = self.payments
        self.payments += 1

    def see_what_was_pooled(self) -> None:
        in_pools = {order_id for entries in self.pools.values() for order_id, _ in entries}
        rows = self.sql("SELECT order_id FROM orders WHERE pooled_at IS NOT NULL")
        new = [row["order_id"] for row in rows if row["order_id"] not in in_pools]
        for order_id in sorted(new, key=lambda one: (self.orders[one]["paid"], one)):
            order = self.orders[order_id]
            for bundle, quantity in order["lines"].items():
                self.pools[order["beneficiary"], bundle].append((order_id, quantity))

    def owners_of_the_rest(self, entries: list[tuple[UUID | None, int]]) -> set[UUID]:
        total = sum(quantity for _, quantity in entries)
        first, owners = 0, set()
        for order_id, quantity in entries:
            if first + quantity > total - total % TONNE and order_id is not None:
                owners.add(order_id)
            first += quantity
        return owners

    async def broken_rules(self, connection: Any) -> list[Any]:
        return [result async for result in run_checks(connection) if result.findings]


def run_shops(new_database: Callable[[], str], *, runs: int, steps: int) -> None:
    run_state_machine_as_test(
        lambda: Shop(new_database),  # type: ignore[arg-type]
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_happens_in_whatever_order_the_books_agree_with_a_simple_model(new_database):
    run_shops(new_database, runs=20, steps=30)


@pytest.mark.long
@pytest.mark.timeout(3400)
def test_the_books_agree_with_the_model_in_three_hundred_runs_of_fifty_steps(new_database):
    run_shops(new_database, runs=300, steps=50)
