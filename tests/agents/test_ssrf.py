"""No spelling, redirect or name lets a request reach what is not public."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from stretto.agents.http import send_request
from stretto.agents.transport import GuardedTransport
from stretto.errors import StepFailed
from tests.fakes.canary import Canary, running

REPO = Path(__file__).parents[2]
LOOPBACK = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://127.255.255.254:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f000001:{port}/",
    "http://0X7F000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0.0.01:{port}/",
    "http://00000177.1:{port}/",
    "http://127.0.0.0x1:{port}/",
    "http://127.0x000001:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://0x0:{port}/",
    "http://00.0:{port}/",
    "http://localhost:{port}/",
    "http://LOCALHOST:{port}/",
    "http://LocalHost.:{port}/",
    "http://localhost.:{port}/",
    "http://localhost。:{port}/",
    "http://ip6-localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[0000::0001]:{port}/",
    "http://[::0.0.0.1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::FFFF:7F00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:7f00:1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://user@127.0.0.1:{port}/",
    "http://user:word@127.0.0.1:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://public.example%20@127.0.0.1:{port}/",
    "http://public.example\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@127.0.0.1:{port}/",
    "http://@127.0.0.1:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127．0．0．1:{port}/",
    "http://127｡0｡0｡1:{port}/",
    "http://１２７.0.0.1:{port}/",
    "http://①②⑦.0.0.1:{port}/",
    "http://ⓛocalhost:{port}/",
    "http://loc%61lhost:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://127.0.0.1%2f:{port}/",
    "http://127.0.0.1%00.public.example:{port}/",
    "http:\\\\127.0.0.1:{port}\\",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "hTTp://127.0.0.1:0{port}/",
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1\r\n:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "ws://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "dict://127.0.0.1:{port}/",
    "jar:http://127.0.0.1:{port}!/",
    "unix:///var/run/docker.sock",
    "file:///etc/hostname",
    "data:text/plain,x",
]
"""Spellings of this machine, and schemes that lead into it."""
INSIDE = [
    "http://10.0.0.1/",
    "http://167772161/",
    "http://172.16.0.1/",
    "http://172.31.255.254/",
    "http://192.168.0.1/",
    "http://0xC0A80001/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/latest/meta-data/",
    "http://0251.0376.0251.0376/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://169.254.170.2/v2/credentials",
    "http://100.100.100.200/",
    "http://100.64.0.1/",
    "http://168.63.129.16/",
    "http://198.18.0.1/",
    "http://192.0.0.192/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd12:3456::1]/",
    "http://[ff02::1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[100::1]/",
]
"""Private, link-local, metadata, shared, multicast, and IPv6 forms that carry IPv4 addresses."""


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    """A server on every loopback address, IPv6 too where the machine has it."""
    async with running(Canary()) as server:
        server.answer("/", b"reached")
        try:
            six = await asyncio.start_server(server.serve, "::1", server.port)
        except OSError:
            yield server
            return
        async with six:
            yield server


def test_the_corpus_is_large_and_has_no_entry_twice() -> None:
    assert len(set(LOOPBACK)) == len(LOOPBACK) >= 60
    assert len(set(INSIDE)) == len(INSIDE)


async def test_a_plain_client_reaches_the_canary_by_many_spellings(canary: Canary) -> None:
    async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
        for spelling in LOOPBACK:
            with suppress(httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, ValueError):
                await client.get(spelling.format(port=canary.port))
    assert len(canary.requests) >= 20


@pytest.mark.parametrize("spelling", LOOPBACK)
async def test_no_spelling_of_loopback_reaches_it(canary: Canary, spelling: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await send_request(method="GET", url=spelling.format(port=canary.port))
    assert failed.value.code in ("address_refused", "http_unreachable")
    assert canary.connections == 0


@pytest.mark.parametrize("url", INSIDE)
async def test_no_address_inside_is_even_tried(url: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await send_request(method="GET", url=url)
    # A zone that this machine does not have is no address at all.
    allowed = {"address_refused", "http_unreachable"} if "%25" in url else {"address_refused"}
    assert failed.value.code in allowed
    assert not failed.value.retryable or "%25" in url


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::1]"])
async def test_a_loopback_host_is_refused_before_any_connection(canary: Canary, host: str) -> None:
    with pytest.raises(StepFailed) as failed:
        await send_request(method="GET", url=canary.url(host=host))
    assert failed.value.code == "address_refused"
    assert not failed.value.retryable
    assert canary.connections == 0


async def test_a_proxy_of_the_environment_is_not_used(
    canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, canary.url())
    with pytest.raises(StepFailed) as failed:
        await send_request(method="GET", url="http://10.0.0.1/")
    assert failed.value.code == "address_refused"
    assert canary.connections == 0


class Changing:
    """A name that leads somewhere else each time it is looked up."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def __call__(self, request: httpx2.Request) -> list[str]:
        return self.answers.pop(0)


