"""Settings come from the environment, .env and stretto.toml, in this order, or are refused."""

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from stretto.config import ModelSettings, Settings, load_settings
from stretto.errors import ConfigurationError

NAMES = [*Settings.model_fields, *(f"stretto_{name}" for name in Settings.model_fields)]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower() in NAMES and name != "HOME":
            monkeypatch.delenv(name)


def refused(directory: Path) -> str:
    with pytest.raises(ConfigurationError) as failed:
        load_settings(directory)
    return str(failed.value)


def write(directory: Path, text: str) -> Path:
    path = directory / "stretto.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.home == tmp_path / ".stretto"
    assert settings.openai_api_key is None
    assert settings.model is None
    assert settings.log_level == "INFO"
    assert settings.environment == "development"
    assert settings.workflows == {}
    assert settings.agents == []
    assert settings.models == {}


def test_the_file_is_below_dotenv_and_dotenv_below_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, '[stretto]\nmodel = "a"\nredis_url = "a"\nenvironment = "a"\n')
    (tmp_path / ".env").write_text("STRETTO_MODEL=b\nREDIS_URL=b\n")
    monkeypatch.setenv("STRETTO_MODEL", "c")
    settings = load_settings(tmp_path)
    assert (settings.model, settings.redis_url, settings.environment) == ("c", "b", "a")


@pytest.mark.parametrize(
    ("variable", "field"),
    [
        ("OPENAI_BASE_URL", "openai_base_url"),
        ("STRETTO_MODEL", "model"),
        ("STRETTO_DATABASE_URL", "database_url"),
        ("QDRANT_URL", "qdrant_url"),
        ("REDIS_URL", "redis_url"),
        ("SENTRY_DSN", "sentry_dsn"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "otel_exporter_otlp_endpoint"),
        ("ENVIRONMENT", "environment"),
    ],
)
def test_every_documented_variable_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, field: str
) -> None:
    monkeypatch.setenv(variable, "given")
    assert getattr(load_settings(tmp_path), field) == "given"


@pytest.mark.parametrize("variable", ["MODEL", "DATABASE_URL", "WORKFLOWS", "AGENTS"])
def test_a_variable_without_its_prefix_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "other")
    assert load_settings(tmp_path) == load_settings(tmp_path).model_copy(
        update={"model": None, "database_url": None, "workflows": {}, "agents": []}
    )


def test_an_empty_variable_counts_as_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, '[stretto]\nmodel = "a"\n')
    monkeypatch.setenv("STRETTO_MODEL", "")
    assert load_settings(tmp_path).model == "a"


def test_secrets_do_not_show(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "OPENAI_API_KEY=sk-hidden\nQDRANT_API_KEY=q-hidden\nSENTRY_DSN=s-hidden\n"
        "STRETTO_DATABASE_URL=postgresql://u:p-hidden@h/d\nREDIS_URL=redis://:r-hidden@h\n"
    )
    settings = load_settings(tmp_path)
    assert settings.openai_api_key == SecretStr("sk-hidden")
    assert settings.database_url == "postgresql://u:p-hidden@h/d"
    assert "hidden" not in repr(settings)


def test_home_is_relative_to_the_directory_unless_it_is_absolute(tmp_path: Path) -> None:
    write(tmp_path, '[stretto]\nhome = "kept/here"\n')
    assert load_settings(tmp_path).home == tmp_path / "kept" / "here"
    write(tmp_path, f"[stretto]\nhome = '{tmp_path.parent}'\n")
    assert load_settings(tmp_path).home == tmp_path.parent
    write(tmp_path, '[stretto]\nhome = "~/x"\n')
    assert load_settings(tmp_path).home == Path.home() / "x"


def test_workflow_defaults_and_agents_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        '[stretto.workflows.account_analysis]\naccount_id = "ACC-1"\n'
        '[[agents]]\nname = "a"\n[[agents]]\nname = "b"\n',
    )
    settings = load_settings(tmp_path)
    assert settings.workflows == {"account_analysis": {"account_id": "ACC-1"}}
    assert settings.agents == [{"name": "a"}, {"name": "b"}]


def test_what_holds_for_a_model_is_read_and_the_rest_is_taken_from_the_star(
    tmp_path: Path,
) -> None:
    write(
        tmp_path,
        '[stretto.models."*"]\ntimeout = 20\nmax_concurrent_calls = 4\n'
        '[stretto.models."openai:gpt-4.1"]\nmax_concurrent_calls = 2\napi_key = "secret://TEAM"\n'
        '[stretto.models."openai:gpt-4.1".headers]\nX-Team = "h-hidden"\n',
    )
    settings = load_settings(tmp_path)
    own = settings.model_settings("openai:gpt-4.1")
    assert (own.timeout, own.max_concurrent_calls) == (20, 2)
    assert own.api_key == SecretStr("secret://TEAM")
    assert own.headers == {"X-Team": "h-hidden"}
    assert settings.model_settings("offline") == ModelSettings(timeout=20, max_concurrent_calls=4)
    assert "hidden" not in repr(settings)


