"""Who is calling, and for whom: contract, section 2."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from tonne.domain.accounts import Account, ApiKey, Caller, Directory, Mode, Organisation
from tonne.domain.api_keys import format_api_key, hash_api_key
from tonne.domain.errors import AccountScopeIncorrect, Unauthorised
from tonne.domain.money import Currency

USD, EUR = Currency("USD", 2), Currency("EUR", 2)
OURS = Organisation(UUID(int=1), "Ours", "shipper", Decimal("0.10"))
THEIRS = Organisation(UUID(int=2), "Theirs", "shipper", Decimal("0.10"))

OWN = Account(OURS, UUID(int=11), "Own", Mode.TEST, USD, sibling_id=UUID(int=12))
SIBLING = Account(OURS, UUID(int=12), "Own", Mode.LIVE, USD, sibling_id=UUID(int=11))
SECOND = Account(OURS, UUID(int=13), "Second", Mode.TEST, EUR)
SUSPENDED = Account(OURS, UUID(int=14), "Suspended", Mode.TEST, USD, suspended=True)
FOREIGN = Account(THEIRS, UUID(int=21), "Foreign", Mode.TEST, USD)
ACCOUNTS = [OWN, SIBLING, SECOND, SUSPENDED, FOREIGN]

TEXT = format_api_key(b"\x01" * 32, Mode.TEST)
KEY = ApiKey(UUID(int=31), OURS.organisation_id, OWN.account_id, Mode.TEST)
LIVE_KEY = ApiKey(UUID(int=32), OURS.organisation_id, SIBLING.account_id, Mode.LIVE)
DIRECTORY = Directory({hash_api_key(TEXT): KEY}, {account.account_id: account for account in ACCOUNTS})


def test_a_known_key_is_found_by_its_hash() -> None:
    assert DIRECTORY.key(hash_api_key(TEXT)) is KEY


@pytest.mark.parametrize(
    "key_hash", [b"", hash_api_key(TEXT)[:-1], hash_api_key(format_api_key(b"\x02" * 32, Mode.TEST))]
)
def test_an_unknown_or_disabled_key_is_unauthorised(key_hash: bytes) -> None:
    with pytest.raises(Unauthorised, match="unknown or disabled") as caught:
        DIRECTORY.key(key_hash)
    assert caught.value.headers == {"WWW-Authenticate": "Bearer"}


@pytest.mark.parametrize("directory", [Directory(), Directory({}, DIRECTORY.accounts)])
def test_without_keys_nobody_is_let_in(directory: Directory) -> None:
    with pytest.raises(Unauthorised):
        directory.key(hash_api_key(TEXT))


@pytest.mark.parametrize(("key", "account"), [(KEY, OWN), (LIVE_KEY, SIBLING)])
def test_a_key_acts_for_its_own_account_unless_it_says_otherwise(key: ApiKey, account: Account) -> None:
    assert DIRECTORY.caller(key, None) == Caller(key, account)


@pytest.mark.parametrize("account", [OWN, SECOND, SUSPENDED])
def test_a_key_acts_for_any_account_of_its_organisation_and_mode(account: Account) -> None:
    assert DIRECTORY.caller(KEY, account.account_id) == Caller(KEY, account)


REFUSED: list[tuple[ApiKey, UUID | str]] = [
    (KEY, SIBLING.account_id),
    (KEY, FOREIGN.account_id),
    (KEY, UUID(int=99)),
    (KEY, ""),
    (KEY, "not an id"),
    (KEY, str(OWN.account_id)),
    (LIVE_KEY, OWN.account_id),
    (LIVE_KEY, SECOND.account_id),
]


@pytest.mark.parametrize(("key", "acting_for"), REFUSED)
def test_foreign_accounts_the_other_mode_and_what_does_not_exist_get_the_same_answer(
    key: ApiKey, acting_for: UUID | str
) -> None:
    with pytest.raises(AccountScopeIncorrect) as caught:
        DIRECTORY.caller(key, acting_for)
    answer = caught.value
    assert (answer.message, answer.violations, answer.headers) == (AccountScopeIncorrect().message, (), {})


def test_accounts_belong_to_their_organisation() -> None:
    assert {account.organisation_id for account in ACCOUNTS} == {OURS.organisation_id, THEIRS.organisation_id}


def test_there_are_two_modes() -> None:
    assert [mode.value for mode in Mode] == ["live", "test"]
