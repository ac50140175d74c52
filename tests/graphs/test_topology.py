"""Topology: needs, order, cycles and longest paths, checked against networkx."""

import time
from importlib import import_module
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stretto.graphs.spec import Step
from stretto.graphs.topology import (
    CycleError,
    ancestors,
    critical_path,
    find_cycles,
    needs_of,
    order,
    remaining_paths,
    terminal_steps,
    walk,
)

# Its types are not part of it, so the checkers are told nothing.
nx: Any = import_module("networkx")


def step(id: str, *needs: str, **more: Any) -> Step:
    return Step.model_validate({"id": id, "agent": "worker", "depends_on": needs, **more})


def digraph(steps: list[Step]) -> Any:
    graph = nx.DiGraph()
    graph.add_nodes_from(one.id for one in steps)
    graph.add_edges_from((need, one.id) for one in steps for need in one.depends_on)
    return graph


@st.composite
def any_steps(draw: st.DrawFn) -> list[Step]:
    ids = [f"s{n}" for n in range(draw(st.integers(1, 9)))]
    needs = st.lists(st.sampled_from(ids), max_size=3)
    return [step(id, *draw(needs), estimated_duration=draw(st.integers(0, 9))) for id in ids]


@st.composite
def acyclic_steps(draw: st.DrawFn) -> list[Step]:
    ids = [f"s{n}" for n in range(draw(st.integers(1, 12)))]
    steps = [
        step(
            id,
            *draw(st.lists(st.sampled_from(ids[:n]), max_size=3) if n else st.just([])),
            estimated_duration=draw(st.integers(0, 9)),
        )
        for n, id in enumerate(ids)
    ]
    return draw(st.permutations(steps))


def test_needs_are_depends_on_then_input_from_without_repeats_and_unknown_names() -> None:
    steps = [
        step("a"),
        step("b", output_to="report"),
        step("c", "b", "nobody", input_from=["report", "a", "a"]),
        step("d", input_from="c"),
    ]
    assert needs_of(steps) == {"a": (), "b": (), "c": ("b", "a"), "d": ("c",)}


def test_a_step_id_wins_over_the_same_word_in_output_to() -> None:
    steps = [step("a", output_to="b"), step("b"), step("c", "b")]
    assert needs_of(steps)["c"] == ("b",)


def test_the_first_of_two_steps_with_one_id_counts() -> None:
    assert needs_of([step("x"), step("a", "x"), step("a")]) == {"x": (), "a": ("x",)}
    twice = [step("a", output_to="o"), step("b", output_to="o"), step("c", "o")]
    assert needs_of(twice)["c"] == ("a",)


def test_order_keeps_the_declared_order_where_needs_allow() -> None:
    assert order([step("d", "c"), step("b"), step("a"), step("c", "a")]) == ["b", "a", "c", "d"]


@given(acyclic_steps())
def test_order_puts_each_step_after_its_needs_and_has_every_step_once(steps: list[Step]) -> None:
    ordered = order(steps)
    assert sorted(ordered) == sorted(one.id for one in steps)
    place = {id: n for n, id in enumerate(ordered)}
    assert all(place[need] < place[one.id] for one in steps for need in one.depends_on)
    declared = {one.id: n for n, one in enumerate(steps)}
    assert ordered == list(
        nx.lexicographical_topological_sort(digraph(steps), key=declared.__getitem__)
    )


@pytest.mark.parametrize("ask", [order, ancestors, remaining_paths, critical_path])
def test_a_cycle_is_an_error_that_names_its_path(ask: Any) -> None:
    steps = [step("a", "c"), step("b", "a"), step("c", "b"), step("d", "a")]
    with pytest.raises(CycleError, match="a -> c -> b -> a") as caught:
        ask(steps)
    assert caught.value.path == ("a", "c", "b", "a")
    assert isinstance(caught.value, ValueError)


def test_a_step_that_needs_itself_is_a_cycle() -> None:
    assert find_cycles([step("a", "a"), step("b", "a")]) == [["a", "a"]]
    assert find_cycles([step("a", input_from="mine", output_to="mine")]) == [["a", "a"]]


def test_each_group_of_entangled_steps_gives_one_cycle() -> None:
    steps = [step("x", "y"), step("y", "x"), step("z", "y"), step("p", "q", "z"), step("q", "p")]
    assert find_cycles(steps) == [["x", "y", "x"], ["p", "q", "p"]]


@given(any_steps())
def test_cycles_are_real_and_there_is_one_per_strongly_connected_component(
    steps: list[Step],
) -> None:
    graph = digraph(steps)
    components = [
        component
        for component in nx.strongly_connected_components(graph)
        if len(component) > 1 or any(graph.has_edge(id, id) for id in component)
    ]
    cycles = find_cycles(steps)
    assert len(cycles) == len(components)
    for cycle in cycles:
        assert cycle[0] == cycle[-1] and len(cycle) > 1
        assert len(set(cycle)) == len(cycle) - 1
        assert all(graph.has_edge(need, id) for id, need in pairwise(cycle))
    assert {frozenset(c) & frozenset(cycle) for c in components for cycle in cycles} - {
        frozenset()
    } == {frozenset(cycle) for cycle in cycles}


