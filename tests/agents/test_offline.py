"""The offline model calls tools and fills schemas from what it is given, the same every time."""

import json
from datetime import date
from decimal import Decimal
from enum import Enum
from importlib import import_module
from typing import Annotated, Any, Literal, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.messages.ai import add_ai_message_chunks
from pydantic import BaseModel, Field, TypeAdapter

from stretto.agents.models.offline import OfflineModel, count_tokens
from stretto.agents.models.offline.documents import documents_in
from stretto.agents.models.offline.facts import facts_of
from stretto.agents.models.offline.filling import fill_schema
from stretto.errors import StepFailed

create_agent: Any = import_module("langchain.agents").create_agent  # its types are half known

ACCOUNT = """Judge the account. Answer with approve or reject.

<data>
## Summary
Kestrel Foods (ACC-7) is at high risk. They renew on 2026-05-01.

Account: {"id": "ACC-7", "name": "Kestrel Foods", "seats": {"used": 30, "bought": 120}}
- Renewal likely: no
- Score: 0.72 on a scale from 0 to 1

There are 2 urgent tickets. The verdict is reject.

## Next steps
1. Call them. Owner: Ann, due: 2026-04-01
2. Fix the tickets. Owner: Bo, due: 2026-04-15

## Reasons
- The last contact was 90 days ago.
- Two tickets are open.
</data>"""


class Level(Enum):
    LOW = "low"
    HIGH = "high"


class NextStep(BaseModel):
    action: str
    owner: str
    due: date


class Judgement(BaseModel):
    summary: str
    account_id: str
    account_name: str
    level: Level
    verdict: Literal["approve", "reject"]
    score: Annotated[float, Field(ge=0, le=1)]
    urgent_tickets: int
    seats_used: int
    renewal_likely: bool
    next_steps: list[NextStep]
    reasons: Annotated[list[str], Field(min_length=1, max_length=5)]
    renews_on: date | None
    manager: str | None
    discount: Decimal | None = None
    tags: list[str] = []


def filled(schema: Any, text: str) -> Any:
    adapter = TypeAdapter[Any](schema)
    return adapter.validate_python(fill_schema(adapter.json_schema(), facts_of(text)))


def test_a_schema_is_filled_from_json_lines_headings_and_passing_words() -> None:
    told = filled(Judgement, ACCOUNT)
    assert told == Judgement(
        summary="Kestrel Foods (ACC-7) is at high risk. They renew on 2026-05-01. "
        "There are 2 urgent tickets. The verdict is reject.",
        account_id="ACC-7",
        account_name="Kestrel Foods",
        level=Level.HIGH,
        verdict="reject",
        score=0.72,
        urgent_tickets=2,
        seats_used=30,
        renewal_likely=False,
        next_steps=[
            NextStep(action="Call them.", owner="Ann", due=date(2026, 4, 1)),
            NextStep(action="Fix the tickets.", owner="Bo", due=date(2026, 4, 15)),
        ],
        reasons=["The last contact was 90 days ago.", "Two tickets are open."],
        renews_on=None,
        manager=None,
    )


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (dict[str, int], "x", {}),
        (list[str], "- One.\n- Two.", ["One.", "Two."]),
        (list[Literal["red", "green", "blue"]], "It is blue, then red.", ["red", "blue"]),
        (tuple[int, str], "x", (0, "x")),
        (Annotated[int, Field(gt=3, multiple_of=5)], "x", 5),
        (Annotated[float, Field(gt=0, lt=1)], "x", 0.5),
        (Annotated[str, Field(max_length=9)], "Seventy words.", "Seventy"),
        (Annotated[str, Field(min_length=9)], "Seven.", "Seven...."),
        (Literal[7], "x", 7),
        (bool | None, "x", None),
    ],
)
def test_values_of_which_nothing_is_said_are_the_plainest(
    schema: Any, text: str, value: Any
) -> None:
    assert filled(schema, text) == value


