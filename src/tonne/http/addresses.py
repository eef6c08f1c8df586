"""Where a request comes from."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from litestar.types import Scope

from tonne.domain.accounts import Address, Network


def client_address(scope: Scope, trusted_proxies: Sequence[Network]) -> Address | None:
    """The address of who sent a request; None where it can't be told.

    It is the peer's. Where that is a trusted proxy, it is what the proxy says that its own peer was, the last entry of
    X-Forwarded-For, and so on: what stands further left may be anybody's invention.
    """
    peer = scope["client"]
    address = _read(peer[0]) if peer else None
    hops = [
        hop
        for name, value in scope["headers"]
        if name == b"x-forwarded-for"
        for hop in value.decode("latin-1").split(",")
    ]
    while hops and address is not None and any(address in network for network in trusted_proxies):
        address = _read(hops.pop().strip())
    return address


def _read(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
