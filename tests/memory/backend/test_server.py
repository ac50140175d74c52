"""What only a server has: outages, keys, versions, and writes that wait for it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from pydantic import SecretStr
from qdrant_client import QdrantClient

from stretto.errors import ConfigurationError, MemoryFault
from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.opening import open_backend
from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.server import ServerBackend
from stretto.memory.backend.types import Filter, Match, Point, Query
from tests.fakes.qdrant_server import QdrantServer, qdrant_server


def point(number: int) -> Point:
    return Point(str(uuid.UUID(int=number)), {"n": number}, lex=([number], [1.0]))


def numbers(backend: ServerBackend) -> list[int]:
    return [r.payload["n"] for r in backend.scroll(None, 100).result()[0]]


def fault_of(future: Any) -> MemoryFault:
    error = future.exception()
    assert isinstance(error, MemoryFault)
    return error


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def backend(tmp_path: Path, server: QdrantServer, told: list[str]) -> Any:
    opened = ServerBackend(tmp_path, server.url, on_degraded=told.append, pause=0)
    yield opened
    opened.close()


def test_an_address_chooses_the_server_and_none_the_folder(tmp_path: Path) -> None:
    there, here = open_backend(tmp_path, "http://127.0.0.1:1"), open_backend(tmp_path)
    assert isinstance(there, ServerBackend)
    assert isinstance(here, EdgeBackend)
    there.close()
    here.close()


def test_other_clients_see_the_points(backend: ServerBackend, server: QdrantServer) -> None:
    backend.upsert([point(1)]).result()
    client = QdrantClient(url=server.url, check_compatibility=False)
    [found] = client.retrieve("stretto_memory", [point(1).id])
    assert found.payload == {"n": 1}
    client.close()


def test_a_second_backend_finds_the_collection_and_its_metadata(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path
) -> None:
    backend.upsert([point(1)]).result()
    backend.set_metadata({"embedder": "x"}).result()
    second = ServerBackend(tmp_path, server.url, dims=2)
    assert second.count(None).result() == 1
    metadata = second.metadata().result()
    assert (metadata["embedder"], metadata["dims"]) == ("x", 2)
    second.upsert([Point(point(2).id, {"n": 2}, dense=[1.0, 0.0])]).result()
    second.close()


def test_a_server_that_is_not_there_is_named_without_the_key(
    tmp_path: Path, told: list[str]
) -> None:
    key = SecretStr("very-secret")
    url = "http://127.0.0.1:1"
    backend = ServerBackend(tmp_path, url, key, on_degraded=told.append, pause=60)
    faults = [fault_of(backend.count(None)), fault_of(backend.stats())]
    assert [f.code for f in faults] == ["memory_unreachable"] * 2
    assert all(url in f.message and "QDRANT_URL" in f.message for f in faults)
    assert faults[0].degrades
    backend.close()
    assert len(told) == 1
    assert "very-secret" not in f"{told} {faults}"


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_wrong_key_is_denied_and_nothing_is_spooled(tmp_path: Path, key: str | None) -> None:
    with qdrant_server(api_key="right") as server:
        secret = SecretStr(key) if key else None
        backend = ServerBackend(tmp_path, server.url, secret)
        assert fault_of(backend.count(None)).code == "memory_denied"
        assert fault_of(backend.upsert([point(1)])).code == "memory_denied"
        backend.close()
        right = ServerBackend(tmp_path, server.url, SecretStr("right"))
        assert right.count(None).result() == 0
        right.close()
    assert not (tmp_path / "spool.jsonl").exists()


@pytest.mark.parametrize("version", ["1.15.4", "unknown"])
def test_an_old_server_is_refused(tmp_path: Path, version: str) -> None:
    with qdrant_server(version=version) as server:
        backend = ServerBackend(tmp_path, server.url)
        fault = fault_of(backend.count(None))
        backend.close()
    assert fault.code == "server_too_old"
    assert "1.16 or newer" in fault.message


@pytest.mark.parametrize("answer", ["<html>Back soon</html>", "", "null", "{}", '{"result": null}'])
def test_an_answer_that_is_none_of_a_qdrant_server_is_named(
    tmp_path: Path, server: QdrantServer, backend: ServerBackend, answer: str
) -> None:
    def faults(asked: ServerBackend) -> list[MemoryFault]:
        return [fault_of(call) for call in (asked.count(None), asked.upsert([point(1)]))]

    backend.count(None).result()
    server.faults.extend([answer] * 4)
    other = ServerBackend(tmp_path / "other", server.url)
    for fault in (*faults(backend), *faults(other)):
        assert fault.code == "memory_failed"
        assert "none that a Qdrant server gives" in fault.message
        assert "\n" not in fault.message
    other.close()


def test_fewer_answers_than_questions_are_named(
    server: QdrantServer, backend: ServerBackend
) -> None:
    backend.count(None).result()
    server.faults.append('{"result": [], "status": "ok", "time": 0}')
    fault = fault_of(backend.query([Query("lex", ([1], [1.0]))]))
    assert (fault.code, "0 answers to 1 queries" in fault.message) == ("memory_failed", True)


def test_a_collection_of_others_is_refused(tmp_path: Path, server: QdrantServer) -> None:
    server.collections.answer("PUT", "/collections/theirs", b'{"sparse_vectors": {"a": {}}}')
    server.collections.aliases["stretto_memory"] = "theirs"
    backend = ServerBackend(tmp_path, server.url)
    assert fault_of(backend.count(None)).code == "memory_foreign"
    backend.close()


@pytest.mark.parametrize("faults", [["cut"], ["cut", "cut"]])
def test_a_cut_connection_is_tried_again(
    backend: ServerBackend, server: QdrantServer, told: list[str], faults: list[int | str]
) -> None:
    backend.upsert([point(1)]).result()
    server.faults.extend(faults)
    assert backend.count(None).result() == 1
    server.faults.extend(faults)
    backend.upsert([point(2)]).result()
    assert numbers(backend) == [1, 2]
    assert told == []


def test_an_answer_is_not_asked_for_again(backend: ServerBackend, server: QdrantServer) -> None:
    backend.upsert([point(1)]).result()
    before = len(server.requests)
    server.faults.append(500)
    fault = fault_of(backend.count(None))
    assert fault.code == "memory_failed"
    assert fault.message.endswith("could not do this. (500 injected)")
    assert len(server.requests) == before + 1
    server.faults.append(500)
    assert fault_of(backend.upsert([point(2)])).code == "memory_failed"
    assert numbers(backend) == [1]


def test_a_rebuild_drops_what_an_earlier_one_could_not(
    backend: ServerBackend, server: QdrantServer
) -> None:
    backend.upsert([point(1)]).result()
    left = b'{"sparse_vectors": {"lex": {}}}'
    server.collections.answer("PUT", "/collections/stretto_memory-0", left)
    backend.rebuild().result()
    assert [*server.collections.shards] == ["stretto_memory-2"]
    assert numbers(backend) == [1]


def test_a_rebuild_never_drops_what_another_process_has_rebuilt(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path
) -> None:
    other = ServerBackend(tmp_path / "other", server.url)
    backend.upsert([point(1)]).result()
    assert other.count(None).result() == 1
    backend.rebuild(metadata={"by": "one"}).result()
    other.rebuild().result()
    assert [*server.collections.shards] == ["stretto_memory-3"]
    assert (numbers(backend), numbers(other)) == ([1], [1])
    other.set_metadata({"and": "two"}).result()
    backend.set_metadata({"then": "three"}).result()
    held = backend.metadata().result()
    assert (held["by"], held["and"], held["then"]) == ("one", "two", "three")
    other.close()


def test_vectors_of_meaning_are_added_in_place(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path
) -> None:
    backend.upsert([point(1)]).result()
    others = [ServerBackend(tmp_path / f"{n}", server.url) for n in range(3)]
    begun = [other.rebuild(None, 2, {"embedder": "two"}) for other in others]
    for future in begun:
        future.result()
    assert [*server.collections.shards] == ["stretto_memory-1"]
    others[0].upsert([Point(point(2).id, {"n": 2}, dense=[1.0, 0.0])]).result()
    assert numbers(backend) == [1, 2]
    held = others[1].metadata().result()
    assert (held["dims"], held["embedder"]) == (2, "two")
    for other in others:
        other.close()


def test_a_collection_that_is_gone_is_made_anew(
    backend: ServerBackend, server: QdrantServer
) -> None:
    backend.upsert([point(1)]).result()
    server.faults.append(404)
    assert backend.count(None).result() == 1
    server.collections.drop("stretto_memory-1")
    server.collections.aliases.clear()
    backend.upsert([point(2)]).result()
    assert numbers(backend) == [2]


@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_server_that_asks_for_patience_counts_as_away(
    backend: ServerBackend, server: QdrantServer, status: int
) -> None:
    backend.upsert([point(1)]).result()
    server.faults.append(status)
    backend.upsert([point(2)]).result()
    assert backend.stats().result().spooled == 1
    backend.upsert([point(3)]).result()
    assert numbers(backend) == [1, 2, 3]


def test_a_slow_server_counts_as_away(
    backend: ServerBackend, server: QdrantServer, told: list[str]
) -> None:
    backend.upsert([point(1)]).result()
    server.faults.append("slow")
    fault = fault_of(backend.count(None))
    assert fault.code == "memory_unreachable"
    assert "no answer within 2 s" in fault.message
    assert len(told) == 1


def test_writes_wait_while_the_server_is_away_and_come_in_order(
    backend: ServerBackend, server: QdrantServer, told: list[str]
) -> None:
    backend.upsert([point(n) for n in range(4)]).result()
    server.stop()
    backend.upsert([point(4), point(5)]).result()
    assert backend.delete([point(4).id]).result() == 0
    assert backend.delete(Filter((Match("n", 0),))).result() == 0
    backend.set_payload([point(5).id], {"n": 50}).result()
    backend.upsert([point(0)]).result()
    assert fault_of(backend.count(None)).code == "memory_unreachable"
    assert len(told) == 1
    server.start()
    assert backend.count(None).result() in (4, 5)  # a read does not wait for what is spooled
    backend.upsert([point(6)]).result()
    assert numbers(backend) == [0, 1, 2, 3, 50, 6]
    assert backend.stats().result().spooled == 0


def test_each_outage_is_told_once(
    backend: ServerBackend, server: QdrantServer, told: list[str]
) -> None:
    for outage in (1, 2):
        assert backend.count(None).result() == 0
        server.stop()
        for _ in range(3):
            fault_of(backend.count(None))
        assert len(told) == outage
        server.start()


def test_waiting_writes_are_counted_and_outlive_the_process(
    tmp_path: Path, server: QdrantServer
) -> None:
    server.stop()
    program = """
        import sys, uuid
        from pathlib import Path
        from stretto.memory.backend.server import ServerBackend
        from stretto.memory.backend.types import Point
        import os
        backend = ServerBackend(Path(sys.argv[1]), sys.argv[2])
        for n in range(3):
            backend.upsert([Point(str(uuid.UUID(int=n)), {"n": n})]).result()
        os.kill(os.getpid(), 9)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path), server.url], check=False
    )
    with (tmp_path / "spool.jsonl").open("a") as file:
        file.write('{"op": "upsert", "points": [{"id"')  # cut off: was never acknowledged
    server.start()
    backend = ServerBackend(tmp_path, server.url)
    assert backend.stats().result().spooled == 3
    backend.upsert([point(9)]).result()
    assert numbers(backend) == [0, 1, 2, 9]
    backend.close()


