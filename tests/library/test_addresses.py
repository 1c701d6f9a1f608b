"""Which addresses are the internet's."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.library.addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *(
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "192.0.0.192",
        ),
        *("198.18.0.1", "198.19.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "168.63.129.16"),
        *("::", "::1", "fe80::1", "fe80::1%2", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1"),
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::808:808", "2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:db8::1", "3fff::1"),
        *("4000::1", "e000::1", "5f00::1"),
    ],
)
def test_an_address_that_is_not_the_internets_is_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
        ),
        *("192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17"),
        *("2606:4700:4700::1111", "2a00:1450:4001:82b::200e", "2001:4860:4860::8888", "64:ff9b::808:808"),
    ],
)
def test_an_address_of_the_internet_is_public(address: str):
    assert is_public(address)


def test_this_machines_own_addresses_are_not_public_nor_its_neighbours_in_ipv6(
    monkeypatch: pytest.MonkeyPatch,
):
    import psutil

    def card(family: int, address: str) -> Any:
        return SimpleNamespace(family=family, address=address)

    cards = {"en0": [card(socket.AF_INET, "8.8.4.4"), card(socket.AF_INET6, "2a00:1450:1:2::10%en0")]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: cards)
    assert not is_public("8.8.4.4")
    assert is_public("8.8.4.5")
    assert not is_public("2a00:1450:1:2:ffff::1")
    assert is_public("2a00:1450:1:3::1")
    assert not is_public("64:ff9b::808:404")


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_no_form_of_a_private_address_is_public(address: Any):
    if not address.is_global:
        inside = int(address)
        assert not is_public(str(address))
        assert not is_public(f"64:ff9b::{inside >> 16:x}:{inside & 0xFFFF:x}")
        assert not is_public(f"::ffff:{inside >> 16:x}:{inside & 0xFFFF:x}")
        assert not is_public(f"2002:{inside >> 16:x}:{inside & 0xFFFF:x}::1")
