"""What is not on the public internet is never connected to: as a literal, by its name, or by a name that changes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpcore
import pytest

from tonne.webhooks.addresses import is_allowed, read_address
from tonne.webhooks.sending import Answered, Sender, SendingRules

FORBIDDEN = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.254",
    "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::10.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a00:1::1", "2001::1", "2001:db8::1",
    "2001:10::1", "3fff::1", "fc00::1", "fd12:3456:789a::1", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1", "100::1",
    "5f00::1", "2606:4700:1:2:0:5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1", "2620:4f:8000::1",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
    "169.253.255.255", "169.255.0.1", "172.15.255.255", "172.32.0.1", "192.167.255.255", "192.169.0.1", "198.17.255.255",
    "198.20.0.1", "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001:81b::200e", "2001:4860:4860::8888",
    "2003::1",
)  # fmt: skip
# How one may write 127.0.0.1 so that it looks like a name.
DISGUISED = (
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "127.1",
    "017700000001",
    "0177.0.0.1",
    "localhost",
    "LOCALHOST",
)


class Recorder(httpcore.AsyncNetworkBackend):
    """A network in which every connection is noted, and none is made."""

    def __init__(self) -> None:
        self.connected: list[str] = []

    async def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:
        self.connected.append(host)
        raise httpcore.ConnectError("not here")


class Names:
    """Names that change: the n-th time that one is looked up, its n-th addresses."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = answers
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        answer = self.answers[self.asked % len(self.answers)]
        self.asked += 1
        return answer


def sent(
    url: str, *, names: Names | None = None, rules: SendingRules | None = None, times: int = 1
) -> list[Answered]:
    """Send to a URL; every outcome, the last with the addresses that were connected to."""
    recorder.connected.clear()

    async def send() -> list[Answered]:
        sender = Sender(rules or SendingRules(allow_http=True), names)
        backend = sender._pool._network_backend
        backend._network = recorder  # type: ignore[attr-defined]
        found = [
            await sender.send(url, headers={}, body=b"{}", organisation_id=UUID(int=1)) for _ in range(times)
        ]
        await sender.close()
        return found

    return asyncio.run(send())


recorder = Recorder()


def in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_forbidden_address_is_not_connected_to_in_any_form(address: str) -> None:
    found = read_address(address)
    assert found is not None
    assert not is_allowed(found)
    [literal] = sent(f"http://{in_url(address.partition('%')[0])}/hook")
    assert "not a public address" in (literal.error or "")
    [named] = sent("https://hook.example/x", names=Names([address]))
    assert "is not at a public address" in (named.error or "")
    # One public address among others makes none of them better.
    sent("https://hook.example/x", names=Names(["1.1.1.1", address]))
    sent("https://hook.example/x", names=Names([address, "2606:4700:4700::1111"]))
    assert recorder.connected == []


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_name_that_moves_to_a_forbidden_address_is_not_followed_there(address: str) -> None:
    # Public when it is looked at, forbidden when it is looked up again: what is connected to is what was looked at.
    names = Names(["1.1.1.1"], [address])
    sent("https://hook.example/x", names=names, times=4)
    assert recorder.connected == ["1.1.1.1", "1.1.1.1"]
    assert names.asked == 4


@pytest.mark.parametrize("host", DISGUISED)
def test_a_disguised_loopback_address_is_not_connected_to(host: str) -> None:
    [answered] = sent(f"http://{host}/hook")
    assert answered.status is None
    assert recorder.connected == []


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_connected_to_as_it_was_checked(address: str) -> None:
    sent("https://hook.example/x", names=Names([address]))
    assert recorder.connected == [address]
    sent(f"https://{in_url(address)}/x")
    assert recorder.connected == [address]


@pytest.mark.parametrize(
    ("network", "address", "allowed"),
    [
        ("10.1.0.0/16", "10.1.255.255", True),
        ("10.1.0.0/16", "10.2.0.0", False),
        ("10.1.0.0/16", "::ffff:10.1.0.1", False),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "fc00::1", False),
        ("127.0.0.1/32", "127.0.0.1", True),
        ("127.0.0.1/32", "127.0.0.2", False),
    ],
)
def test_operators_allow_named_networks_and_nothing_beside_them(
    network: str, address: str, *, allowed: bool
) -> None:
    rules = SendingRules(allowed_networks=(ip_network(network),))
    sent("https://hook.example/x", names=Names([address]), rules=rules)
    assert recorder.connected == ([address] if allowed else [])
