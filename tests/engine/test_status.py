import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stretto.engine.status import RunStatus, StepStatus, fold
from stretto.errors import StepError
from stretto.events import EVENT_TYPES, EventType, RunEvent
from stretto.graphs.spec import Workflow

FLOW = Workflow.model_validate(
    {
        "name": "Flow",
        "steps": [
            {"id": "fetch", "agent": "scout", "estimated_duration": 1},
            {"id": "side", "agent": "scout", "depends_on": ["fetch"], "estimated_duration": 5},
            {
                "id": "refine",
                "depends_on": ["fetch"],
                "loop": {
                    "steps": [{"id": "draft", "agent": "writer", "estimated_duration": 2}],
                    "until": "true",
                    "max_iterations": 3,
                },
            },
            {
                "id": "send",
                "agent": "mail",
                "depends_on": ["side", "refine"],
                "estimated_duration": 1,
            },
        ],
    }
)
Line = tuple[float, EventType, str | None, dict[str, Any]]


def story(*lines: Line) -> list[RunEvent]:
    return [RunEvent(name, "r", i + 1, at, s, d) for i, (at, name, s, d) in enumerate(lines)]


def started(at: float, step: str, attempt: int = 1) -> Line:
    return at, "agent_started", step, {"step": step, "agent": "scout", "attempt": attempt}


def completed(at: float, step: str, **data: Any) -> Line:
    return at, "agent_completed", step, {"step": step, "agent": "scout", **data}


def by_id(status: RunStatus) -> dict[str, StepStatus]:
    return {step.id: step for step in status.steps}


BEGIN: Line = (10.0, "workflow_started", None, {})


def test_a_run_without_events_is_queued_with_every_step_pending() -> None:
    status = fold([], FLOW)
    assert (status.state, status.progress, status.total_execution_time) == ("queued", 0.0, 0.0)
    assert status.workflow == "Flow"
    assert status.steps == tuple(StepStatus(i) for i in ("fetch", "side", "refine", "send"))


def test_a_running_step_counts_up_to_now() -> None:
    events = story(BEGIN, started(11.0, "fetch"))
    status = fold(events, FLOW, now=14.0)
    assert (status.run_id, status.state) == ("r", "running")
    assert status.current_steps == ("fetch",)
    assert status.total_execution_time == 4.0
    assert by_id(status)["fetch"] == StepStatus("fetch", "running", 1, 11.0, 3.0, "scout")
    assert by_id(fold(events, FLOW))["fetch"].execution_time == 0.0


def test_a_completed_step_keeps_its_duration_attempts_and_agent() -> None:
    status = fold(
        story(BEGIN, started(11.0, "fetch"), completed(13.0, "fetch", duration=1.5, attempts=2)),
        FLOW,
    )
    assert by_id(status)["fetch"] == StepStatus("fetch", "completed", 2, 11.0, 1.5, "scout")
    assert status.progress == 0.25
    assert status.current_steps == ()


def test_a_duration_that_is_not_told_is_measured() -> None:
    status = fold(story(BEGIN, started(11.0, "fetch"), completed(13.5, "fetch")), FLOW)
    assert by_id(status)["fetch"].execution_time == 2.5


def test_a_retried_step_runs_since_its_first_attempt_and_names_the_last_error() -> None:
    retry = {"step": "fetch", "attempt": 1, "code": "timeout", "error": "too slow", "delay": 1}
    events = story(
        BEGIN,
        started(11.0, "fetch"),
        (12.0, "agent_retry", "fetch", retry),
        started(13.0, "fetch", 2),
    )
    error = StepError("fetch", "timeout", "too slow", 1)
    expected = StepStatus("fetch", "running", 2, 11.0, 2.0, "scout", error)
    assert by_id(fold(events, FLOW))["fetch"] == expected
    done = [*events, *story(completed(14.0, "fetch"))]
    assert by_id(fold(done, FLOW))["fetch"].error is None


def test_a_failed_run_shows_the_error_and_what_did_not_run() -> None:
    failure = {"code": "http_500", "message": "boom", "attempts": 3}
    status = fold(
        story(
            BEGIN,
            started(11.0, "fetch"),
            (12.0, "agent_error", "fetch", failure),
            (12.0, "agent_skipped", "side", {"state": "not_run", "reason": "x"}),
            (13.0, "workflow_failed", None, {}),
        ),
        FLOW,
        now=99.0,
    )
    steps = by_id(status)
    assert status.state == "failed"
    assert steps["fetch"].error == StepError("fetch", "http_500", "boom", 3)
    assert steps["fetch"].attempts == 3
    assert [steps[name].state for name in ("fetch", "side", "send")] == [
        "failed",
        "not_run",
        "not_run",
    ]
    assert status.progress == 0.25
    assert status.total_execution_time == 3.0


