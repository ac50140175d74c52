"""Plain functions that are killable run in processes that are really gone at their deadline."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from stretto import Engine, Step, Task, Workflow, agent
from stretto.agents.agent import FunctionAgent
from stretto.agents.registry import AgentRegistry
from stretto.cli.crew import load_crew, make_registry
from stretto.errors import ConfigurationError, StepFailed
from stretto.graphs.causes import is_retryable, retry_after
from tests.fakes import heavy
from tests.graphs.running import Stage

ROOT = Path(__file__).parents[2]


def gone(pid: int) -> bool:
    """Tell whether a process has ended, also when nobody has taken note of it yet."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (ProcessLookupError, FileNotFoundError):
        return True


async def all_gone(*pids: int) -> None:
    async with asyncio.timeout(20):
        while not all(gone(pid) for pid in pids):
            await asyncio.sleep(0.01)


@pytest.fixture
async def registry() -> AsyncGenerator[AgentRegistry]:
    found = AgentRegistry([heavy.work])
    yield found
    found.close()


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "note"


def task(note: Path, what: str = "tell", **more: Any) -> Task:
    return Task(params={"what": what, "note": str(note)}, step_id="s", **more)


async def pids_once_at_work(note: Path) -> list[int]:
    async with asyncio.timeout(20):
        while not note.with_suffix(".ready").exists():
            await asyncio.sleep(0.01)
    return [int(pid) for pid in note.read_text().split()]


async def test_what_it_gives_publishes_and_uses_comes_back(
    registry: AgentRegistry, note: Path
) -> None:
    told: list[str] = []
    given = task(note, publish=told.append)
    output = await registry.get("work").run(given)
    assert output == {"pid": int(note.read_text()), "calls": 1, "thread": "MainThread"}
    assert (told, given.usage.calls, given.usage.input_tokens) == (["one ", "two"], 1, 7)
    assert output["pid"] != os.getpid()
    assert heavy.calls == []  # what a module keeps is kept by the process


async def test_a_process_is_used_again_by_the_next_call(
    registry: AgentRegistry, note: Path
) -> None:
    outputs = [await registry.get("work").run(task(note)) for _ in range(3)]
    assert len({output["pid"] for output in outputs}) == 1
    assert [output["calls"] for output in outputs] == [1, 2, 3]


async def test_calls_at_the_same_time_have_a_process_each(
    registry: AgentRegistry, tmp_path: Path
) -> None:
    notes = [tmp_path / str(n) for n in range(2)]
    outputs = await asyncio.gather(*(registry.get("work").run(task(note)) for note in notes))
    assert len({output["pid"] for output in outputs}) == 2


def step(note: Path, what: str, **more: Any) -> dict[str, Any]:
    return {"id": "a", "agent": "work", "params": {"what": what, "note": str(note)}, **more}