async def fetched(transport: GuardedTransport, url: str) -> str:
    async with httpx2.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=True
    ) as client:
        return (await client.get(url)).text


async def test_a_request_goes_to_the_address_that_was_looked_up_for_it(canary: Canary) -> None:
    names = Changing(["127.0.0.1"], ["127.0.0.2"])
    async with running(Canary(), "127.0.0.2", canary.port) as later:
        later.answer("/", b"later")
        transport = GuardedTransport(allow_private=True, resolve=names)
        url = f"http://changing.example:{canary.port}/"
        assert await fetched(transport, url) == "reached"
    assert (canary.connections, later.connections) == (1, 0)
    assert names.answers == [["127.0.0.2"]]


@pytest.mark.parametrize("addresses", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"]])
async def test_one_private_address_among_public_ones_refuses_the_host(
    canary: Canary, addresses: list[str]
) -> None:
    transport = GuardedTransport(resolve=Changing(addresses))
    with pytest.raises(StepFailed, match="it leads to 127.0.0.1"):
        await fetched(transport, f"http://mixed.example:{canary.port}/")
    assert canary.connections == 0


class OnlyFirst(GuardedTransport):
    """A transport that lets so many requests reach loopback, and guards the rest."""

    left = 1

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.allow_private = self.left > 0
        self.left -= 1
        return await super().handle_async_request(request)


@pytest.mark.parametrize("hops", [1, 3])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_leads_inside(canary: Canary, status: int, hops: int) -> None:
    async with running(Canary()) as inside:
        inside.answer("/", b"inside")
        for hop in range(1, hops):
            canary.answer(f"/{hop}", status=status, location=f"/{hop + 1}")
        canary.answer(f"/{hops}", status=status, location=inside.url())
        transport = OnlyFirst()
        transport.left = hops
        with pytest.raises(StepFailed) as failed:
            await fetched(transport, canary.url("/1"))
        assert failed.value.code == "address_refused"
        assert (canary.connections, inside.connections) == (hops, 0)


INSIDE_NAMESPACES = ["unshare", "--map-root-user", "--net", "--mount", "--user"]


def can_make_namespaces() -> bool:
    """Tell whether this machine lets us have a network and name servers of our own."""
    probe = [*INSIDE_NAMESPACES, "ip", "link", "set", "lo", "up"]
    try:
        return subprocess.run(probe, capture_output=True, timeout=20).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not can_make_namespaces(), reason="needs network namespaces of its own")
def test_a_name_server_that_changes_its_answers_gains_nothing() -> None:
    """In a network where 1.1.1.1 is ours: real look-ups, a real name server, real sockets."""
    script = [sys.executable, "-m", "tests.fakes.rebinding"]
    done = subprocess.run(
        [*INSIDE_NAMESPACES, *script], cwd=REPO, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "a public name": "reached public",
        "look-ups of it": 1,
        "the same name, now private": "address_refused",
        "a name with both": "address_refused",
        "an alias of a private name": "address_refused",
        "a redirect to an address inside": "address_refused",
        "a redirect to a name inside": "address_refused",
        "a redirect to a name that changes": "address_refused",
        "hits inside": 0,
        "a client that looks up twice": "reached inside",
    }
