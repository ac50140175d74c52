"""Prompts in a folder of one's own, and the texts that they include."""

from pathlib import Path

import pytest

from stretto.errors import ConfigurationError
from stretto.prompts import load_prompt, prompt_from_text, prompt_names


def write(folder: Path, name: str, text: str, values: str = "[]") -> Path:
    head = f"name: {name}\nversion: 1.0.0\nvalues: {values}"
    path = folder / f"{name}.md"
    path.write_text(f"---\n{head}\n---\n{text}\n", encoding="utf-8")
    return path


def test_an_include_stands_in_its_place_with_its_indent(tmp_path: Path) -> None:
    write(tmp_path, "_rules", "One.\n\nTwo.")
    write(tmp_path, "main", "Begin\n  {{> _rules}}\nand ({{>_rules }})")
    prompt = load_prompt("main", tmp_path)
    assert prompt.text == "Begin\n  One.\n\n  Two.\nand (One.\n\nTwo.)\n"
    assert prompt.includes == ("_rules",)


def test_the_hash_covers_what_is_included(tmp_path: Path) -> None:
    write(tmp_path, "_rules", "One.")
    write(tmp_path, "main", "{{> _rules}}")
    before = load_prompt("main", tmp_path).digest
    write(tmp_path, "_rules", "Two.")
    assert load_prompt("main", tmp_path).digest != before


def test_values_of_an_include_are_values_of_the_prompt(tmp_path: Path) -> None:
    write(tmp_path, "_rules", "In {{language}}, {{tone}}.", "[language, tone]")
    write(tmp_path, "main", "{{text}} {{> _rules}}", "[text, language, tone]")
    given = {"text": "Sum it up.", "language": "Dutch", "tone": "dry"}
    rendered = load_prompt("main", tmp_path).render(**given)
    assert rendered == "Sum it up. In Dutch, dry."
    write(tmp_path, "main", "{{text}} {{> _rules}}", "[text]")
    with pytest.raises(ConfigurationError, match="they differ in 'language', 'tone'"):
        load_prompt("main", tmp_path)


def test_own_texts_come_before_shipped_ones(tmp_path: Path) -> None:
    write(tmp_path, "main", "{{> _data_rules}}")
    assert "between the data tags" in load_prompt("main", tmp_path).text
    write(tmp_path, "_data_rules", "Mine.")
    assert load_prompt("main", tmp_path).text == "Mine.\n"
    write(tmp_path, "account_advice", "Mine too.")
    assert load_prompt("account_advice", tmp_path).text == "Mine too.\n"


def test_a_shipped_prompt_keeps_its_own_includes(tmp_path: Path) -> None:
    write(tmp_path, "_data_rules", "Mine.")
    assert load_prompt("account_advice", tmp_path) == load_prompt("account_advice")


def test_includes_in_a_circle_are_an_error_that_shows_it(tmp_path: Path) -> None:
    write(tmp_path, "a", "{{> b}}")
    write(tmp_path, "b", "{{> c}}")
    write(tmp_path, "c", "{{> b}}")
    with pytest.raises(ConfigurationError, match="'a' includes itself: a > b > c > b"):
        load_prompt("a", tmp_path)


def test_an_unknown_include_is_an_error_with_the_way_to_it(tmp_path: Path) -> None:
    write(tmp_path, "a", "{{> rules}}")
    write(tmp_path, "rules", "{{> _data_rule}}")
    message = r"prompt 'a > rules' includes '_data_rule', which is not there; .*'_data_rules'\?"
    with pytest.raises(ConfigurationError, match=message):
        load_prompt("a", tmp_path)


def test_an_include_has_to_be_whole_in_itself(tmp_path: Path) -> None:
    write(tmp_path, "_open", "{{#a}}")
    write(tmp_path, "main", "{{> _open}}{{/a}}", "[a]")
    with pytest.raises(ConfigurationError, match="'_open'"):
        load_prompt("main", tmp_path)


def test_a_text_may_include_prompts_too(tmp_path: Path) -> None:
    write(tmp_path, "_tone", "Be {{tone}}.", "[tone]")
    prompt = prompt_from_text("{{> _tone}} {{> _data_rules}}", folder=tmp_path)
    assert (prompt.values, prompt.includes) == (("tone",), ("_tone", "_data_rules"))


def test_a_path_to_a_file_works(tmp_path: Path) -> None:
    path = write(tmp_path, "mine", "Hello.")
    assert load_prompt(str(path)) == load_prompt(path) == load_prompt("mine.md", tmp_path)


def test_parts_for_other_prompts_are_not_listed(tmp_path: Path) -> None:
    write(tmp_path, "mine", "Hello.")
    write(tmp_path, "_part", "Hello.")
    (tmp_path / "notes.txt").write_text("", encoding="utf-8")
    assert set(prompt_names(tmp_path)) == {"mine", *prompt_names()}


@pytest.mark.parametrize("name", ["../mine", "inside/../../mine", "..", "/mine"])
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path, "mine", "Hello.")
    (tmp_path / "inside").mkdir()
    with pytest.raises(ConfigurationError, match="There is no prompt"):
        load_prompt(name, tmp_path / "inside")


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="mine.md' is not UTF-8 text"):
        load_prompt("mine", tmp_path)
    with pytest.raises(ConfigurationError, match="absent.md' cannot be read: No such file"):
        load_prompt("absent.md", tmp_path)
    with pytest.raises(ConfigurationError, match="no folder of prompts '.*absent'"):
        load_prompt("account_advice", tmp_path / "absent")
    with pytest.raises(ConfigurationError, match="no file is called '.*x.x00.md'"):
        load_prompt("x\0.md")


def test_includes_that_go_on_and_on_are_refused(tmp_path: Path) -> None:
    for number in range(500):
        write(tmp_path, f"c{number}", f"{{{{> c{number + 1}}}}}")
    with pytest.raises(ConfigurationError, match="'c0' includes texts in texts more than 20 deep"):
        load_prompt("c0", tmp_path)


@pytest.mark.parametrize(
    "odd", ["2020-13-41", "1" * 5000, "[" * 5000], ids=["date", "number", "nesting"]
)
def test_front_matter_that_yaml_trips_over_is_refused(tmp_path: Path, odd: str) -> None:
    write(tmp_path, "mine", "Hi.", odd)
    with pytest.raises(ConfigurationError, match="'mine' has broken front matter"):
        load_prompt("mine", tmp_path)


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ConfigurationError, match="one of its values is nested too deeply"):
        prompt_from_text("{{a}}").render(a=value)


def test_empty_lists_and_mappings_are_json_too() -> None:
    prompt = prompt_from_text("{{a}}{{b}} {{#a}}some{{/a}}{{^a}}none{{/a}}{{^b}}none{{/b}}")
    assert prompt.render(a=[], b={}) == "[]{} nonenone"
