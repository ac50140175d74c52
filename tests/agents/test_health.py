"""How agents have been doing is noted call by call, and handed out to be kept."""

import pytest
from langgraph.types import interrupt

from stretto.agents.agent import FunctionAgent, Task
from stretto.agents.health import AgentRow, HealthBook, condition
from stretto.errors import BudgetExceeded, CircuitOpen, StepFailed
from stretto.graphs.compile import make_services
from tests.graphs.running import Stage


def test_successes_and_failures_are_told_apart() -> None:
    book = HealthBook()
    book.succeeded("a", 1.0)
    book.succeeded("a", 2.0)
    book.failed("a", "boom", "x" * 9999)
    book.failed("a", "bang", "it broke")
    row = book.of("a")
    assert (row.calls, row.failures, row.consecutive_failures) == (4, 2, 2)
    assert row.mean_seconds == pytest.approx(1.3)
    assert row.last_error == {"code": "bang", "message": "it broke", "at": row.last_used}
    book.succeeded("a", 1.3)
    assert (book.of("a").consecutive_failures, book.of("a").failures) == (0, 2)
    assert book.seconds("a") == pytest.approx(1.3)


def test_of_an_agent_that_was_never_called_nothing_is_known() -> None:
    assert HealthBook().of("a") == AgentRow(name="a")
    assert HealthBook().seconds("a") == 0.0


def test_calls_are_handed_out_once_and_add_up_with_what_was_kept() -> None:
    book = HealthBook()
    book.load([AgentRow(name="a", calls=10, failures=3, mean_seconds=2.0)])
    book.succeeded("a", 2.0)
    book.failed("b", "boom", "")
    for _ in range(2):
        with pytest.raises(OSError), book.taken() as rows:  # what was not kept comes again
            assert [(row.name, row.calls, row.failures) for row in rows] == [
                ("a", 1, 0),
                ("b", 1, 1),
            ]
            raise OSError
    with book.taken() as rows:
        assert len(rows) == 2
    with book.taken() as rows:
        assert rows == []
    assert (book.of("a").calls, book.of("a").failures) == (11, 3)


def test_an_agent_is_open_or_degraded_by_its_breakers_and_its_last_call() -> None:
    well, ill = AgentRow(name="a"), AgentRow(name="a", consecutive_failures=1)
    assert condition(well, {}) == "healthy"
    assert condition(well, {"a": "closed", "b": "opened"}) == "healthy"
    assert condition(ill, {"a": "closed"}) == "degraded"
    assert condition(well, {"a|model|host": "opened"}) == "degraded"
    assert condition(well, {"a": "opened"}) == "open"


async def test_what_ends_a_call_is_noted_and_what_is_refused_is_not() -> None:
    async def failing(task: Task) -> None:
        raise StepFailed("no", code="mine")

    async def odd(task: Task) -> object:
        return object()

    agents = [FunctionAgent(failing), FunctionAgent(odd)]
    services = make_services(agents)
    steps = [
        {"id": "a", "agent": "failing", "on_error": "continue"},
        {"id": "b", "agent": "odd", "on_error": "continue"},
    ]
    await Stage(steps, [], services=services).run()
    errors = [services.health.of(name).last_error or {} for name in ("failing", "odd")]
    assert [error["code"] for error in errors] == ["mine", "not_json"]
    await Stage(steps[:1], [], services=services, budget={"tokens": 1}).run()
    assert services.health.of("failing").calls == 2


async def test_a_run_passes_over_an_agent_that_is_left_alone() -> None:
    called: list[str] = []

    async def ill(task: Task) -> None:
        called.append("ill")
        raise ConnectionError("down")

    async def well(task: Task) -> None:
        called.append("well")

    agents = [FunctionAgent(f, capabilities={"x"}, max_concurrent_tasks=9) for f in (ill, well)]
    services = make_services(agents)
    steps = [{"id": f"s{n}", "capability": "x", "on_error": "continue"} for n in range(12)]
    one_by_one = Stage(steps, [], services=services, mode="sequential")
    ran = await one_by_one.run()
    assert called == ["ill"] * 5 + ["well"] * 7
    assert {code for _, code in ran.errors} == {"agent_failed"}


async def test_a_call_that_waits_for_a_person_or_was_refused_is_no_failure() -> None:
    async def asking(task: Task) -> object:
        return interrupt("may I?")

    async def spent(task: Task) -> None:
        raise BudgetExceeded("the run has used its budget")

    async def refused(task: Task) -> None:
        raise CircuitOpen("its model is left alone")

    services = make_services([FunctionAgent(f) for f in (asking, spent, refused)])
    for name in ("asking", "spent", "refused"):
        step = {"id": "a", "agent": name, "on_error": "continue"}
        await Stage([step], [], services=services).run()
        assert services.health.of(name) == AgentRow(name=name)
