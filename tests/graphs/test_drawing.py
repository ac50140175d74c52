import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from inline_snapshot import snapshot

from stretto.graphs.drawing import to_ascii, to_json, to_mermaid, to_svg
from stretto.graphs.loading import load_document
from stretto.graphs.spec import Workflow

CALLS = load_document(
    {
        "name": "calls",
        "steps": [
            {"id": "fetch", "http": {"url": "https://example.com/x"}},
            {"id": "risk", "capability": "analysis", "depends_on": ["fetch"]},
            {
                "id": "book",
                "agent": "booker",
                "action": "book",
                "depends_on": ["fetch"],
                "compensate": {"agent": "booker", "action": "cancel"},
            },
            {
                "id": "end",
                "approval": {"message": "Go?"},
                "depends_on": ["risk", "book"],
                "join": "any",
                "when": 'risk.kind == "a[b]"',
            },
            {"id": "shape", "transform": {"filter": "true"}, "input_from": "end"},
        ],
        "on_failure": [{"id": "notify", "agent": "messenger"}],
    }
)
NESTED = load_document(
    {
        "name": "nested",
        "steps": [
            {
                "id": "refine",
                "loop": {
                    "until": "critique.score >= 8",
                    "max_iterations": 3,
                    "steps": [
                        {"id": "draft", "agent": "writer"},
                        {"id": "critique", "agent": "critic", "depends_on": ["draft"]},
                    ],
                },
            },
            {
                "id": "route",
                "depends_on": ["refine"],
                "branch": {
                    "on": "refine.kind",
                    "cases": {"re fund": [{"id": "a-b", "agent": "clerk"}]},
                    "default": {"steps": [{"id": "a.b", "agent": "seller"}]},
                },
            },
            {"id": "each", "map": {"over": "input.list", "agent": "worker", "max_parallel": 8}},
        ],
    }
)


def test_mermaid_shows_each_kind_in_its_shape() -> None:
    assert to_mermaid(CALLS) == snapshot("""\
flowchart TD
    s_fetch[/"fetch<br/>GET https://example.com/x"/]
    s_risk["risk<br/>any for analysis"]
    s_book["book<br/>booker: book"]
    s_book_undo>"booker.cancel"]
    s_end{{"end<br/>ask: approve | reject<br/>starts after any"}}
    s_shape(["shape<br/>filter"])
    s_failed(("run failed"))
    s_on_failure_notify["notify<br/>messenger"]
    s_fetch --> s_risk
    s_fetch --> s_book
    s_book -.->|"undo"| s_book_undo
    s_risk -->|"risk.kind == #quot;a[b]#quot;"| s_end
    s_book -->|"risk.kind == #quot;a[b]#quot;"| s_end
    s_end --> s_shape
    s_failed -.-> s_on_failure_notify
""")


def test_mermaid_shows_containers_as_subgraphs() -> None:
    assert to_mermaid(NESTED) == snapshot("""\
flowchart TD
    subgraph s_refine ["refine<br/>repeat until critique.score #gt;= 8, at most 3 times"]
        s_refine_draft["draft<br/>writer"]
        s_refine_critique["critique<br/>critic"]
        s_refine_draft --> s_refine_critique
    end
    subgraph s_route ["route<br/>choose by refine.kind"]
        s_route_choice{"refine.kind"}
        subgraph s_route_re_fund ["re fund"]
            s_route_re_fund_a_b["a-b<br/>clerk"]
        end
        s_route_choice -->|"re fund"| s_route_re_fund
        subgraph s_route_default ["otherwise"]
            s_route_default_a_b["a.b<br/>seller"]
        end
        s_route_choice -->|"otherwise"| s_route_default
    end
    subgraph s_each ["each<br/>for each item of input.list, 8 at once"]
        s_each_each["worker"]
    end
    s_refine --> s_route
""")


def test_a_terminal_shows_layers_of_boxes() -> None:
    assert to_ascii(CALLS) == snapshot("""\
calls 1.0.0

┌───────────────────────────┐
│ @ fetch                   │
│ GET https://example.com/x │
└─────────────┬─────────────┘
              ├────────────────────┐
              ▼                    ▼
    ┌──────────────────┐   ┌──────────────┐
    │ risk             │   │ book         │
    │ any for analysis │   │ booker: book │
    └─────────┬────────┘   └───────┬──────┘
              └────────┐ ┌─────────┴─────────────┐
                       ▼ ▼                       ▼
           ┌────────────────────────┐   ┌─────────────────┐
           │ ? end                  │   │ ↩ booker.cancel │
           │ ask: approve | reject  │   └─────────────────┘
           │ starts after any       │
           │ if risk.kind == "a[b]" │
           └────────────┬───────────┘
                        │
                        ▼
                   ┌─────────┐
                   │ ~ shape │
                   │ filter  │
                   └─────────┘

┌──────────────┐
│ ! run failed │
└───────┬──────┘
        │
        ▼
  ┌───────────┐
  │ notify    │
  │ messenger │
  └───────────┘
""")