def one_field(kind: Any) -> Any:
    return {"type": "object", "properties": {"seats_used": kind}, "required": ["seats_used"]}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ({"type": "integer"}, "Of all, 30 seats used.", 30),
        ({"type": "integer"}, "Seats used are about 1,200 now.", 1200),
        ({"type": "integer", "maximum": 9}, "seats used: 30", 0),
        ({"type": "integer"}, "seats_used: 2026-05-01", 2026),
        ({"type": "number"}, '{"seatsUsed": "€1,200.50"}', 1200.5),
        ({"type": "boolean"}, "Seats used is true.", True),
        ({"type": "boolean"}, "**Seats used**: No", False),
        ({"type": "string"}, "- seats_used: 'thirty'", "thirty"),
        ({"type": "string"}, '{"seats": {"used": 30}}', "30"),
        ({"type": ["string", "null"]}, '{"seats_used": null}', None),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "seats used: 17 A", "17 A"),
        ({"type": "array", "items": {"type": "integer"}}, "seats_used: 3, 4", [3, 4]),
        ({"type": "array", "items": {"type": "integer"}}, "Seats used: [3, 4]", [3, 4]),
        ({"type": "array", "items": {"type": "string"}}, "## Seats used\n- a\n- b\n", ["a", "b"]),
        (
            {"type": "array", "items": {"type": "string"}},
            "**Seats used:**\n- a, b\n2. c",
            ["a, b", "c"],
        ),
        ({"type": "string"}, "Seats used:\nother: x", "other: x"),
        ({"enum": ["few", "many"]}, "few or so; seats used: many", "many"),
        ({"enum": ["a few", "most-of-all"]}, "It is most of all.", "most-of-all"),
        ({"type": "string", "format": "uri"}, "See https://a.b/c?d=1.", "https://a.b/c?d=1."),
        ({"type": "string", "format": "date"}, "Not 2026-13-45, 2026-05-01.", "2026-05-01"),
        ({"type": "string", "format": "email"}, "Mail ann@example.org now", "ann@example.org"),
        ({"type": "string", "pattern": "^[A-Z]+-\\d+$"}, "The account (ACC-7).", "ACC-7"),
    ],
)
def test_a_value_is_found_where_its_name_stands(
    kind: dict[str, Any], text: str, value: Any
) -> None:
    assert fill_schema(one_field(kind), facts_of(text)) == {"seats_used": value}


@pytest.mark.parametrize(
    "text",
    ["7" * 50_000, "{ [ " * 9_000, "a" * 50_000, "\n \n" * 9_000, "x\n" + " " * 50_000 + "x"],
)
def test_a_long_text_of_odd_characters_is_read_too(text: str) -> None:
    schema = {"type": "object", "properties": {"seats": {"type": "integer", "minimum": 3}}}
    assert fill_schema({**schema, "required": ["seats"]}, facts_of(text)) == {"seats": 3}
    assert OfflineModel().invoke(text).response_metadata["offline"] is True


@pytest.mark.parametrize("text", ["***", "**", "- **\n- *"])
def test_a_text_of_marks_alone_says_nothing(text: str) -> None:
    schema = {"properties": {"topic": {"type": "string"}}, "required": ["topic"]}
    assert fill_schema(schema, facts_of(text)) == {"topic": "unknown"}


def test_an_empty_conversation_and_a_tool_of_a_provider_are_answered_too() -> None:
    model = OfflineModel().bind_tools([{"type": "web_search"}])
    assert "nothing in the request" in model.invoke([]).text


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    tricks: list[str]


