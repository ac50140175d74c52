"""What only a folder has: its owner, its files, its damages, and what a kill leaves."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from random import Random
from threading import Event, Thread, current_thread
from typing import Any, TypeVar

import pytest

from stretto.errors import MemoryFault
from stretto.memory.backend import shard as shards
from stretto.memory.backend import thread
from stretto.memory.backend.edge import EdgeBackend
from stretto.memory.backend.opening import open_backend
from stretto.memory.backend.protocol import Engine
from stretto.memory.backend.thread import CAPACITY
from stretto.memory.backend.types import Filter, Match, Point, Query

POINT = Point(str(uuid.UUID(int=1)), {"text": "first"}, lex=([1], [1.0]))
HOLDER = """
    import sys
    from pathlib import Path
    from stretto.memory.backend.edge import EdgeBackend
    from stretto.memory.backend.types import Point
    backend = EdgeBackend(Path(sys.argv[1]))
    backend.count(None).result()
    print("open", flush=True)
    sys.stdin.readline()
"""
WRITER = """
    import sys, uuid
    from pathlib import Path
    from stretto.memory.backend.edge import EdgeBackend
    from stretto.memory.backend.types import Point
    backend = EdgeBackend(Path(sys.argv[1]))
    while True:
        futures = []
        for _ in range(20):
            id = str(uuid.uuid4())
            point = Point(id, {"text": id}, lex=([1, 2], [1.0, 2.0]))
            futures.append((id, backend.upsert([point])))
        for id, future in futures:
            future.result()
            print(id, flush=True)
