"""What a person is asked, which answers are taken, and what they become."""

from typing import Any

import pytest

from stretto.agents.agent import Agent, Task
from stretto.agents.human import HumanAgent, Question
from stretto.agents.registry import AgentRegistry
from stretto.errors import ConfigurationError
from stretto.graphs.asking import decision, refusal
from tests.graphs.running import Cast, Ran, Saver, Stage, ok

DRAFT = {"title": "Terms", "words": 120}
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "words": {"type": "integer", "maximum": 200}},
    "required": ["title"],
}
ASKED: dict[str, Any] = {"step": "ok", "message": "Publish?", "options": ["approve", "reject"]}
EDITABLE: dict[str, Any] = {**ASKED, "edit": DRAFT, "edit_schema": SCHEMA}


def only(ran: Ran) -> dict[str, Any]:
    questions: list[dict[str, Any]] = list(ran.questions.values())
    assert len(questions) == 1
    return questions[0]


def review(**more: Any) -> list[dict[str, Any]]:
    approval = {"message": "Publish ${draft.title}?", "edit": "${draft}", **more}
    return [
        ok("draft", params={"value": DRAFT}),
        {"id": "fine", "depends_on": ["draft"], "approval": approval},
        ok("publish", "fine", params={"value": "${fine.value.title}"}),
    ]


async def test_a_person_may_change_the_value_and_say_why(saver: Saver) -> None:
    stage = Stage(review(comment="optional"), Cast(), saver=saver)
    asked = only(await stage.run())
    assert (asked["message"], asked["edit"], asked["comment"]) == (
        "Publish Terms?",
        DRAFT,
        "optional",
    )
    new = {"title": "Conditions", "words": 90}
    ran = await stage.answer(
        {"choice": "approve", "edited": new, "comment": "clearer", "by": "Ada"}
    )
    assert ran.summary.outputs["fine"] == {
        "choice": "approve",
        "comment": "clearer",
        "by": "Ada",
        "value": new,
        "edited": True,
    }
    assert ran.summary.outputs["publish"] == "Conditions"


@pytest.mark.parametrize("answer", ["approve", {"choice": "approve", "edited": None}])
async def test_a_value_that_is_left_alone_goes_on_as_it_was(saver: Saver, answer: Any) -> None:
    stage = Stage(review(comment="optional"), Cast(), saver=saver)
    await stage.run()
    ran = await stage.answer(answer)
    assert ran.summary.outputs["fine"] == {
        "choice": "approve",
        "comment": None,
        "value": DRAFT,
        "edited": False,
    }


async def test_a_refused_answer_changes_nothing_and_the_next_one_counts(saver: Saver) -> None:
    cast = Cast()
    stage = Stage(review(edit_schema=SCHEMA), cast, saver=saver)
    asked = only(await stage.run())
    refused = only(await stage.answer({"choice": "approve", "edited": {"words": 1}}))
    assert refused == {**asked, "error": refused["error"]}
    assert "'edited' does not fit: 'title' is a required property" in refused["error"]
    ran = await stage.answer({"choice": "approve", "edited": {"title": "New"}})
    assert ran.summary.outputs["publish"] == "New"
    assert cast.log == ["draft", "publish"]


@pytest.mark.parametrize(
    ("answer", "question", "reason"),
    [
        ("maybe", ASKED, "choose approve, reject"),
        ({"comment": "no choice"}, ASKED, "choose approve, reject"),
        ({"choice": ["approve"]}, ASKED, "choose approve, reject"),
        ({"choice": "approve", "edited": 1}, ASKED, "there is nothing to edit, leave out 'edited'"),
        ({"choice": "approve", "comment": 5}, ASKED, "its comment must be a text"),
        ({"choice": "approve", "by": object()}, ASKED, "answer with JSON"),
        (
            {"choice": "reject", "comment": "  "},
            {**ASKED, "comment": "required"},
            'say why in a comment: {"choice": "reject", "comment": "..."}',
        ),
        (
            {"choice": "approve", "edited": {"title": "x", "words": 201}},
            EDITABLE,
            "'edited' does not fit: words: 201 is greater than the maximum of 200",
        ),
    ],
)
def test_an_answer_that_cannot_be_taken_is_refused_in_one_sentence(
    answer: Any, question: dict[str, Any], reason: str
) -> None:
    refused = refusal(answer, question)
    assert refused is not None
    assert refused.endswith(f" is no answer to 'ok'; {reason}")
    assert len(refused) < 200