def test_a_terminal_shows_containers_as_frames() -> None:
    assert to_ascii(NESTED, 120) == snapshot("""\
nested 1.0.0

┌───────────────────────────────────────────────────┐   ┌────────────────────────────────────────┐
│ refine                                            │   │ each                                   │
│ repeat until critique.score >= 8, at most 3 times │   │ for each item of input.list, 8 at once │
│                                                   │   │                                        │
│  ┌────────┐                                       │   │ ┌────────┐                             │
│  │ draft  │                                       │   │ │ worker │                             │
│  │ writer │                                       │   │ └────────┘                             │
│  └────┬───┘                                       │   └────────────────────────────────────────┘
│       │                                           │
│       ▼                                           │
│ ┌──────────┐                                      │
│ │ critique │                                      │
│ │ critic   │                                      │
│ └──────────┘                                      │
└─────────────────────────┬─────────────────────────┘
                          │
                          ▼
             ┌─────────────────────────┐
             │ route                   │
             │ choose by refine.kind   │
             │                         │
             │ [re fund]   [otherwise] │
             │ ┌───────┐   ┌────────┐  │
             │ │ a-b   │   │ a.b    │  │
             │ │ clerk │   │ seller │  │
             │ └───────┘   └────────┘  │
             └─────────────────────────┘
""")


def test_a_narrow_terminal_shows_a_list() -> None:
    assert to_ascii(NESTED, 50) == snapshot("""\
nested 1.0.0

- refine (repeat until critique.score >= 8, at
    most 3 times)
    - draft (writer)
    - critique (critic) after draft
- route (choose by refine.kind) after refine
    [re fund]
    - a-b (clerk)
    [otherwise]
    - a.b (seller)
- each (for each item of input.list, 8 at once)
    - worker
""")


def wide(count: int) -> Workflow:
    workers: list[dict[str, Any]] = [
        {"id": f"w{i}", "agent": "worker", "depends_on": ["a"]} for i in range(count)
    ]
    last = {"id": "z", "agent": "y", "depends_on": [worker["id"] for worker in workers]}
    return load_document({"name": "wide", "steps": [{"id": "a", "agent": "x"}, *workers, last]})


@pytest.mark.parametrize("flow", [CALLS, NESTED, wide(3), wide(40)], ids=lambda flow: flow.name)
@pytest.mark.parametrize("width", [40, 80, 100])
def test_no_line_is_wider_than_the_terminal(flow: Workflow, width: int) -> None:
    text = to_ascii(flow, width)
    assert max(map(len, text.splitlines())) <= width
    titles = [step.id for step in flow.steps]
    assert [title for title in titles if title not in text] == []


def test_json_holds_every_node_and_edge() -> None:
    drawn = json.loads(to_json(NESTED))
    assert (drawn["id"], drawn["version"]) == ("nested", "1.0.0")
    assert [node["id"] for node in drawn["nodes"]] == ["refine", "route", "each"]
    assert drawn["edges"] == [{"source": "refine", "target": "route", "label": "", "dashed": False}]
    route = drawn["nodes"][1]
    assert [group["title"] for group in route["groups"]] == ["re fund", "otherwise"]
    assert route["groups"][0]["nodes"][0]["id"] == "route/re fund/a-b"


@pytest.mark.parametrize("flow", [CALLS, NESTED, wide(12)], ids=lambda flow: flow.name)
def test_svg_is_well_formed_and_shows_every_step_within_its_frame(flow: Workflow) -> None:
    root = ElementTree.fromstring(to_svg(flow))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [step.id for step in flow.steps if step.id not in texts] == []
    assert "http://" not in to_svg(flow).replace("http://www.w3.org/2000/svg", "")


def test_svg_draws_what_undoes_a_step_dashed() -> None:
    root = ElementTree.fromstring(to_svg(CALLS))
    paths = [path.get("class") for path in root.iter("{http://www.w3.org/2000/svg}path")]
    assert paths.count("e u") == 2
    assert paths.count("e") == 5


@pytest.mark.parametrize("draw", [to_ascii, to_json, to_mermaid, to_svg])
def test_drawings_are_the_same_each_time(draw: Any) -> None:
    again = Workflow.model_validate(CALLS.model_dump(by_alias=True))
    assert draw(CALLS) == draw(again)


def test_names_and_labels_cannot_break_mermaid() -> None:
    steps = [
        {"id": "end", "agent": 'x"];click'},
        {"id": "a.b", "agent": "x", "depends_on": ["end"], "when": "input.x == '|' && !false"},
        {"id": "a-b", "agent": "`md`", "depends_on": ["end"]},
    ]
    text = to_mermaid(load_document({"name": "w", "steps": steps}))
    assert text.splitlines()[1:] == [
        '    s_end["end<br/>x#quot;];click"]',
        '    s_a_b["a.b<br/>x"]',
        '    s_a_b_2["a-b<br/>#96;md#96;"]',
        "    s_end -->|\"input.x == '|' #amp;#amp; !false\"| s_a_b",
        "    s_end --> s_a_b_2",
    ]