class Home(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


def test_the_branch_of_a_union_is_the_one_that_the_data_is_about() -> None:
    told = filled(Home, '{"pet": {"kind": "dog", "tricks": ["sit"]}}')
    assert told == Home(pet=Dog(tricks=["sit"]))


class Tree(BaseModel):
    label: str
    left: "Tree | None"
    branches: list["Tree"]


def test_a_schema_that_contains_itself_is_filled_as_deep_as_the_data() -> None:
    told = filled(Tree, '{"label": "a", "left": {"label": "b"}, "branches": [{"label": "c"}]}')
    leaf = Tree(label="b", left=None, branches=[])
    last = Tree(label="c", left=None, branches=[])
    assert told == Tree(label="a", left=leaf, branches=[last])
    assert filled(Tree, "label: x") == Tree(label="x", left=None, branches=[])


def test_what_stands_beside_a_union_or_in_several_schemas_counts_too() -> None:
    whole = {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}
    text, number = (
        {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
        for name, kind in (("label", "string"), ("level", "integer"))
    )
    facts = facts_of("kind: a\nlabel: b\nlevel: 3")
    assert fill_schema({**whole, "anyOf": [text, number]}, facts) == {"kind": "a", "label": "b"}
    assert fill_schema({"allOf": [text, number]}, facts) == {"label": "b", "level": 3}


def test_a_reference_may_go_through_a_list_and_hold_escapes() -> None:
    parts = {"a b": {"oneOf": [{"type": "null"}, {"const": 7}]}}
    assert fill_schema({"$ref": "#/$defs/a%20b/oneOf/1", "$defs": parts}, facts_of("")) == 7


@pytest.mark.parametrize(
    ("items", "values"),
    [
        ({"type": "integer", "maximum": -2}, [-2, -3, -4]),
        ({"enum": ["a", "b", "c"]}, ["a", "b", "c"]),
        ({"type": "string"}, ["Here it is.", "0", "1"]),
    ],
)
def test_values_that_have_to_differ_do(items: dict[str, Any], values: list[Any]) -> None:
    schema = {"type": "array", "items": items, "uniqueItems": True, "minItems": 3}
    assert fill_schema(schema, facts_of("Here it is.")) == values


def test_a_number_that_no_float_can_hold_is_a_number_still() -> None:
    facts = facts_of(json.dumps({"score": 10**400}))
    for limits, score in (({}, 10**400), ({"multipleOf": 0.5}, 0)):
        schema = {"properties": {"score": {"type": "integer", **limits}}, "required": ["score"]}
        assert fill_schema(schema, facts) == {"score": score}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"$ref": "#/$defs/Nothing"}, r"is broken: KeyError\('\$defs'\); correct it"),
        ({"enum": []}, "is broken: IndexError"),
        ({"properties": {"child": {"$ref": "#"}}, "required": ["child"]}, "has no end"),
    ],
)
def test_a_schema_that_nothing_fits_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(StepFailed, match=f"offline model has to fill {reason}") as failure:
        fill_schema(schema, facts_of("child: 1"))
    assert (failure.value.code, failure.value.retryable) == ("model_rejected", False)


NAMES = (
    "summary",
    "score",
    "level",
    "accountId",
    "is active",
    "steps",
    "owner",
    "due",
    "größe",
    "",
)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
BOUND = st.integers(-(10**6), 10**6)


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    low, high = sorted([draw(BOUND), draw(BOUND)])
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    if draw(st.booleans()):
        schema["exclusiveMinimum" if draw(st.booleans()) and low + 1 < high else "minimum"] = low
    if draw(st.booleans()):
        schema["exclusiveMaximum" if draw(st.booleans()) and low + 1 < high else "maximum"] = high
    return schema


@st.composite
def strings(draw: st.DrawFn) -> dict[str, Any]:
    short, long = sorted([draw(st.integers(0, 40)), draw(st.integers(0, 40))])
    limits = {"minLength": short, "maxLength": long}
    kept = {name: size for name, size in limits.items() if draw(st.booleans())}
    return {"type": "string", **kept}


@st.composite
def arrays(draw: st.DrawFn, items: st.SearchStrategy[Any]) -> dict[str, Any]:
    few, many = sorted([draw(st.integers(0, 3)), draw(st.integers(0, 3))])
    limits = {"minItems": few, "maxItems": many}
    kept = {name: size for name, size in limits.items() if draw(st.booleans())}
    return {"type": "array", "items": draw(items), **kept}


@st.composite
def objects(draw: st.DrawFn, parts: st.SearchStrategy[Any]) -> dict[str, Any]:
    properties = draw(st.dictionaries(st.sampled_from(NAMES), parts, max_size=4))
    required = [name for name in properties if draw(st.booleans())]
    return {"type": "object", "properties": properties, "required": required}


