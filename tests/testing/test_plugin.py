"""The pytest plugin, in real runs of pytest."""

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.test_import_cost import HEAVY

pytest_plugins = ["pytester"]
PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
FORBID = "STRETTO_FORBID_MODEL_CALLS"
TESTS = """
    import os
    import subprocess
    import sys

    import pytest
    from stretto.forbidding import check_allowed
    from stretto.errors import ConfigurationError

    @pytest.fixture
    def opened():
        check_allowed("openai:tiny-1", None)

    def test_refused():
        with pytest.raises(ConfigurationError, match="allow_model_calls"):
            check_allowed("openai:tiny-1", None)

    def test_refused_in_a_process():
        program = "from stretto.forbidding import *; check_allowed('m', None)"
        assert subprocess.run([sys.executable, "-c", program], stderr=-1).returncode == 1

    @pytest.mark.allow_model_calls
    def test_marked(opened):
        check_allowed("openai:tiny-1", None)

    def test_refused_after_it():
        test_refused()
"""


@pytest.fixture(autouse=True)
def no_ban_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FORBID, raising=False)


@pytest.fixture(autouse=True)
def quiet_asyncio(pytester: pytest.Pytester) -> None:
    """Set what another plugin warns of when it is not set."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")


def test_it_is_announced_to_pytest() -> None:
    (found,) = (e for e in entry_points(group="pytest11") if e.name == "stretto")
    assert found.value == "stretto.testing.plugin"


def test_models_are_forbidden_unless_a_test_is_marked(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS)
    ran = pytester.runpytest_subprocess("-W", "error", "--strict-markers")
    ran.assert_outcomes(passed=4)


def test_a_fixture_of_a_test_without_the_mark_is_refused_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TESTS + "\n    def test_unmarked(opened):\n        pass\n")
    ran = pytester.runpytest_subprocess("-k", "unmarked")
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["*model 'openai:tiny-1' is of a real service*ScriptedModel*"])


def test_the_environment_can_allow_all(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FORBID, "0")
    pytester.makepyfile(TESTS)
    ran = pytester.runpytest_subprocess("-k", "marked or after")
    ran.assert_outcomes(passed=1, failed=1)


def test_the_environment_is_left_as_it_was(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        f"import os\ndef pytest_sessionfinish(): print('\\nset', os.environ['{FORBID}'])\n"
        f"import atexit\natexit.register(lambda: print('set', os.environ.get('{FORBID}')))"
    )
    pytester.makepyfile("def test_nothing(): pass")
    ran = pytester.runpytest_subprocess("-s")
    assert [line for line in ran.outlines if line.startswith("set")] == ["set 1", "set None"]


def test_the_page_shows_tests_that_pass(pytester: pytest.Pytester) -> None:
    blocks: list[str] = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    (shown,) = (block for block in blocks if "def test_" in block)
    pytester.makepyfile(shown)
    ran = pytester.runpytest_subprocess("-W", "error", "--strict-markers")
    ran.assert_outcomes(passed=3)


def test_an_engine_of_a_test_keeps_to_itself(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = pytester.path / "elsewhere"
    monkeypatch.setenv("STRETTO_HOME", str(elsewhere))
    monkeypatch.setenv("STRETTO_DATABASE_URL", f"sqlite:///{elsewhere}/other.db")
    monkeypatch.setenv("STRETTO_MODEL", "openai:tiny-1")
    pytester.makepyfile(
        """
        def test_a_run(stretto_engine, tmp_path):
            result = stretto_engine.run_sync("account_analysis", {"account_id": "ACC-1002"})
            assert result.outputs["advise"]["offline"] is True, result.errors
            assert {p.name for p in tmp_path.iterdir()} == {".stretto"}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert not elsewhere.exists()


def test_an_engine_of_a_test_leaves_nothing_with_the_services_of_a_deployment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("QDRANT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STRETTO_EMBEDDER", "openai:tiny-1")
    pytester.makepyfile(
        """
        from stretto import Workflow

        def test_memory(stretto_engine):
            kept = {"id": "a", "agent": "memory", "action": "remember", "params": {"text": "Tea."}}
            found = {"id": "b", "agent": "memory", "depends_on": ["a"], "params": {"query": "tea"}}
            flow = Workflow.from_dict({"name": "w", "steps": [kept, found]})
            result = stretto_engine.run_sync(flow)
            assert result.outputs["b"]["found"] == 1, result
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_line_that_nobody_asked_for_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_one_of_two(scripted_model):
            scripted_model(["One.", "Two."]).invoke("go")

        def test_repeated(scripted_model):
            scripted_model("One.", repeat=True)
        """
    )
    ran = pytester.runpytest_subprocess()
    ran.assert_outcomes(passed=2, errors=1)
    ran.stdout.fnmatch_lines(["the scripted model was not asked for its last 1 lines"])


@pytest.fixture(scope="module")
def loaded() -> str:
    program = "import sys, stretto.testing.plugin, stretto.testing; print(sorted(sys.modules))"
    command = [sys.executable, "-I", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("library", [*HEAVY, "time_machine", "asyncio"])
def test_loading_it_does_not_load(loaded: str, library: str) -> None:
    assert "'stretto.testing.plugin'" in loaded
    assert f"'{library}'" not in loaded
