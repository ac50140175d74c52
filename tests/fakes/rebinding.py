"""A network of our own with a treacherous name server; prints what each request came to.

It is run as a program inside new network and mount namespaces, where it may say what the name
server is and own a public address.
"""

import asyncio
import json
import socket
import struct
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import cast

import httpx2

from stretto.agents.addresses import refused
from stretto.agents.http import send_request
from stretto.errors import StepFailed
from tests.fakes.canary import Canary, running

PUBLIC, PRIVATE, PORT = "1.1.1.1", "127.0.0.1", 8080
A, CNAME = 1, 5
CHANGING: dict[str, list[list[str]]] = {
    "once.test": [[PUBLIC], [PRIVATE]],
    "hop.test": [[PUBLIC], [PRIVATE]],
    "naive.test": [[PUBLIC], [PRIVATE]],
    "both.test": [[PUBLIC, PRIVATE]],
    "inside.test": [[PRIVATE]],
    "start.test": [[PUBLIC]],
}
"""What a name leads to at each look-up; the last answer stays."""
ALIASES = {"alias.test": "inside.test"}


class NameServer(asyncio.DatagramProtocol):
    """Answers from the tables above, and counts who was asked for."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = read_name(data, 12)
        (kind,) = struct.unpack_from("!H", data, end)
        records = self.records(name.lower()) if kind == A else []
        header = data[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0)
        self.transport.sendto(header + data[12 : end + 4] + b"".join(records), addr)

    def records(self, name: str) -> list[bytes]:
        owner = ALIASES.get(name, name)
        answers = CHANGING.get(owner, [[]])
        addresses = answers[min(self.asked[owner], len(answers) - 1)]
        self.asked[owner] += 1
        alias = [record(name, CNAME, write_name(owner))] if owner != name else []
        return alias + [record(owner, A, socket.inet_aton(address)) for address in addresses]


def read_name(data: bytes, at: int) -> tuple[str, int]:
    labels: list[str] = []
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), at + 1


def write_name(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def record(name: str, kind: int, value: bytes) -> bytes:
    return write_name(name) + struct.pack("!HHIH", kind, 1, 0, len(value)) + value


def settle(folder: Path) -> None:
    """Bring the network up, own the public address, and be the name server."""
    for words in ("link set lo up", f"addr add {PUBLIC}/32 dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    files = {"resolv.conf": "nameserver 127.0.0.1\n", "nsswitch.conf": "hosts: files dns\n"}
    for name, text in files.items():
        target = Path("/etc", name).resolve()
        (folder / name).write_text(text)
        if target.exists():
            subprocess.run(["mount", "--bind", folder / name, target], check=True)


async def outcome(name: str, path: str = "/") -> str:
    try:
        answer = await send_request(method="GET", url=f"http://{name}:{PORT}{path}")
    except StepFailed as failure:
        return failure.code
    return str(answer["body"])


async def naive(name: str) -> str:
    """Check the name, and then let the client look it up once more."""
    found = await asyncio.get_running_loop().getaddrinfo(name, PORT, type=socket.SOCK_STREAM)
    assert not refused(str(entry[4][0]) for entry in found)
    async with httpx2.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://{name}:{PORT}/")).text


async def main() -> dict[str, object]:
    loop = asyncio.get_running_loop()
    server = NameServer()
    await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 53))
    async with (
        running(Canary(), PUBLIC, PORT) as public,
        running(Canary(), PRIVATE, PORT) as inside,
    ):
        public.answer("/", b"reached public", content_type="text/plain")
        inside.answer("/", b"reached inside", content_type="text/plain")
        for name in (PRIVATE, "inside.test", "hop.test"):
            public.answer(f"/to-{name}", status=302, location=f"http://{name}:{PORT}/")
        assert await outcome("hop.test") == "reached public"  # from now on it leads inside
        found: dict[str, object] = {
            "a public name": await outcome("once.test"),
            "look-ups of it": server.asked["once.test"],
            "the same name, now private": await outcome("once.test"),
            "a name with both": await outcome("both.test"),
            "an alias of a private name": await outcome("alias.test"),
            "a redirect to an address inside": await outcome("start.test", f"/to-{PRIVATE}"),
            "a redirect to a name inside": await outcome("start.test", "/to-inside.test"),
            "a redirect to a name that changes": await outcome("start.test", "/to-hop.test"),
            "hits inside": inside.connections,
        }
        found["a client that looks up twice"] = await naive("naive.test")
        return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        settle(Path(folder))
        print(json.dumps(asyncio.run(main())))
