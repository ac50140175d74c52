"""Values and agents from the command line, without a process."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.cli.crew import Crew, load_crew, make_registry
from stretto.cli.sources import is_file_name
from stretto.cli.values import json_or_text, read_answer, read_input, read_pairs
from stretto.errors import ConfigurationError, InputInvalid

SCHEMA: dict[str, Any] = {"properties": {"name": {"type": "string"}, "count": {"type": "integer"}}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("name=5", {"name": "5"}),
        ("name=null", {"name": "null"}),
        ("count=5", {"count": 5}),
        ("count=five", {"count": "five"}),
        ("other=[1, 2]", {"other": [1, 2]}),
        ("other=a=b", {"other": "a=b"}),
        ("other=", {"other": ""}),
        ("other=@@x", {"other": "@x"}),
        ('other="5"', {"other": "5"}),
    ],
)
def test_a_value_is_json_unless_it_is_declared_as_text(pair: str, expected: dict[str, Any]) -> None:
    assert read_pairs([pair], SCHEMA) == expected


@given(JSON)
def test_json_values_come_through(value: Any) -> None:
    import json

    assert read_pairs([f"x={json.dumps(value)}"], SCHEMA) == {"x": value}


def test_a_value_can_be_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "v"
    file.write_text("[1]", encoding="utf-8")
    assert read_pairs([f"name=@{file}", f"x=@{file}"], SCHEMA) == {"name": "[1]", "x": [1]}
    file.write_bytes(b"\xff")
    with pytest.raises(InputInvalid, match="it is not UTF-8 text"):
        read_pairs([f"x=@{file}"])


def test_deep_nesting_is_text_not_a_crash() -> None:
    deep = "[" * 100_000
    assert json_or_text(deep) == deep


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1]", "not a list"), ("{", ":1:2: the input is not JSON"), ("[" * 100_000, "deeply")],
)
def test_an_input_file_is_a_json_object(content: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "in.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputInvalid, match=message):
        read_input(str(file))


def test_an_answer_that_is_an_option_stays_text() -> None:
    asked = [{"id": "q", "step": "s", "value": {"options": ["1", "2"]}}]
    assert read_answer("1", asked) == "1"
    assert read_answer("1", []) == 1
    assert read_answer('{"choice": "1"}', asked) == {"choice": "1"}
    assert read_answer("yes", asked) == "yes"


@pytest.mark.parametrize(
    ("text", "is_file"),
    [("a.yaml", True), ("a.TOML", True), ("b/a", True), ("a", False), ("a@1.2", False)],
)
def test_a_file_is_told_from_a_name(text: str, is_file: bool) -> None:
    assert is_file_name(text) is is_file


MODULE = """
from stretto import Agent, agent
from stretto.agents.crm.risk import RiskAnalyzer

class Base(Agent):
    def __init__(self, name): self.name = name
    async def run(self, task): return 1

class Ready(Agent):
    name = "ready"
    async def run(self, task): return 1

class _Private(Agent):
    async def run(self, task): return 1

made = Base("made")
again = made

@agent
def function(task): return 1

@agent(name="risk_analyzer")
def mine(task): return 1
"""


def test_a_module_gives_its_instances_functions_and_leaf_classes(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(MODULE, encoding="utf-8")
    crew = load_crew((), tmp_path)
    registry = make_registry(crew, None, "offline")
    assert registry.names()[:4] == ("made", "function", "risk_analyzer", "ready")
    # The user's agent wins over the shipped one of the same name; the others are there.
    assert registry.get("risk_analyzer").target is crew.agents[2]
    assert "crm_scout" in registry
    assert crew.named == (str(tmp_path / "agents.py"),)


def test_an_agents_file_that_is_named_too_is_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text(MODULE, encoding="utf-8")
    crew = load_crew([str(tmp_path / "agents.py")], tmp_path)
    assert len(crew.agents) == 4
    assert load_crew((), None) == Crew()


def test_two_agents_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(MODULE, encoding="utf-8")
    crew = load_crew([str(tmp_path / "one.py"), str(tmp_path / "two.py")], None)
    with pytest.raises(ConfigurationError, match="there is an agent 'made' already"):
        make_registry(crew, None, "offline")


def test_agents_can_import_what_is_beside_them(tmp_path: Path) -> None:
    (tmp_path / "beside_agents_helper.py").write_text("NAME = 'helped'\n", encoding="utf-8")
    code = (
        "from stretto import agent\nfrom beside_agents_helper import NAME\n"
        "@agent(name=NAME)\ndef f(task): return 1\n"
    )
    (tmp_path / "agents.py").write_text(code, encoding="utf-8")
    assert [agent.name for agent in load_crew((), tmp_path).agents] == ["helped"]