@pytest.mark.parametrize(
    "answer", ["reject", {"choice": "approve", "edited": {"title": "x"}, "comment": "", "by": "A"}]
)
def test_an_answer_that_fits_is_taken(answer: Any) -> None:
    assert refusal(answer, EDITABLE) is None


def test_a_question_of_an_agent_s_own_making_has_its_options_checked() -> None:
    assert refusal(3, {"options": [1, 2]}) == "3 is no answer; choose 1, 2"
    assert refusal(2, {"options": [1, 2]}) is None


def test_a_value_that_was_changed_to_itself_was_not_edited() -> None:
    given = decision({"choice": "approve", "edited": dict(DRAFT)}, EDITABLE)
    assert given == {"choice": "approve", "value": DRAFT, "edited": False}


def test_the_default_at_the_deadline_needs_no_comment_and_edits_nothing() -> None:
    question = {**EDITABLE, "comment": "required", "on_deadline": "reject"}
    assert refusal({"expired": True}, question) is None
    assert decision({"expired": True}, question) == {
        "choice": "reject",
        "expired": True,
        "comment": None,
        "value": DRAFT,
        "edited": False,
    }


async def test_every_item_of_a_map_has_a_value_of_its_own_to_edit(saver: Saver) -> None:
    approval = {"message": "Send ${item.to}?", "edit": "${item}"}
    each = {"id": "m", "map": {"over": "input.mails", "steps": [{"id": "q", "approval": approval}]}}
    stage = Stage([each], Cast(), saver=saver)
    ran = await stage.run({"mails": [{"to": "a"}, {"to": "b"}, {"to": "c"}]})
    ids = {asked["step"]: name for name, asked in ran.questions.items()}
    assert sorted(asked["edit"]["to"] for asked in ran.questions.values()) == ["a", "b", "c"]
    ran = await stage.answer({ids["m[1]/q"]: {"choice": "approve", "edited": {"to": "x"}}})
    assert sorted(asked["step"] for asked in ran.questions.values()) == ["m[0]/q", "m[2]/q"]
    ran = await stage.answer(dict.fromkeys(ran.questions, "approve"))
    assert [item["q"]["value"]["to"] for item in ran.summary.outputs["m"]] == ["a", "x", "c"]


async def test_every_round_of_a_loop_asks_anew(saver: Saver) -> None:
    steps = [
        ok("draft", params={"value": {"round": "${iteration}"}}),
        {"id": "q", "depends_on": ["draft"], "approval": {"message": "?", "edit": "${draft}"}},
    ]
    until = {"until": "q.choice == 'approve'", "max_iterations": 5}
    stage = Stage([{"id": "l", "loop": {"steps": steps, **until}}], Cast(), saver=saver)
    assert only(await stage.run())["edit"] == {"round": 1}
    second = only(await stage.answer("reject"))
    assert (second["step"], second["edit"]) == ("l#2/q", {"round": 2})
    ran = await stage.answer({"choice": "approve", "edited": {"round": 99}})
    assert ran.summary.outputs["l"]["q"]["value"] == {"round": 99}


def reviewer(**asking: Any) -> HumanAgent:
    return HumanAgent("reviewer", "Publish {{title}} of {{input.draft.title}}?", **asking)


def asks_reviewer(**more: Any) -> list[dict[str, Any]]:
    params = {"title": "v1", "edit": "${draft}"}
    return [
        ok("draft", params={"value": DRAFT}),
        {"id": "fine", "agent": "reviewer", "params": params, "depends_on": ["draft"], **more},
        ok("publish", "fine", when="fine.choice == 'approve'"),
    ]