async def test_at_its_deadline_the_process_and_what_it_started_are_gone(note: Path) -> None:
    warm = {**step(note, "tell"), "id": "warm"}
    late = step(note, "hang", timeout=2, depends_on=["warm"])
    ran = await Stage([warm, late], [heavy.work]).run()
    assert ran.errors == [("a", "step_timed_out")]
    mine, started = (int(pid) for pid in note.read_text().split())
    assert mine == ran.summary.outputs["warm"]["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(mine, 0)
    await all_gone(started)


async def test_a_cancelled_call_leaves_no_process(registry: AgentRegistry, note: Path) -> None:
    call = asyncio.create_task(registry.get("work").run(task(note, "hang")))
    pids = await pids_once_at_work(note)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await all_gone(*pids)


async def test_a_process_that_dies_fails_its_step_and_can_be_tried_again(note: Path) -> None:
    retry = {"attempts": 2, "delay": 0.001}
    ran, events = await Stage([step(note, "die", retry=retry)], [heavy.work]).narrate()
    assert ran.output == "alive"
    again = [event.data for event in events if event.event == "agent_retry"]
    assert [data["code"] for data in again] == ["worker_died"]
    assert "ended with exit code 3 in the middle of the call" in again[0]["error_message"]


async def test_a_crash_is_named_by_its_signal(registry: AgentRegistry, note: Path) -> None:
    with pytest.raises(StepFailed, match="ended by SIGSEGV") as failed:
        await registry.get("work").run(task(note, "crash"))
    assert (failed.value.code, failed.value.retryable) == ("worker_died", True)
    with pytest.raises(StepFailed, match="ended by signal 40"):
        await registry.get("work").run(task(note, "crash_without_a_name"))


async def test_a_fork_that_comes_back_from_a_call_answers_nobody(
    registry: AgentRegistry, note: Path
) -> None:
    told: list[str] = []
    async with asyncio.timeout(20):
        assert await registry.get("work").run(task(note, "fork", publish=told.append)) == 0
        assert (await registry.get("work").run(task(note)))["calls"] == 2
    assert told == []


async def test_a_process_that_dies_is_missed_though_a_fork_of_it_lives(
    registry: AgentRegistry, note: Path
) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(StepFailed, match="ended by SIGSEGV"):
            await registry.get("work").run(task(note, "fork_and_crash"))
    await all_gone(int(note.read_text()))


async def test_what_cannot_be_published_harms_no_later_answer(
    registry: AgentRegistry, note: Path
) -> None:
    assert await registry.get("work").run(task(note, "publish_oddly")) == "went on"


async def test_its_exceptions_come_back_with_the_place_they_were_raised_at(
    registry: AgentRegistry, note: Path
) -> None:
    with pytest.raises(LookupError, match="nothing there") as failed:
        await registry.get("work").run(task(note, "fail"))
    assert "heavy.py" in failed.value.__notes__[0]
    with pytest.raises(Exception, match="Unsendable: 7 odd"):
        await registry.get("work").run(task(note, "fail_oddly"))
    with pytest.raises(StepFailed, match="function cannot be") as failed_to_send:
        await registry.get("work").run(task(note, "give_oddly"))
    assert failed_to_send.value.code == "cannot_be_sent"


async def test_what_stands_for_an_error_is_tried_again_like_it(
    registry: AgentRegistry, note: Path
) -> None:
    with pytest.raises(ValueError, match="Unsilent: its message cannot be written") as failed:
        await registry.get("work").run(task(note, "fail_unsaid"))
    assert not is_retryable(failed.value)
    for status, again in ((404, False), (503, True)):
        given = Task(params={"what": "fail_at_a_service", "note": str(note), "status": status})
        with pytest.raises(Exception, match=f"HTTPStatusError: .*{status}") as refused:
            await registry.get("work").run(given)
        assert is_retryable(refused.value) is again
        assert retry_after(refused.value) == 7


async def test_one_that_tries_to_end_the_program_fails_alone(note: Path) -> None:
    ran = await Stage([step(note, "leave")], [heavy.work]).run()
    assert ran.errors == [("a", "step_failed")]


async def test_a_task_that_cannot_be_sent_is_refused(registry: AgentRegistry, note: Path) -> None:
    with pytest.raises(StepFailed, match="has to be sent, and cannot be") as failed:
        await registry.get("work").run(task(note, messages=(lambda: None,)))
    assert (failed.value.code, failed.value.retryable) == ("cannot_be_sent", False)


async def test_the_plain_methods_of_a_class_work_on_a_copy_of_it() -> None:
    counter = heavy.Counter()
    registry = AgentRegistry([counter])
    runs = [await registry.get("counter").run(Task()) for _ in range(2)]
    here = await registry.get("counter").run(Task(action="here"))
    registry.close()
    assert [count for count, _ in runs] == [1, 1]
    assert os.getpid() not in {pid for _, pid in runs}
    assert (here, counter.count) == ([1, os.getpid()], 1)


MODULE_LEVEL = "a worker process finds only what a module defines at its top level"
ASYNCHRONOUS = "it is asynchronous and is cancelled at its deadline instead"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (heavy.nested(), MODULE_LEVEL),
        (FunctionAgent(lambda task: 1, name="f", killable=True), MODULE_LEVEL),
        (FunctionAgent(heavy.Counter().run, killable=True), MODULE_LEVEL),
        (heavy.gentle, ASYNCHRONOUS),
        (heavy.streaming, ASYNCHRONOUS),
        (heavy.Slow, ASYNCHRONOUS),
        (heavy.Locked, "it cannot be pickled"),
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_registered(target: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"cannot be killable: {why}"):
        AgentRegistry([target])


def run_program(folder: Path, program: str) -> str:
    (folder / "program.py").write_text(program)
    command = [sys.executable, "program.py"]
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_function_of_the_program_itself_is_refused(tmp_path: Path) -> None:
    program = """
from stretto import AgentRegistry, agent

@agent(killable=True)
def mine(task): ...

try:
    AgentRegistry([mine])
except Exception as error:
    print(error)
"""
    said = "defined in the program that runs; move it to a module and import it"
    assert said in run_program(tmp_path, program)


PROGRAM = """
import asyncio
from stretto import Engine, Step, Workflow
from tests.fakes.heavy import work

flow = Workflow(name="w", steps=(Step(id="a", agent="work", params={"note": "note"}),))
engine = Engine([work], home="home")
print("begun")
print(engine.run_sync(flow).output["pid"])
"""


def test_the_program_is_not_run_again_and_leaves_no_process(tmp_path: Path) -> None:
    begun, pid = run_program(tmp_path, PROGRAM).split()
    assert (begun, gone(int(pid))) == ("begun", True)


async def test_a_killed_program_leaves_no_process_at_work(tmp_path: Path, note: Path) -> None:
    program = PROGRAM.replace('{"note": "note"}', f'{{"note": {str(note)!r}, "what": "hang"}}')
    (tmp_path / "program.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "program.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL
    ) as running:
        pids = await pids_once_at_work(note)
        running.kill()
    await all_gone(*pids)


@agent
async def quick(task: Task) -> str:
    return "done"


async def test_a_closed_engine_leaves_no_process(tmp_path: Path, note: Path) -> None:
    params = {"note": str(note)}
    flow = Workflow(name="w", steps=(Step(id="a", agent="work", params=params),))
    async with Engine([heavy.work, quick], home=tmp_path / "home") as engine:
        pid = (await engine.run(flow)).output["pid"]
        assert not gone(pid)
    assert gone(pid)


async def test_agents_of_a_file_beside_a_workflow_can_be_killable(tmp_path: Path) -> None:
    (tmp_path / "helper_of_it.py").write_text("ANSWER = 42\n")
    (tmp_path / "agents.py").write_text(
        "from stretto import agent\n"
        "from helper_of_it import ANSWER\n"
        "@agent(killable=True)\n"
        "def answer(task): return ANSWER\n"
    )
    registry = make_registry(load_crew((), tmp_path), None, None)
    assert await registry.get("answer").run(Task()) == 42
    registry.close()