"""


@contextmanager
def running(program: str, *arguments: object) -> "Generator[subprocess.Popen[str]]":
    command = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def fault_of(backend: EdgeBackend) -> MemoryFault:
    """Open, and give what is wrong."""
    error = backend.count(None).exception()
    backend.close()
    assert isinstance(error, MemoryFault)
    return error


def begin(folder: Path, points: int = 1) -> EdgeBackend:
    """Make a memory with points in it, and leave it open."""
    backend = EdgeBackend(folder)
    backend.upsert([Point(str(uuid.UUID(int=n)), {"n": n}) for n in range(points)]).result()
    return backend


def test_nothing_is_opened_before_the_first_call(tmp_path: Path) -> None:
    backend = open_backend(tmp_path / "memory")
    assert not (tmp_path / "memory").exists()
    backend.close()
    assert not (tmp_path / "memory").exists()


def test_points_are_there_after_reopening(tmp_path: Path) -> None:
    begin(tmp_path, 5).close()
    backend = EdgeBackend(tmp_path)
    assert backend.count(None).result() == 5
    backend.close()


def test_dense_vectors_can_come_later(tmp_path: Path) -> None:
    begin(tmp_path).close()
    backend = EdgeBackend(tmp_path, dims=2)
    backend.upsert([Point(POINT.id, {}, dense=[3.0, 4.0])]).result()
    assert backend.metadata().result()["dims"] == 2
    backend.close()
    again = EdgeBackend(tmp_path, dims=5)
    assert again.metadata().result()["dims"] == 2
    [[hit]] = again.query([Query("dense", [3.0, 4.0])]).result()
    assert hit.id == POINT.id
    again.close()


def test_whole_floats_of_an_earlier_version_are_used_until_they_are_rebuilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Random(0)
    points = [
        Point(str(uuid.UUID(int=n)), {"n": n}, dense=[draw.gauss() for _ in range(40)])
        for n in range(200)
    ]
    monkeypatch.setattr(shards, "DATATYPE", None)
    backend = EdgeBackend(tmp_path, dims=40)
    backend.upsert(points).result()
    backend.close()
    monkeypatch.undo()
    backend = EdgeBackend(tmp_path, dims=40)
    queries = [Query("dense", point.dense or (), limit=200) for point in points[:5]]
    before = backend.query(queries).result()
    assert [scored[0].payload["n"] for scored in before] == [0, 1, 2, 3, 4]
    backend.rebuild().result()
    for old, new in zip(before, backend.query(queries).result(), strict=True):
        scores = {record.id: record.score for record in new}
        assert {r.id: r.score for r in old} == pytest.approx(scores, abs=3e-5)
    backend.close()
    [config] = tmp_path.glob("shard-*/edge_config.json")
    assert "turbo16" in config.read_text()


def test_two_backends_of_one_process_share_a_folder_until_the_last_one_closes(
    tmp_path: Path,
) -> None:
    one, two = EdgeBackend(tmp_path), EdgeBackend(tmp_path, dims=2)
    one.upsert([POINT]).result()
    assert two.count(None).result() == 1
    two.upsert([Point(str(uuid.uuid4()), {}, dense=[1.0, 0.0])]).result()
    one.close()
    assert two.count(None).result() == 2
    two.close()
    with running(HOLDER, tmp_path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"


def test_a_second_process_is_told_who_has_the_folder_and_what_to_do(tmp_path: Path) -> None:
    with running(HOLDER, tmp_path) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        fault = fault_of(EdgeBackend(tmp_path))
    assert fault.code == "memory_locked"
    assert fault.degrades
    assert f"process {other.pid} on " in fault.message
    assert "QDRANT_URL" in fault.message
    assert "STRETTO_HOME" in fault.message


def test_a_folder_that_was_in_use_opens_at_the_next_call_once_it_is_free(tmp_path: Path) -> None:
    backend = EdgeBackend(tmp_path)
    with running(HOLDER, tmp_path) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert isinstance(backend.count(None).exception(), MemoryFault)
        other.communicate("\n")
        assert backend.count(None).result() == 0
    backend.close()


def test_kill_minus_nine_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    for round in range(3):
        with running(WRITER, tmp_path) as writer:
            assert writer.stdout is not None
            for _ in range(100 + 50 * round):
                acknowledged.add(writer.stdout.readline().strip())
            writer.send_signal(signal.SIGKILL)
            acknowledged |= {line.strip() for line in writer.stdout if line.endswith("\n")}
        backend = EdgeBackend(tmp_path)
        records = backend.retrieve(sorted(acknowledged)).result()
        backend.close()
        assert {r.id for r in records} == acknowledged
        assert all(r.payload == {"text": r.id} for r in records)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_is_refused_while_the_parent_has_the_folder_and_opens_it_after(
    tmp_path: Path,
) -> None:
    backend = begin(tmp_path, 3)
    to_child, from_child = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            error = backend.count(None).exception()
            os.write(from_child[1], f"{getattr(error, 'code', None)}\n".encode())
            os.read(to_child[0], 1)
            os.write(from_child[1], f"{backend.count(None).result()}\n".encode())
            backend.upsert([Point(str(uuid.uuid4()), {})]).result()
            backend.close()
        finally:
            os._exit(0)
    with os.fdopen(from_child[0]) as answers:
        assert answers.readline() == "memory_locked\n"
        assert backend.count(None).result() == 3
        backend.close()
        os.write(to_child[1], b"x")
        assert answers.readline() == "3\n"
        os.waitpid(child, 0)
    for descriptor in (*to_child, from_child[1]):
        os.close(descriptor)
    assert EdgeBackend.count(again := EdgeBackend(tmp_path), None).result() == 4
    again.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are of POSIX")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_that_lives_on_does_not_keep_the_folder_from_its_parent(tmp_path: Path) -> None:
    backend = begin(tmp_path, 2)
    end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end[1])
        os.read(end[0], 1)
        os._exit(0)
    backend.close()
    again = EdgeBackend(tmp_path)
    assert again.count(None).result() == 2
    again.close()
    os.close(end[1])
    os.waitpid(child, 0)
    os.close(end[0])


def test_a_point_that_cannot_be_kept_fails_alone_among_writes_done_together(
    tmp_path: Path,
) -> None:
    backend = EdgeBackend(tmp_path)
    free = Event()
    backend.atomic(lambda _: free.wait())
    ids = [str(uuid.uuid4()) for _ in range(30)]
    futures = [
        backend.upsert([Point(id, {"n": float("nan") if n == 7 else n})])
        for n, id in enumerate(ids)
    ]
    free.set()
    errors = [future.exception() for future in futures]
    assert [n for n, error in enumerate(errors) if error] == [7]
    assert backend.count(None).result() == 29
    backend.close()


def test_a_thread_waits_when_the_queue_is_full_and_an_event_loop_does_not(tmp_path: Path) -> None:
    backend = begin(tmp_path)
    free, started = Event(), Event()

    def hold(engine: Engine) -> None:
        started.set()
        free.wait()

    backend.atomic(hold)
    started.wait()
    full = [backend.count(None) for _ in range(CAPACITY)]

    async def submit() -> None:
        future = asyncio.wrap_future(backend.count(None))
        free.set()
        assert await future == 1

    asyncio.run(submit())
    assert {future.result() for future in full} == {1}
    backend.close()


def test_a_cancelled_wait_leaves_the_engine_working(tmp_path: Path) -> None:
    backend = begin(tmp_path)
    free = Event()
    backend.atomic(lambda _: free.wait())
    waiting = backend.count(None)
    assert waiting.cancel()
    free.set()
    assert backend.count(None).result() == 1
    backend.close()


T = TypeVar("T")
Ask = Callable[[EdgeBackend], tuple["Seen[Any]", "Future[Any]"]]


class Seen(list[T]):
    """What is asked for or written, which notes the thread that looks at it."""

    by: Thread | None = None

    def __iter__(self) -> Iterator[T]:
        self.by = current_thread()
        return super().__iter__()


def read(backend: EdgeBackend) -> tuple[Seen[Any], Future[Any]]:
    ids = Seen([POINT.id])
    return ids, backend.retrieve(ids)


def write(backend: EdgeBackend) -> tuple[Seen[Any], Future[Any]]:
    points = Seen([POINT])
    return points, backend.upsert(points)


@pytest.mark.parametrize("ask", [read, write])
async def test_an_event_loop_calls_once_itself_each_time_it_looks_for_events(
    tmp_path: Path, ask: Ask
) -> None:
    backend = begin(tmp_path)
    while True:  # until nothing comes before it
        first, future = ask(backend)
        await asyncio.wrap_future(future)
        if first.by is current_thread():
            break
    await asyncio.sleep(0)
    asked = [ask(backend) for _ in range(2)]
    await asyncio.gather(*(asyncio.wrap_future(future) for _, future in asked))
    assert [seen.by is current_thread() for seen, _ in asked] == [True, False]
    backend.close()


@pytest.mark.parametrize(("calls", "seconds"), [(100, 0.01), (1, 1000.0)])
def test_what_a_caller_wrote_itself_is_flushed_by_the_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: int, seconds: float
) -> None:
    flush, flushed = shards.Shard.flush, Queue[Thread]()

    def noted(shard: shards.Shard) -> None:
        flush(shard)
        flushed.put(current_thread())

    monkeypatch.setattr(shards.Shard, "flush", noted)
    monkeypatch.setattr(thread, "SYNC_CALLS", calls)
    monkeypatch.setattr(thread, "SYNC_SECONDS", seconds)
    monkeypatch.setattr(thread, "FLUSH_POINTS", 1)
    backend, seen = begin(tmp_path), None
    flushed.get(timeout=30)  # from now on it has nothing to wake up for
    while seen is None or seen.by is not current_thread():
        for _ in range(200):  # by then it waits
            backend.retrieve([POINT.id]).result()
        seen, future = write(backend)
        future.result()
        assert flushed.get(timeout=30) is not current_thread()
    backend.close()


def test_a_read_never_overtakes_a_write(tmp_path: Path) -> None:
    backend = begin(tmp_path)
    for n in range(200):
        backend.upsert([Point(str(uuid.UUID(int=0)), {"n": n})])
        [record] = backend.retrieve([str(uuid.UUID(int=0))]).result()
        assert record.payload == {"n": n}
    backend.close()


async def test_fifty_nodes_that_put_and_search_lose_nothing(tmp_path: Path) -> None:
    backend = EdgeBackend(tmp_path)

    async def node(number: int) -> None:
        for turn in range(10):
            id = str(uuid.uuid4())
            point = Point(id, {"kind": f"k{number}", "n": turn}, lex=([number, 99], [1.0, 1.0]))
            await asyncio.wrap_future(backend.upsert([point]))
            query = Query("lex", ([number], [1.0]), Filter((Match("kind", f"k{number}"),)), 50)
            [records] = await asyncio.wrap_future(backend.query([query]))
            assert sorted(r.payload["n"] for r in records) == list(range(turn + 1))

    await asyncio.gather(*(node(n) for n in range(50)))
    assert backend.count(None).result() == 500
    backend.close()


def test_after_a_rebuild_no_file_holds_what_was_deleted(tmp_path: Path) -> None:
    backend = EdgeBackend(tmp_path)
    secret = "Ann Example, 12 Secret Street"
    gone = Point(str(uuid.uuid4()), {"kind": "pii", "text": secret})
    backend.upsert([gone, Point(POINT.id, {"kind": "kept", "text": "stays here"})]).result()
    backend.delete(Filter((Match("kind", "pii"),))).result()
    assert files_with(tmp_path, secret)  # or the test below would prove nothing
    backend.rebuild().result()
    assert files_with(tmp_path, secret) == []
    assert files_with(tmp_path, gone.id) == []
    assert files_with(tmp_path, "stays here")
    backend.close()
    assert files_with(tmp_path, secret) == []
    assert len(list(tmp_path.glob("shard-*"))) == 1


def files_with(folder: Path, text: str) -> list[Path]:
    needles = (text.encode(), uuid.UUID(text).bytes if len(text) == 36 else text.encode())
    paths = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if any(n in path.read_bytes() for n in needles)]


def test_what_a_rebuild_could_not_remove_the_next_one_removes(tmp_path: Path) -> None:
    backend = begin(tmp_path)
    left = tmp_path / "shard-0"
    left.mkdir()
    (left / "points").write_text("what was deleted")
    backend.rebuild().result()
    assert not left.exists()
    backend.close()


def test_metadata_older_than_the_shards_costs_no_points(tmp_path: Path) -> None:
    backend = begin(tmp_path, 5)
    older = (tmp_path / "memory.json").read_bytes()
    backend.rebuild().result()
    backend.close()
    newer = (tmp_path / "memory.json").read_bytes()
    (tmp_path / "memory.json").write_bytes(older)
    assert fault_of(EdgeBackend(tmp_path)).code == "memory_corrupt"
    (tmp_path / "memory.json").write_bytes(newer)
    again = EdgeBackend(tmp_path)
    assert again.count(None).result() == 5
    again.close()


def test_what_a_rebuild_or_a_beginning_left_half_done_is_removed(tmp_path: Path) -> None:
    begin(tmp_path, 3).close()
    half = tmp_path / "shard-2"
    half.mkdir()
    (half / "rest").write_text("x")
    backend = EdgeBackend(tmp_path)
    assert backend.count(None).result() == 3
    assert not half.exists()
    backend.close()


def test_a_beginning_that_was_killed_begins_again(tmp_path: Path) -> None:
    begin(tmp_path).close()
    metadata = json.loads((tmp_path / "memory.json").read_text())
    (tmp_path / "memory.json").write_text(json.dumps({**metadata, "shard": None}))
    backend = EdgeBackend(tmp_path)
    assert backend.count(None).result() == 0
    backend.close()


KILLED_REBUILD = """
    import os, sys
    from pathlib import Path
    from stretto.memory.backend.edge import EdgeBackend
    backend = EdgeBackend(Path(sys.argv[1]))
    left = int(sys.argv[2])
    def change(point):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)
        return point
    backend.rebuild(change).result()
    print("done", flush=True)