def test_a_replay_that_was_done_already_changes_nothing(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path
) -> None:
    backend.count(None).result()
    server.stop()
    backend.upsert([point(1), point(2)]).result()
    backend.delete([point(1).id]).result()
    spooled = (tmp_path / "spool.jsonl").read_bytes()
    server.start()
    backend.upsert([point(3)]).result()
    (tmp_path / "spool.jsonl").write_bytes(spooled)  # as if killed before it was cleared
    backend.upsert([point(4)]).result()
    assert numbers(backend) == [2, 3, 4]


def test_a_write_the_server_never_takes_is_put_aside(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path
) -> None:
    backend.count(None).result()
    server.stop()
    backend.upsert([point(1)]).result()
    backend.upsert([point(2)]).result()
    server.start()
    server.faults.append(400)
    backend.upsert([point(3)]).result()
    assert numbers(backend) == [2, 3]
    aside = json.loads((tmp_path / "spool.rejected.jsonl").read_text())
    assert aside["points"][0]["payload"] == {"n": 1}


@pytest.mark.parametrize("faults", [[500], [404, 404], [401], [302], [405]])
def test_a_write_that_waits_goes_on_waiting_while_the_server_is_not_well(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path, faults: list[int]
) -> None:
    backend.count(None).result()
    server.stop()
    backend.upsert([point(1)]).result()
    server.start()
    server.faults.extend(faults)
    assert fault_of(backend.upsert([point(2)])).degrades
    backend.upsert([point(3)]).result()
    assert numbers(backend) == [1, 3]
    assert not (tmp_path / "spool.rejected.jsonl").exists()


