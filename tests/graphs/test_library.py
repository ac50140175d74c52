import pytest

from stretto.errors import WorkflowInvalid
from stretto.graphs.library import Library, shipped
from stretto.graphs.spec import Workflow


def workflow(name: str, version: str = "1.0.0") -> Workflow:
    steps = [{"id": "a", "agent": "x"}]
    return Workflow.model_validate({"name": name, "version": version, "steps": steps})


LIBRARY = Library(
    workflow("Lead Processing", version)
    for version in ("1.0.0", "1.9.0", "1.10.0", "2.0.0-beta.1", "1.10.1-rc.1")
)


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("lead_processing", "1.10.0"),
        ("Lead Processing", "1.10.0"),
        ("lead_processing@1", "1.10.0"),
        ("lead_processing@1.9", "1.9.0"),
        ("lead_processing@1.0.0", "1.0.0"),
        ("lead_processing@2.0.0-beta.1", "2.0.0-beta.1"),
    ],
)
def test_the_newest_version_that_matches_is_given(reference: str, version: str) -> None:
    assert LIBRARY.get(reference).version == version
    assert reference in LIBRARY


def test_a_release_is_newer_than_what_came_before_it() -> None:
    library = Library([workflow("w", "1.0.0"), workflow("w", "1.0.0-rc.1")])
    assert library.get("w").version == "1.0.0"
    assert library.versions("w") == ("1.0.0-rc.1", "1.0.0")


def test_an_unknown_name_comes_with_the_nearest() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        LIBRARY.get("lead_procesing")
    (fault,) = caught.value.faults
    assert (fault.code, fault.nearest) == ("unknown_workflow", "lead_processing")
    assert "lead_procesing" not in LIBRARY


def test_an_unknown_version_comes_with_those_there_are() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        LIBRARY.get("lead_processing@3")
    (fault,) = caught.value.faults
    assert fault.allowed[0] == "1.0.0"
    assert "lead_processing@3" not in LIBRARY


def test_a_workflow_is_read_when_it_is_first_asked_for() -> None:
    read: list[str] = []

    def reader() -> Workflow:
        read.append("w")
        return workflow("w")

    library = Library()
    library.add_lazily("w", reader)
    assert library.names() == ("w",)
    assert "w" in library
    assert read == []
    assert library.get("w") is library.get("w@1")
    assert read == ["w"]


def test_every_shipped_workflow_loads_under_its_name() -> None:
    library = shipped()
    assert "account_analysis" in library.names()
    for name in library.names():
        assert library.get(name).id == name


def test_the_newest_is_replaced_by_one_of_the_same_version() -> None:
    library = Library([workflow("w")])
    other = workflow("W")
    library.add(other)
    assert library.get("w") is other
