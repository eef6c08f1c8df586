"""Which addresses are never sent to: what is not on the public internet, in whatever form it is written.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, and the RFCs named. Of IPv6 only what IANA has given out to the
public (2000::/3, RFC 4291) is sent to: loopback, IPv4-mapped, IPv4-compatible, NAT64, unique local, link-local and multicast
addresses are all outside of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # "this network", RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # carrier-grade NAT, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "169.254.0.0/16",  # link-local, RFC 3927; metadata of clouds
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarks, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and broadcast, RFC 1112
    )
)
PUBLIC_IPV6 = IPv6Network("2000::/3")
DENIED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocol assignments, RFC 2928: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4, RFC 3056
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)
# The interface identifier of ISATAP (RFC 5214) is one of these, followed by an IPv4 address.
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
_LOW_64 = (1 << 64) - 1


def read_address(text: str) -> Address | None:
    """Read an address as the resolver prints it, without its zone; None where it is none."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_allowed(address: Address, allowed: Sequence[Network] = ()) -> bool:
    """Whether requests may be sent to an address; those of `allowed` networks may in any case."""
    if any(address in network for network in allowed if network.version == address.version):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in DENIED_IPV4)
    interface = int(address) & _LOW_64
    return (
        address in PUBLIC_IPV6
        and not any(address in network for network in DENIED_IPV6)
        and interface >> 32 not in _ISATAP
    )
