"""Which network addresses a workflow may reach: only public ones, however they are spelled."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The well-known prefix of RFC 6052; the last 32 bits are the IPv4 address that is reached."""
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The only part of the IPv6 space that is handed out for the public internet."""
REFUSED_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # carrier-grade NAT, and the metadata service of one cloud
        "168.63.129.16/32",  # a public address that one cloud keeps for its host agent
        "192.0.0.0/24",  # protocol assignments, and the metadata service of another cloud
        "192.88.99.0/24",  # 6to4 relays
        "2001::/32",  # Teredo: embeds an IPv4 address
        "2002::/16",  # 6to4: embeds an IPv4 address
        "3fff::/20",  # documentation
    )
)


def is_public(address: str) -> bool:
    """Say whether an address, in the form ``getaddrinfo`` gives, lies on the public internet.

    IPv4 addresses carried inside IPv6 ones (mapped, NAT64) are judged by what they lead to.
    Source of the ranges: the IANA special-purpose address registries.
    """
    parsed = carried(ipaddress.ip_address(address.partition("%")[0]))
    if any(parsed in network for network in REFUSED_NETWORKS):
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed.is_global and parsed in GLOBAL_UNICAST
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def carried(address: Address) -> Address:
    """Give the IPv4 address that a mapped or NAT64 address leads to, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address


def refused(addresses: Iterable[str]) -> list[str]:
    """List the addresses that are not public; one of them is enough to refuse a host."""
    return [address for address in addresses if not is_public(address)]