def test_a_write_behind_one_that_was_cut_off_is_not_lost(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path
) -> None:
    backend.count(None).result()
    server.stop()
    backend.upsert([point(1)]).result()
    with (tmp_path / "spool.jsonl").open("a") as file:
        file.write('{"op": "upsert", "points": [{"id"')
    backend.upsert([point(2)]).result()
    server.start()
    backend.upsert([point(3)]).result()
    assert numbers(backend) == [1, 2, 3]


def test_reads_go_on_while_another_process_does_the_writes_that_wait(
    backend: ServerBackend, server: QdrantServer, tmp_path: Path
) -> None:
    backend.count(None).result()
    server.stop()
    backend.upsert([point(1)]).result()
    server.start()
    with FileLock(tmp_path / "spool.lock"):
        assert backend.count(None).result() == 0  # and it begins to catch up
        assert backend.count(None).result(timeout=10) == 0
    backend.upsert([point(2)]).result()
    assert numbers(backend) == [1, 2]


def test_a_collection_that_is_made_twice_at_the_same_moment_is_one(
    backend: ServerBackend, server: QdrantServer
) -> None:
    server.faults.extend(["fine", "fine", "fine", "lost"])
    assert backend.count(None).result() == 0
    assert server.requests.count(("PUT", "/collections/stretto_memory-1")) == 2


