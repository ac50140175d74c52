import sys
from pathlib import Path
from typing import Any

import pytest

from stretto.agents.agent import Task
from stretto.agents.llm import LLMAgent
from stretto.agents.registry import AgentRegistry
from stretto.agents.roster import fill_registry
from stretto.config import load_settings
from stretto.engine.engine import Engine
from stretto.errors import ConfigurationError

MODULE = """
from pydantic import BaseModel
from stretto import Agent, agent

class Counter(Agent):
    "Counts from somewhere."
    capabilities = {"analysis"}
    def __init__(self, start=0):
        self.start = start
    async def run(self, task):
        return self.start + 1

@agent(capabilities={"data_fetch"})
def fetch(task):
    return "fetched"

class Verdict(BaseModel):
    label: str

def lookup(word: str) -> str:
    "Look a word up."
    return word
"""
YAML = """
agents:
  - {id: counter, type: "declared_things:Counter", max_tasks: 2, config: {start: 41}}
  - {type: "declared_things:fetch", capabilities: [notification]}
  - name: writer
    type: llm
    config:
      prompt: tone.md
      model: offline
      tools: ["declared_things:lookup"]
      output: "declared_things:Verdict"
  - {name: boss, type: human, config: {message: "May it go out?"}}
  - {name: crm, type: http, config: {url: "https://crm.example.com/x"}}
"""
PROMPT = "---\nname: tone\nversion: 1.0.0\nvalues: [text]\n---\nJudge {{text}}.\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "declared_things.py").write_text(MODULE)
    (tmp_path / "agents.yaml").write_text(YAML)
    (tmp_path / "tone.md").write_text(PROMPT)
    return tmp_path


def filled(*own: Any, folder: Path | None = None, shipped: bool = False) -> AgentRegistry:
    registry = AgentRegistry()
    settings = load_settings(folder) if folder else None
    fill_registry(registry, own, settings, "offline", shipped=shipped)
    return registry


async def test_agents_are_registered_from_a_file(folder: Path) -> None:
    registry = filled(folder / "agents.yaml")
    assert registry.names() == ("counter", "fetch", "writer", "boss", "crm")
    counter, fetch = registry.get("counter"), registry.get("fetch")
    assert (await counter.run(Task()), counter.max_concurrent_tasks) == (42, 2)
    assert (await fetch.run(Task()), set(fetch.capabilities)) == ("fetched", {"notification"})
    assert isinstance(registry.get("writer").target, LLMAgent)
    assert await registry.get("writer").run(Task(params={"text": "label: fine"})) == {
        "label": "fine"
    }


async def test_agents_are_registered_from_the_settings(folder: Path) -> None:
    (folder / "stretto.toml").write_text(
        '[[agents]]\nname = "counter"\ntype = "declared_things:Counter"\nconfig = {start = 1}\n'
    )
    registry = filled(folder=folder, shipped=True)
    assert await registry.get("counter").run(Task()) == 2
    assert "account_advisor" in registry


def test_a_second_agent_of_one_name_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is an agent 'counter' already"):
        filled(folder / "agents.yaml", folder / "agents.yaml")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("[1]", r"agents\[0\] is no mapping"),
        ("[{name: a}]", "'type' is missing; it is llm, http, human or package.module:name"),
        ("[{name: a, type: llm, skills: []}]", "unknown key 'skills'"),
        ("[{name: a, type: llm, capabilites: []}]", "Did you mean 'capabilities'"),
        ("[{name: a, type: lm}]", "no kind of agent 'lm'. Did you mean 'llm'"),
        ("[{name: a, type: 'nowhere_at_all:X'}]", "cannot be imported"),
        ("[{name: a, type: 'json:nothing'}]", "module json has no 'nothing'"),
        ("[{name: a, type: llm}]", "agent 'a' needs 'prompt'"),
        ("[{name: a, type: llm, config: {prompt: x, tools: [1]}}]", "1 is no tool"),
        ("[{name: a, type: llm, config: {prompt: x, tools: [{name: t}]}}]", "type of tool 't'"),
        (
            "[{name: a, type: llm, config: {prompt: x, colour: red}}]",
            "cannot be made of its config",
        ),
        ("[{name: a, type: 'json:dumps', config: {x: 1}}]", "'config' is for a class"),
        ("[{name: a, type: llm, max_tasks: many}]", "'max_concurrent_tasks' is a whole number"),
        ("[{name: a, type: llm, capabilities: all}]", "'capabilities' is a list of words"),
        ("{}", "'agents' is a list of agents"),
        ("[{1: a}]", "unknown key '1'"),
        ("[{name: 2024-99-99}]", "the agents in it cannot be read"),
        ("[" * 5000, "the agents in it cannot be read"),
    ],
)
def test_a_wrong_declaration_is_told_in_one_sentence(
    tmp_path: Path, entry: str, message: str
) -> None:
    (tmp_path / "agents.yaml").write_text(f"agents: {entry}\n")
    with pytest.raises(ConfigurationError, match=message):
        filled(tmp_path / "agents.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", "agents: ["), ("a.toml", "[["), ("a.json", "[1]"), ("a.yaml", "x: 1")],
)
def test_a_file_that_declares_nothing_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=name):
        filled(tmp_path / name)


async def test_an_agent_is_registered_by_the_name_of_its_type(folder: Path) -> None:
    filled(folder / "agents.yaml")  # its folder is looked in from now on
    async with Engine([], home=folder / "home") as engine:
        named = engine.register_agent("n", "declared_things:Counter", {"x"}, 3, {"start": 6})
        assert (await named.run(Task()), set(named.capabilities)) == (7, {"x"})
        with pytest.raises(ConfigurationError, match="cannot be made of its config"):
            engine.register_agent("m", "declared_things:Counter", config={"begin": 6})


PACKAGE = "[stretto.agents]\nthings = declared_things:fetch\nothers = declared_things:Counter\n"


@pytest.fixture
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a package that offers agents, the way installers do."""
    info = folder / "things_for_stretto-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: things-for-stretto\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(PACKAGE)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    return folder


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        ("[]", ()),
        ('["things"]', ("fetch",)),
        ('["things-for-stretto"]', ("fetch", "Counter")),
        ('["Things_for.Stretto"]', ("fetch", "Counter")),
        ('["things", "things-for-stretto", "others"]', ("fetch", "Counter")),
    ],
)
def test_only_plugins_that_are_allowed_are_loaded(
    installed: Path, allowed: str, names: tuple[str, ...]
) -> None:
    (installed / "stretto.toml").write_text(f"[stretto]\nagent_plugins = {allowed}\n")
    assert set(filled(folder=installed).names()) == set(names)


def test_a_plugin_that_is_not_installed_is_named(installed: Path) -> None:
    (installed / "stretto.toml").write_text('[stretto]\nagent_plugins = ["thins"]\n')
    with pytest.raises(ConfigurationError, match="offers agents as 'thins'; there are others, thi"):
        filled(folder=installed)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("raise SystemExit(3)", "the agents of plugin 'things' failed to load: SystemExit: 3"),
        ("{}['x']", "the agents of plugin 'things' failed to load: KeyError: 'x'"),
        ("Thing = 5", "plugin 'things': 5 is no agent"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_named(installed: Path, code: str, why: str) -> None:
    entry = "[stretto.agents]\nthings = damaged_things:Thing\n"
    (installed / "things_for_stretto-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (installed / "damaged_things.py").write_text(code)
    (installed / "stretto.toml").write_text('[stretto]\nagent_plugins = ["things"]\n')
    sys.modules.pop("damaged_things", None)
    with pytest.raises(ConfigurationError, match=why):
        filled(folder=installed)