def test_a_skipped_step_is_settled_and_takes_no_time_on_the_critical_path() -> None:
    assert fold([], FLOW).critical_path == ("fetch", "side", "send")
    status = fold(story(BEGIN, (11.0, "agent_skipped", "side", {"reason": "when"})), FLOW)
    assert by_id(status)["side"].state == "skipped"
    assert status.progress == 0.25
    assert status.critical_path == ("fetch", "refine", "send")


def test_measured_times_decide_the_critical_path() -> None:
    status = fold(
        story(BEGIN, started(11.0, "refine"), completed(40.0, "refine", duration=29.0)), FLOW
    )
    assert status.critical_path == ("fetch", "refine", "send")


def test_steps_inside_containers_are_current_but_do_not_count_as_progress() -> None:
    status = fold(
        story(
            BEGIN,
            started(11.0, "refine"),
            started(11.0, "refine#1/draft"),
            completed(12.0, "refine#1/draft"),
            started(12.0, "refine#2/draft"),
        ),
        FLOW,
    )
    assert status.current_steps == ("refine#2/draft",)
    assert status.progress == 0.0
    assert [step.id for step in status.steps] == ["fetch", "side", "refine", "send"]


def test_time_spent_waiting_for_a_person_is_left_out() -> None:
    ask = {"interrupts": [{"id": "i", "step": "refine#1/draft", "value": "ok?"}]}
    waiting = story(
        BEGIN,
        started(11.0, "refine"),
        started(11.0, "refine#1/draft"),
        (14.0, "workflow_waiting", None, ask),
    )
    status = fold(waiting, FLOW, now=1000.0)
    assert (status.state, status.total_execution_time) == ("waiting", 4.0)
    assert status.current_steps == ("refine#1/draft",)
    assert by_id(status)["refine"].state == "waiting"
    resumed = [*waiting, *story((500.0, "workflow_resumed", None, {}))]
    status = fold(resumed, FLOW, now=502.0)
    assert (status.state, status.total_execution_time) == ("running", 6.0)
    assert by_id(status)["refine"].state == "pending"


def test_time_between_a_crash_and_the_resume_is_left_out_and_open_steps_start_anew() -> None:
    status = fold(
        story(
            BEGIN,
            started(11.0, "fetch"),
            completed(12.0, "fetch"),
            started(13.0, "side"),
            (900.0, "workflow_resumed", None, {}),
            (901.0, "workflow_completed", None, {}),
        ),
        FLOW,
    )
    assert status.total_execution_time == 4.0
    assert by_id(status)["fetch"].state == "completed"
    assert (by_id(status)["side"].state, by_id(status)["side"].started_at) == ("pending", None)
    assert (status.state, status.progress) == ("completed", 1.0)


def test_a_cancelled_run_has_nothing_current() -> None:
    status = fold(
        story(BEGIN, started(11.0, "fetch"), (12.0, "workflow_cancelled", None, {})), FLOW
    )
    assert (status.state, status.current_steps) == ("cancelled", ())
    assert {step.state for step in status.steps} == {"not_run"}
    again = [
        *story(BEGIN, started(11.0, "fetch"), (12.0, "workflow_cancelled", None, {})),
        *story((20.0, "workflow_resumed", None, {})),
    ]
    assert {step.state for step in fold(again, FLOW).steps} == {"pending"}


def test_without_the_workflow_what_was_seen_is_shown() -> None:
    status = fold(story(BEGIN, started(11.0, "each[3]/stage"), completed(12.0, "fetch")))
    assert [(step.id, step.state) for step in status.steps] == [
        ("each", "running"),
        ("fetch", "completed"),
    ]
    assert (status.progress, status.critical_path) == (0.5, ())


def test_the_dict_form_is_json() -> None:
    failure = {"code": "x", "message": "boom", "attempts": 1}
    status = fold(story(BEGIN, (12.0, "agent_error", "fetch", failure)), FLOW)
    document = json.loads(json.dumps(status.to_dict()))
    assert document["steps"][0]["error"] == {
        "step": "fetch",
        "code": "x",
        "message": "boom",
        "attempts": 1,
    }
    assert document["critical_path"] == ["fetch", "side", "send"]