async def test_a_step_asks_a_person_like_any_other_agent(saver: Saver) -> None:
    cast = Cast()
    stage = Stage(asks_reviewer(), [*cast, reviewer(comment="required")], saver=saver)
    asked = only(await stage.run())
    assert asked == {
        "step": "fine",
        "message": "Publish v1 of Terms?",
        "options": ["approve", "reject"],
        "agent": "reviewer",
        "comment": "required",
        "edit": DRAFT,
    }
    assert "say why in a comment" in only(await stage.answer("approve"))["error"]
    ran = await stage.answer({"choice": "approve", "comment": "fine", "edited": {"title": "N"}})
    assert ran.summary.outputs["fine"] == {
        "choice": "approve",
        "comment": "fine",
        "value": {"title": "N"},
        "edited": True,
    }
    assert cast.log == ["draft", "publish"]


async def test_a_person_can_be_found_by_what_they_can_do(saver: Saver) -> None:
    step = {"id": "fine", "capability": "validation"}
    stage = Stage([step], [HumanAgent("checker", "Right?")], saver=saver)
    assert only(await stage.run())["agent"] == "checker"
    assert (await stage.answer("reject")).output == {"choice": "reject"}


async def test_a_person_steps_in_for_an_agent_that_failed(saver: Saver) -> None:
    step = {"id": "a", "agent": "boom", "on_error": {"agent": "helper"}}
    helper = HumanAgent("helper", "What now?", ("skip", "stop"))
    stage = Stage([step], [*Cast(), helper], saver=saver)
    assert only(await stage.run())["options"] == ["skip", "stop"]
    assert (await stage.answer("skip")).output == {"choice": "skip"}


async def test_asking_is_no_failure_so_nothing_is_retried_and_no_breaker_opens(
    saver: Saver,
) -> None:
    retry = {"attempts": 3, "delay": 0}
    steps = [{"id": f"q{n}", "agent": "reviewer", "retry": retry} for n in range(9)]
    stage = Stage(steps, [HumanAgent("reviewer", "Sure?")], saver=saver)
    ran, events = await stage.narrate()
    assert len(ran.questions) == 9
    assert {event.event for event in events} == {"agent_started"}


class Careful(Agent):
    """An agent that decides by itself when it has to ask."""

    name = "careful"

    async def run(self, task: Task) -> Any:
        amount = task.params["amount"]
        return Question(message=f"Pay {amount}?") if amount > 100 else {"choice": "approve"}


@pytest.mark.parametrize(("amount", "asked"), [(50, 0), (500, 1)])
async def test_an_agent_asks_only_when_it_wants_to(saver: Saver, amount: int, asked: int) -> None:
    stage = Stage(
        [{"id": "pay", "agent": "careful", "params": {"amount": amount}}], [Careful()], saver=saver
    )
    ran = await stage.run()
    assert len(ran.questions) == asked
    ran = await stage.answer("approve") if asked else ran
    assert ran.output == {"choice": "approve"}


async def test_a_person_cannot_be_asked_to_undo(saver: Saver) -> None:
    steps = [
        ok("a", compensate={"agent": "reviewer"}),
        {"id": "bad", "agent": "boom", "depends_on": ["a"]},
    ]
    stage = Stage(steps, [*Cast(), HumanAgent("reviewer", "Undo?")], saver=saver)
    ran, events = await stage.narrate()
    assert ran.questions == {}
    (undone,) = [event for event in events if event.event == "step_compensated"]
    assert "only a step can wait" in undone.data["error_message"]


@pytest.mark.parametrize(
    ("asking", "words"),
    [
        ({"options": ()}, "at least one option"),
        ({"on_deadline": "perhaps"}, "approve, reject"),
        ({"remind_every": 0.0}, "at least 1 s"),
    ],
)
def test_a_person_who_could_not_answer_is_refused_at_once(
    asking: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        AgentRegistry([HumanAgent("reviewer", "Publish?", **asking)])
