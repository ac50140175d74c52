import pytest

from stretto.errors import ConfigurationError
from stretto.forbidding import FORBID, check_allowed


@pytest.mark.parametrize(
    "base_url",
    [
        None,
        "",
        "https://api.openai.com/v1",
        "http://10.0.0.1/v1",
        "http://localhost@example.org/v1",
        "http://localhost.example.org/v1",
        "http://[broken",
    ],
)
def test_a_real_service_is_refused_with_what_to_do(
    base_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FORBID, "1")
    with pytest.raises(ConfigurationError) as failure:
        check_allowed("openai:gpt-4.1-mini", base_url)
    for word in ("'openai:gpt-4.1-mini'", "ScriptedModel", "recorded:", "allow_model_calls"):
        assert word in failure.value.message


@pytest.mark.parametrize(
    "base_url", ["http://localhost:8000/v1", "http://127.0.0.1/v1", "http://[::1]:80/v1"]
)
def test_a_service_on_this_machine_is_allowed(
    base_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FORBID, "1")
    check_allowed("openai:tiny-1", base_url)


@pytest.mark.parametrize("value", ["", "0", None])
def test_everything_is_allowed_where_nothing_is_forbidden(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FORBID, raising=False)
    if value is not None:
        monkeypatch.setenv(FORBID, value)
    check_allowed("openai:gpt-4.1-mini", None)