def test_many_first_calls_at_once_make_one_collection(backend: ServerBackend) -> None:
    counts = [backend.count(None) for _ in range(10)]
    assert [count.result() for count in counts] == [0] * 10


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_a_connection_of_its_own(backend: ServerBackend) -> None:
    backend.upsert([point(1)]).result()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            backend.upsert([point(2)]).result()
            os.write(writing, bytes(numbers(backend)))
            backend.close()
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        assert [*answer.read()] == [1, 2]
    os.waitpid(child, 0)
    assert numbers(backend) == [1, 2]


def test_a_process_that_never_closes_its_backend_ends(tmp_path: Path, server: QdrantServer) -> None:
    program = """
        import sys
        from pathlib import Path
        from stretto.memory.backend.server import ServerBackend
        backend = ServerBackend(Path(sys.argv[1]), sys.argv[2])
        print(backend.atomic(lambda on: on.count(None)).result())
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path), server.url],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")


async def test_a_write_that_was_begun_comes_to_its_end_though_its_caller_is_cancelled(
    backend: ServerBackend, server: QdrantServer
) -> None:
    def two(engine: Engine) -> None:
        engine.upsert([point(1)])
        server.faults.append("slow")
        begun.set()
        engine.upsert([point(2)])

    begun = threading.Event()
    work = asyncio.wrap_future(backend.atomic(two))
    await asyncio.to_thread(begun.wait)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await asyncio.wrap_future(backend.metadata())  # the other loop has heard of it, too
    server.released.set()
    await asyncio.wrap_future(backend.upsert([]))  # comes after all of it
    assert await asyncio.to_thread(numbers, backend) == [1, 2]


def test_closing_waits_for_what_was_asked_for(tmp_path: Path, server: QdrantServer) -> None:
    backend = ServerBackend(tmp_path, server.url)
    backend.upsert([point(n) for n in range(50)]).result()
    pages = [backend.scroll(None, 100) for _ in range(30)]
    backend.close()
    assert [len(page.result()[0]) for page in pages] == [50] * 30


def test_work_that_waits_while_the_backend_closes_is_done_on_its_one_thread(
    tmp_path: Path, server: QdrantServer
) -> None:
    before = {*threading.enumerate()}
    backend = ServerBackend(tmp_path, server.url)
    go_on = threading.Event()
    first = backend.atomic(lambda _: go_on.wait())
    second = backend.atomic(lambda engine: engine.count(None))
    closing = threading.Thread(target=backend.close)
    closing.start()
    while not isinstance(error := backend.count(None).exception(), MemoryFault):
        pass
    assert error.code == "memory_closed"
    go_on.set()
    assert (first.result(), second.result()) == (True, 0)
    closing.join()
    assert [
        t for t in threading.enumerate() if t.name == "stretto-memory" and t not in before
    ] == []


@pytest.mark.parametrize(
    "url",
    ["localhost:6333", "http://", "http://[::1", "http://h:99999", "ftp://h", "https://u:pw@h"],
)
def test_an_address_that_is_none_is_refused_and_not_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="QDRANT_URL") as refused:
        open_backend(tmp_path, url)
    assert "pw" not in str(refused.value)


def test_the_spool_is_bounded(tmp_path: Path) -> None:
    backend = ServerBackend(tmp_path, "http://127.0.0.1:1", pause=60, spool_limit=1000)
    backend.upsert([point(1)]).result()
    fault = fault_of(backend.upsert([Point(point(2).id, {"text": "x" * 1000})]))
    assert fault.code == "memory_full"
    backend.close()


def test_a_damaged_spool_is_refused_and_left_alone(backend: ServerBackend, tmp_path: Path) -> None:
    (tmp_path / "spool.jsonl").write_text("nonsense\n")
    assert fault_of(backend.upsert([point(1)])).code == "memory_corrupt"
    assert (tmp_path / "spool.jsonl").read_text() == "nonsense\n"


def test_a_spool_that_cannot_be_locked_is_named(backend: ServerBackend, tmp_path: Path) -> None:
    (tmp_path / "spool.jsonl").write_text('{"op":"delete"}\n')
    (tmp_path / "spool.lock").mkdir()
    fault = fault_of(backend.upsert([point(1)]))
    assert fault.degrades
    assert "spool.lock" in fault.message
    (tmp_path / "spool.lock").rmdir()
    backend.upsert([point(2)]).result()
    assert numbers(backend) == [2]


def test_a_missing_package_names_the_extra(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        sys.modules["qdrant_client"] = None
        from stretto.memory.backend.opening import open_backend
        open_backend(Path("x"), "http://127.0.0.1:1")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert ConfigurationError.__name__ in done.stderr
    assert "stretto[qdrant]" in done.stderr