LEAVES = st.one_of(
    numbers(),
    strings(),
    st.sampled_from([{"type": "boolean"}, {"type": "null"}, {}, {"type": ["string", "null"]}]),
    st.lists(SCALARS, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    SCALARS.map(lambda value: {"const": value}),
    st.sampled_from([{"$ref": "#/$defs/Node"}, {"$ref": "#/$defs/Term"}]),
)
PARTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        arrays(inner),
        objects(inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda them: {"anyOf": them}),
    ),
    max_leaves=8,
)
NODE = {"$ref": "#/$defs/Node"}
TERM = {"$ref": "#/$defs/Term"}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Schemas as pydantic writes them, with one that may hold itself and one that can end."""
    needed = draw(st.sampled_from([["score", "owner", "steps"], ["steps"], []]))
    score = draw(strings() if "score" in needed else LEAVES)  # one that ends
    inside = {"score": score, "owner": {"anyOf": [NODE, {"type": "null"}]}}
    node = {
        "type": "object",
        "properties": {**inside, "steps": {"type": "array", "items": NODE}},
        "required": needed,
    }
    pair = {"type": "object", "properties": {"level": TERM, "due": TERM}, "required": ["level"]}
    term = {"anyOf": [pair, draw(numbers())]}
    return {**draw(PARTS), "$defs": {"Node": node, "Term": term}}


VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)
LINES = st.tuples(
    st.sampled_from(["- ", "", "## ", "1. ", "**"]),
    st.sampled_from(NAMES),
    st.sampled_from([": ", " is ", "=", "\n", " "]),
    st.one_of(VALUES.map(json.dumps), st.text(max_size=12)),
).map("".join)


@settings(max_examples=300)
@given(documents(), st.lists(LINES, max_size=5))
def test_what_is_filled_in_is_always_valid(schema: dict[str, Any], lines: list[str]) -> None:
    facts = facts_of("\n".join(lines))
    value = fill_schema(schema, facts)
    validator: Any = Draft202012Validator(schema)
    validator.validate(value)
    assert fill_schema(schema, facts_of("\n".join(lines))) == value
    json.dumps(value)


def owner_of(account_id: str) -> str:
    """Say who owns an account."""
    return f'{{"owner": "Ann", "account": "{account_id}"}}'


def find_notes(query: str, limit: int = 3, unread: bool = False) -> str:
    """Search the notes."""
    return f"Found {limit} notes on {query}."


TOOLS = [owner_of, find_notes]


def asked(text: str, *before: BaseMessage, **options: Any) -> AIMessage:
    return OfflineModel().bind_tools(TOOLS, **options).invoke([*before, HumanMessage(text)])


def calls(answer: AIMessage) -> list[tuple[str, dict[str, Any]]]:
    return [(call["name"], call["args"]) for call in answer.tool_calls]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Call owner_of(account_id=ACC-7).", [("owner_of", {"account_id": "ACC-7"})]),
        ("Call owner_of('ACC-7') now.", [("owner_of", {"account_id": "ACC-7"})]),
        ("Ask the Owner of: account ACC-7.", [("owner_of", {"account_id": "ACC-7"})]),
        ('Use owner_of. {"account": {"id": "ACC-7"}}', [("owner_of", {"account_id": "ACC-7"})]),
        ("Use owner_of(account_id).\naccount_id: A 7", [("owner_of", {"account_id": "A 7"})]),
        (
            'find_notes("a, b", 5, true), then owner_of(ACC-1) and owner_of(ACC-2)',
            [
                ("find_notes", {"query": "a, b", "limit": 5, "unread": True}),
                ("owner_of", {"account_id": "ACC-1"}),
                ("owner_of", {"account_id": "ACC-2"}),
            ],
        ),
        (
            "Use find_notes.\n<data>\nquery: renewals\nlimit: 7\n</data>",
            [("find_notes", {"query": "renewals", "limit": 7})],
        ),
        ("Call owner_of.", [("owner_of", {"account_id": "unknown"})]),
        ("The owner left; co-owner_of and find_notes_fast are no tools.", []),
    ],
)
def test_a_tool_that_is_named_is_called_with_what_is_given(
    text: str, made: list[tuple[str, dict[str, Any]]]
) -> None:
    answer = asked(text)
    assert calls(answer) == made
    assert answer.response_metadata["offline"] is True
    assert answer.response_metadata["finish_reason"] == ("tool_calls" if made else "stop")


def test_a_tool_that_only_the_system_names_is_called_with_the_data_of_the_request() -> None:
    answer = asked("account_id: ACC-7", SystemMessage("Begin with owner_of."))
    assert calls(answer) == [("owner_of", {"account_id": "ACC-7"})]


def test_a_later_question_names_a_tool_and_the_data_before_it_gives_the_arguments() -> None:
    before = [HumanMessage("Read it.\n<data>\naccount_id: ACC-7\n</data>"), AIMessage("Done.")]
    assert calls(asked("Now use owner_of.", *before)) == [("owner_of", {"account_id": "ACC-7"})]
    assert asked("Go on.", *before).text == "account_id: ACC-7"


def test_after_its_results_the_answer_comes_from_them() -> None:
    first = asked("Use owner_of on account ACC-7.")
    talk = [HumanMessage("Use owner_of on account ACC-7."), first]
    result = ToolMessage(owner_of("ACC-7"), tool_call_id=str(first.tool_calls[0]["id"]))
    answer = OfflineModel().bind_tools(TOOLS).invoke([*talk, result])
    assert answer.tool_calls == []
    assert answer.text == "- owner: Ann\n- account: ACC-7"


def test_the_next_request_may_name_a_tool_again() -> None:
    first = asked("Use owner_of(ACC-1).")
    result = ToolMessage("Ann", tool_call_id=str(first.tool_calls[0]["id"]))
    again = asked("Use owner_of(ACC-2).", HumanMessage("Use owner_of(ACC-1)."), first, result)
    assert calls(again) == [("owner_of", {"account_id": "ACC-2"})]
    assert again.tool_calls[0]["id"] != first.tool_calls[0]["id"]


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ("any", "find_notes"),
        ("required", "find_notes"),
        (True, "find_notes"),
        ("owner_of", "owner_of"),
        ({"type": "function", "function": {"name": "owner_of"}}, "owner_of"),
    ],
)
def test_a_call_that_must_be_made_is_made(choice: Any, name: str) -> None:
    assert [called for called, _ in calls(asked("Hello.", tool_choice=choice))] == [name]


def test_no_tool_is_called_where_none_may_be() -> None:
    assert calls(asked("Use owner_of(ACC-7).", tool_choice="none")) == []


class Owner(BaseModel):
    """Who owns the account."""

    owner: str
    account: str
    summary: str


@pytest.mark.parametrize("strategy", [ToolStrategy(Owner), ProviderStrategy(Owner), Owner])
async def test_an_agent_calls_its_tool_and_then_fills_its_schema(strategy: Any) -> None:
    agent = create_agent(OfflineModel(), [owner_of], response_format=strategy)
    ended = await agent.ainvoke({"messages": [HumanMessage("Use owner_of(ACC-7).")]})
    summary = "- owner: Ann\n- account: ACC-7"
    assert ended["structured_response"] == Owner(owner="Ann", account="ACC-7", summary=summary)
    said = [message for message in ended["messages"] if isinstance(message, AIMessage)]
    assert len(said) == 2
    assert all(message.response_metadata["offline"] is True for message in said)


def test_a_schema_is_filled_in_each_way_of_asking_for_it() -> None:
    text = "<data>\nowner: Ann\naccount: ACC-7\n</data>"
    model = OfflineModel()
    wanted = {"owner": "Ann", "account": "ACC-7", "summary": "owner: Ann account: ACC-7"}
    assert model.with_structured_output(Owner).invoke(text) == Owner(**wanted)
    schema = {"name": "Owner", "schema": Owner.model_json_schema()}
    asked_for = {"type": "json_schema", "json_schema": schema}
    assert json.loads(model.bind(response_format=asked_for).invoke(text).text) == wanted
    assert json.loads(model.bind(response_format=Owner).invoke(text).text) == wanted
    plain = model.bind(response_format={"type": "json_object"}).invoke(text)
    assert json.loads(plain.text) == {"answer": "owner: Ann account: ACC-7"}


async def test_a_call_is_streamed_bit_by_bit_and_is_the_same_as_a_whole_one() -> None:
    bound = OfflineModel().bind_tools(TOOLS)
    text = 'find_notes("rare  words", 5), owner_of(ACC-7)'
    pieces = [cast(AIMessageChunk, piece) async for piece in bound.astream(text)]
    assert len(pieces) > 8
    whole = add_ai_message_chunks(*pieces)
    single = await bound.ainvoke(text)
    assert whole.tool_calls == single.tool_calls
    assert whole.usage_metadata == single.usage_metadata
    assert whole.response_metadata == single.response_metadata
    assert [call["args"] for call in single.tool_calls][0]["query"] == "rare  words"


def test_what_a_call_writes_is_counted() -> None:
    answer = asked("owner_of(ACC-7)")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == count_tokens(
        'owner_of {"account_id": "ACC-7"}'
    )


def test_json_is_spelled_out_in_a_text_answer() -> None:
    data = 'Account: {"name": "Kestrel", "open": [{"id": 1, "what": "x"}]}'
    text = f"Sum it up.\n<data>\n{data}\n</data>"
    assert OfflineModel().invoke(text).text == "- Account name: Kestrel\n- id: 1, what: x"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('a {"b": 1} c [2, 3] see [1]', [{"b": 1}]),
        ("Scores: [1, 2]", [{"Scores": [1, 2]}]),
        ("{not json} {", []),
        ("[" * 100_000, []),
        ('{"a":' * 60 + "1" + "}" * 60, []),
    ],
)
def test_json_is_found_in_a_text_and_odd_brackets_are_passed_over(
    text: str, found: list[Any]
) -> None:
    assert documents_in(text) == found