PATHS = st.sampled_from([None, "fetch", "side", "refine", "refine#1/draft", "send", "other"])


@given(
    st.lists(
        st.tuples(st.floats(0, 1e9), st.sampled_from(EVENT_TYPES), PATHS, st.just({})), max_size=30
    )
)
def test_any_sequence_of_events_folds_to_a_sound_status(lines: list[Line]) -> None:
    status = fold(story(*lines), FLOW)
    assert 0.0 <= status.progress <= 1.0
    assert status.total_execution_time >= 0.0
    assert [step.id for step in status.steps][:4] == ["fetch", "side", "refine", "send"]
    if status.state in ("completed", "failed", "cancelled"):
        after = [line for line in lines if line[1].startswith("workflow")][-1]
        assert status.state == after[1].removeprefix("workflow_")


def test_a_run_that_is_cancelled_after_its_process_died_was_active_until_its_last_event() -> None:
    dead: list[Line] = [
        (0.0, "workflow_started", None, {}),
        (2.0, "agent_started", "fetch", {"attempt": 1}),
        (60.0, "workflow_cancelled", None, {"errors": [], "at_work": False}),
    ]
    assert fold(story(*dead), FLOW).total_execution_time == 2.0
    alive: list[Line] = [*dead[:2], (60.0, "workflow_cancelled", None, {"errors": []})]
    assert fold(story(*alive), FLOW).total_execution_time == 60.0


def aftermath(*lines: Line) -> dict[str, str]:
    status = fold(story(BEGIN, completed(11.0, "fetch"), *lines), FLOW)
    return {step.id: step.state for step in status.steps[4:]}


FAILED: Line = (90.0, "workflow_failed", None, {})
COMPLETED: Line = (90.0, "workflow_completed", None, {})
BROKE: Line = (20.0, "agent_error", "on_failure/tell", {"code": "x", "message": "boom"})
TOLD = completed(20.0, "on_failure/tell")


def test_what_runs_because_a_run_failed_is_shown_as_it_went() -> None:
    left_out: Line = (21.0, "agent_skipped", "on_failure/log", {"state": "not_run"})
    stood_in = completed(30.0, "fallback/a")
    lost: Line = (30.0, "agent_error", "fallback/a", {"code": "x", "message": "boom"})
    assert aftermath(FAILED) == {}
    assert aftermath(started(20.0, "on_failure/tell")) == {"on_failure": "running"}
    assert aftermath(TOLD, FAILED) == {"on_failure": "completed"}
    assert aftermath(BROKE, left_out, FAILED) == {"on_failure": "failed"}
    assert aftermath(TOLD, started(30.0, "fallback/a")) == {
        "on_failure": "completed",
        "fallback": "running",
    }
    assert aftermath(BROKE, stood_in, COMPLETED) == {
        "on_failure": "failed",
        "fallback": "completed",
    }
    assert aftermath(TOLD, lost, FAILED) == {"on_failure": "completed", "fallback": "failed"}
    # What failed inside a fallback that succeeded was made up for there.
    assert aftermath(lost, completed(31.0, "fallback/b"), COMPLETED) == {"fallback": "completed"}


def test_what_ran_because_a_run_failed_is_no_part_of_its_retry() -> None:
    resumed: Line = (100.0, "workflow_resumed", None, {})
    again: Line = (190.0, "workflow_completed", None, {})
    assert aftermath(TOLD, FAILED, resumed, again) == {}
    failed: Line = (190.0, "workflow_failed", None, {})
    assert aftermath(TOLD, FAILED, resumed, failed) == {}
    # A wait inside of it is no end.
    ask = {"interrupts": [{"id": "i", "step": "on_failure/ok", "value": "ok?"}]}
    waiting: Line = (22.0, "workflow_waiting", None, ask)
    assert aftermath(TOLD, waiting, resumed, completed(101.0, "on_failure/ok"), FAILED) == {
        "on_failure": "completed"
    }


def test_a_step_of_the_workflow_may_be_called_fallback() -> None:
    named = Workflow.from_dict({"name": "n", "steps": [{"id": "fallback", "agent": "scout"}]})
    resumed: Line = (100.0, "workflow_resumed", None, {})
    status = fold(story(BEGIN, completed(11.0, "fallback"), FAILED, resumed), named)
    assert [(step.id, step.state) for step in status.steps] == [("fallback", "completed")]