@given(acyclic_steps())
def test_ancestors_are_those_of_networkx(steps: list[Step]) -> None:
    graph = digraph(steps)
    assert ancestors(steps) == {one.id: nx.ancestors(graph, one.id) for one in steps}


@given(acyclic_steps())
def test_the_critical_path_is_as_long_as_the_longest_path_of_networkx(steps: list[Step]) -> None:
    lasting = {one.id: one.estimated_duration or 0.0 for one in steps}
    graph = digraph(steps)
    graph.add_node("(start)")
    graph.add_edges_from(("(start)", one.id) for one in steps)
    for _, target, data in graph.edges(data=True):
        data["weight"] = lasting[target]
    path = critical_path(steps)
    length = nx.dag_longest_path_length(graph, weight="weight")
    assert sum(one.estimated_duration or 0.0 for one in path) == length
    assert max(remaining_paths(steps).values()) == length
    assert all(earlier.id in later.depends_on for earlier, later in pairwise(path))
    assert not path[0].depends_on or lasting[path[0].depends_on[0]] == 0
    assert path[-1].id in terminal_steps(steps)


@given(acyclic_steps())
def test_what_remains_is_the_step_and_the_longest_of_what_follows(steps: list[Step]) -> None:
    remaining = remaining_paths(steps)
    for one in steps:
        after = [remaining[later.id] for later in steps if one.id in later.depends_on]
        assert remaining[one.id] == (one.estimated_duration or 0.0) + max(after, default=0.0)


def test_a_step_of_unknown_length_lasts_a_second_and_known_durations_win() -> None:
    steps = [step("a"), step("b", "a", estimated_duration=5)]
    assert remaining_paths(steps) == {"a": 6.0, "b": 5.0}
    assert remaining_paths(steps, {"a": 0.5, "b": 2.0}) == {"a": 2.5, "b": 2.0}


def test_a_container_lasts_as_long_as_its_longest_body() -> None:
    long = [step("x", estimated_duration=3), step("y", "x", estimated_duration=4)]
    case = [step("x", estimated_duration=2)]
    branch = {"on": "input.k", "cases": {"p": {"steps": case}}, "default": {"steps": long}}
    looped = Step.model_validate(
        {"id": "l", "loop": {"steps": long, "until": "true", "max_iterations": 9}}
    )
    chosen = Step.model_validate({"id": "b", "branch": branch})
    told = Step.model_validate({"id": "t", "branch": branch, "estimated_duration": 1.5})
    assert remaining_paths([looped, chosen, told]) == {"l": 7.0, "b": 7.0, "t": 1.5}
    assert remaining_paths([looped], {"l/x": 10.0}) == {"l": 14.0}
    assert remaining_paths([looped], {"l": 1.0, "l/x": 10.0}) == {"l": 1.0}


def test_of_equal_paths_the_first_declared_is_critical() -> None:
    steps = [step("a"), step("b"), step("c", "b"), step("d", "a")]
    assert [one.id for one in critical_path(steps)] == ["a", "d"]


def test_terminal_steps_are_those_that_nobody_needs() -> None:
    assert terminal_steps([step("a"), step("b", "a"), step("c", "a"), step("d")]) == ("b", "c", "d")


def test_walk_gives_nested_steps_with_their_paths() -> None:
    inner = Step.model_validate({"id": "each", "map": {"over": "${input.l}", "steps": [step("w")]}})
    chosen = Step.model_validate(
        {
            "id": "route",
            "branch": {
                "on": "input.k",
                "cases": {"sales": {"steps": [inner]}},
                "default": {"steps": [step("d")]},
            },
        }
    )
    assert [(path, one.id) for path, one in walk([step("a"), chosen])] == [
        ("steps[0]", "a"),
        ("steps[1]", "route"),
        ("steps[1].branch.cases.sales.steps[0]", "each"),
        ("steps[1].branch.cases.sales.steps[0].map.steps[0]", "w"),
        ("steps[1].branch.default.steps[0]", "d"),
    ]
    assert [path for path, _ in walk([step("u")], "on_failure")] == ["on_failure[0]"]


def test_the_time_for_five_hundred_steps_does_not_explode() -> None:
    ids = [f"s{n}" for n in range(500)]
    steps = [step(id, *ids[max(0, n - 20) : n]) for n, id in enumerate(ids)]
    begun = time.process_time()
    assert len(ancestors(steps)["s499"]) == 499
    assert len(critical_path(steps)) == 500
    assert order(steps) == ids
    assert time.process_time() - begun < 0.5


def test_a_ring_of_five_hundred_steps_is_found_without_recursion() -> None:
    steps = [step(f"s{n}", f"s{(n + 1) % 500}") for n in range(500)]
    (cycle,) = find_cycles(steps)
    assert cycle == [*(f"s{n}" for n in range(500)), "s0"]