def test_an_unknown_setting_of_a_model_is_refused_with_line_and_nearest_name(
    tmp_path: Path,
) -> None:
    path = write(
        tmp_path,
        '[stretto.models."*"]\ntimeout = 20\n[stretto.models."openai:a"]\n\ntimout = 20\n',
    )
    message = refused(tmp_path)
    assert message.startswith(f"{path}, line 5: unknown key 'timout'. Did you mean 'timeout'? ")
    assert "Allowed: base_url, api_key," in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[stretto.models.a]\ntimeout = 5\nmax_tokens = 0\n", "line 3: models.a.max_tokens: "),
        ('[stretto.models]\n"a:b" = {timeout = -715}\n', "line 2: models.a:b.timeout: "),
        ("[stretto.models.a]\n[stretto.models.a.headers]\nX = 715\n", "line 2: models.a.headers"),
        ("[stretto.models]\na = 715\n", "line 2: models.a: "),
    ],
)
def test_a_wrong_setting_of_a_model_is_refused_unseen(
    tmp_path: Path, text: str, place: str
) -> None:
    path = write(tmp_path, text)
    message = refused(tmp_path)
    assert message.startswith(f"{path}, {place}")
    assert "715" not in message


def test_a_level_may_be_written_small(tmp_path: Path) -> None:
    write(tmp_path, '[stretto]\nlog_level = "debug"\n')
    assert load_settings(tmp_path).log_level == "DEBUG"


def test_settings_do_not_change(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings(tmp_path).model = "other"  # type: ignore[misc]


def test_an_unknown_key_is_refused_with_line_and_nearest_name(tmp_path: Path) -> None:
    path = write(tmp_path, '[[agents]]\nmodle = 1\n\n[stretto]\nmodle = "x"\n')
    message = refused(tmp_path)
    assert message.startswith(f"{path}, line 5: unknown key 'modle'. Did you mean 'model'? ")
    assert "Allowed: openai_api_key, openai_base_url, model, home," in message


def test_an_unknown_section_is_refused_with_line_and_nearest_name(tmp_path: Path) -> None:
    path = write(tmp_path, '[streto]\nmodel = "x"\n')
    expected = "unknown key 'streto'. Did you mean 'stretto'? Allowed: stretto, agents"
    assert refused(tmp_path) == f"{path}, line 1: {expected}"


def test_a_wrong_value_in_the_file_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, '[stretto]\nmodel = "x"\nlog_level = "loud"\n')
    message = refused(tmp_path)
    assert message.startswith(f"{path}, line 3: log_level: ")
    assert "'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'" in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[stretto]\nopenai_api_key = 715\n", "line 2: openai_api_key: "),
        ("[stretto]\n[stretto.workflows]\na = 715\n", "line 3: workflows.a: "),
        ("\nagents = 715\n", "line 2: agents: "),
        ("[[agents]]\n[stretto.workflows.a]\nx = 1\n[stretto.home]\ny = 2\n", "line 4: home: "),
    ],
)
def test_a_wrong_kind_of_value_is_refused_unseen(tmp_path: Path, text: str, place: str) -> None:
    path = write(tmp_path, text)
    message = refused(tmp_path)
    assert message.startswith(f"{path}, {place}")
    assert "715" not in message


def test_a_wrong_value_in_dotenv_names_that_file(tmp_path: Path) -> None:
    write(tmp_path, '[stretto]\nlog_level = "INFO"\n')
    (tmp_path / ".env").write_text("LOG_LEVEL=loud\n")
    assert refused(tmp_path).startswith(f"{tmp_path / '.env'}, LOG_LEVEL: log_level: ")


def test_a_wrong_value_in_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")
    assert refused(tmp_path).startswith("environment, LOG_LEVEL: log_level: ")


def test_broken_json_in_a_variable_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRETTO_WORKFLOWS", "{")
    assert '"workflows"' in refused(tmp_path)


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "[stretto]\nmodel = = 1\n")
    message = refused(tmp_path)
    assert message.startswith(f"{path} is not valid TOML: ")
    assert "line 2" in message


@pytest.mark.parametrize("name", ["stretto.toml", ".env"])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\xff\xfe")
    assert refused(tmp_path) == f"{tmp_path / name} cannot be read: it is not UTF-8 text"
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    assert refused(tmp_path) == f"{tmp_path / name} cannot be read: Is a directory"


def test_values_given_in_code_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRETTO_MODEL", "env")
    monkeypatch.setenv("QDRANT_URL", "env")
    settings = Settings(model="code", qdrant_url="code")
    assert (settings.model, settings.qdrant_url) == ("code", "code")