"""


@pytest.mark.parametrize("points", [0, 1, 150])
def test_a_rebuild_that_is_killed_leaves_the_memory_as_it_was(tmp_path: Path, points: int) -> None:
    begin(tmp_path, 200).close()
    with running(KILLED_REBUILD, tmp_path, points) as process:
        assert process.communicate()[0] == ""
    assert len(list(tmp_path.glob("shard-*"))) == 2
    backend = EdgeBackend(tmp_path)
    assert backend.count(None).result() == 200
    assert len(list(tmp_path.glob("shard-*"))) == 1
    backend.close()


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("not json", "memory_corrupt", "restore it from a backup"),
        ("[]", "memory_foreign", "not written by Stretto"),
        ('{"a": 1}', "memory_foreign", "choose another folder"),
        ('{"stretto_memory": 2}', "memory_newer", "update Stretto"),
        ('{"stretto_memory": 1}', "memory_corrupt", "lacks what it must hold"),
        (
            '{"stretto_memory": 1, "created": 0, "values": {}, "shard": "shard-7"}',
            "memory_corrupt",
            "shard-7 is missing",
        ),
    ],
)
def test_metadata_that_cannot_be_used_is_refused_and_left_alone(
    tmp_path: Path, content: str, code: str, words: str
) -> None:
    (tmp_path / "memory.json").write_text(content)
    fault = fault_of(EdgeBackend(tmp_path))
    assert fault.code == code
    assert words in fault.message
    assert (tmp_path / "memory.json").read_text() == content


def test_points_without_their_metadata_are_refused_and_left_alone(tmp_path: Path) -> None:
    begin(tmp_path).close()
    (tmp_path / "memory.json").unlink()
    fault = fault_of(EdgeBackend(tmp_path))
    assert fault.code == "memory_corrupt"
    assert (tmp_path / "shard-1").is_dir()


@pytest.mark.parametrize("name", ["meta.json", "edge_config.json"])
def test_a_folder_of_qdrant_itself_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    fault = fault_of(EdgeBackend(tmp_path))
    assert fault.code == "memory_foreign"
    assert name in fault.message
    assert (tmp_path / name).read_text() == "{}"


def test_a_damaged_shard_is_refused_and_left_alone(tmp_path: Path) -> None:
    begin(tmp_path).close()
    config = tmp_path / "shard-1" / "edge_config.json"
    config.write_text("{")
    fault = fault_of(EdgeBackend(tmp_path))
    assert fault.code == "memory_corrupt"
    assert "Nothing was changed" in fault.message
    assert config.read_text() == "{"


def test_a_file_where_the_folder_should_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    path.write_text("mine")
    assert fault_of(EdgeBackend(path)).code == "memory_foreign"
    assert fault_of(EdgeBackend(path / "below")).code == "memory_foreign"
    assert path.read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="rights are of POSIX here")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    assert shards  # imported while this user may read the sources
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    tmp_path.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        fault = fault_of(EdgeBackend(folder / "memory"))
    finally:
        os.seteuid(user)
    assert fault.code == "memory_denied"
    assert "STRETTO_HOME" in fault.message


@pytest.mark.skipif(os.name == "nt", reason="limits are of POSIX")
def test_a_disk_that_takes_no_more_is_named(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    backend = EdgeBackend(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        error = backend.count(None).exception()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(error, MemoryFault)
    assert error.code == "memory_full"
    assert backend.count(None).result() == 0
    backend.close()


SMALL_DISK = """
    import subprocess, sys, uuid
    from pathlib import Path
    from stretto.errors import MemoryFault
    from stretto.memory.backend.edge import EdgeBackend
    from stretto.memory.backend.types import Point
    folder = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "none", folder], check=True)
    backend = EdgeBackend(folder)
    written = 0
    try:
        while True:
            points = [Point(str(uuid.uuid4()), {"text": "x" * 4000}) for _ in range(50)]
            backend.upsert(points).result()
            written += 50
    except MemoryFault as fault:
        print(fault.code, backend.count(None).result() >= written > 0)
"""


def test_a_disk_that_fills_up_refuses_writes_and_answers_on(tmp_path: Path) -> None:
    command = ["unshare", "-rm", sys.executable, "-c", textwrap.dedent(SMALL_DISK), str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unshare here to make a small disk with")
    if "mount" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no small disk can be made here: {done.stderr[:200]}")
    assert done.stdout == "memory_full True\n", done.stderr


def test_a_file_that_makes_the_engine_panic_is_a_fault_like_any_other(tmp_path: Path) -> None:
    begin(tmp_path).close()
    damaged = [*tmp_path.rglob("*-null/is_null/status.dat")]
    assert damaged
    for path in damaged:
        path.write_bytes(b"")
    fault = fault_of(EdgeBackend(tmp_path))
    assert (fault.code, fault.degrades) == ("memory_corrupt", True)
