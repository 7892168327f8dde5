"""A constrained MDP as a networkx graph, and back.

One convention for both ways. Nodes are states, edges are branches. The edges of a node that
share a ``choice`` are the branches of that choice.

=============  ==========  ==========================================================
attribute      of          meaning
=============  ==========  ==========================================================
``choice``     edge        the choice; without it, an edge is a choice named after its head
``prob``       edge        probability of the branch, 1 if absent
``cost``       edge        cost of the choice (a tuple for several), 0 if absent
``reward``     edge        reward of the choice, 0 if absent
``base``       edge        base probability of the choice; on all edges or on none
``action``     edge        what the choice means across states; on all edges or on none
``order``      edge        optional: edges of a node are read in this order
``initial``    node        initial probability (``True`` is 1), 0 if absent
``terminal``   node        true if the run ends there; so it does in a node without edges
``labels``     node        names of the sets the state is in
``name``       node        what the state is called; the node itself, as text, if absent
``exact``      graph       true if probabilities and rewards are exact rationals
``cost_unit``, ``cost_names``, ``reward_discount``, ``labels``     graph, all optional
=============  ==========  ==========================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ig_theory.assembly import Choice, assemble
from ig_theory.cmdp import ConstrainedMDP
from ig_theory.errors import ModelError
from ig_theory.exact import rational

if TYPE_CHECKING:
    import networkx as nx

_OF_CHOICE = ("cost", "reward", "base", "action")


def from_networkx(graph: nx.DiGraph[Any], *, exact: bool | None = None) -> ConstrainedMDP:
    """Build a model from a ``DiGraph`` or ``MultiDiGraph`` (the convention is this module's).

    Parameters
    ----------
    graph
        Attributes of the branches of one choice must agree where more than one gives them.
    exact : bool, optional
        Whether probabilities and rewards become Fractions; the graph's own attribute if None.

    Raises
    ------
    ModelError
        Naming the node, the choice, the value and the repair.

    Examples
    --------
    >>> import networkx as nx
    >>> graph = nx.DiGraph()
    >>> graph.add_node("s", initial=True)
    >>> graph.add_edge("s", "goal", choice="try", prob=0.5, cost="0.1")
    >>> graph.add_edge("s", "s", choice="try", prob=0.5)
    >>> model = from_networkx(graph)
    >>> model.state_names, model.choice_names, model.cost.tolist(), model.cost_unit
    (('s', 'goal'), ('try', 'end'), [[1, 0]], Fraction(1, 10))
    """
    if not graph.is_directed():
        raise ModelError.at("graph", "a directed graph", type(graph).__name__, "use nx.DiGraph")
    index = {node: i for i, node in enumerate(graph.nodes)}
    info: dict[str, Any] = graph.graph
    rows, extra = [], []
    for node in graph.nodes:
        row, more = _choices(graph, node, index)
        rows.append(row)
        extra += more
    nodes = [graph.nodes[node] for node in graph.nodes]
    labels: dict[str, list[int]] = {label: [] for label in info.get("labels", ())}
    for i, node in enumerate(nodes):
        for label in _listed(node.get("labels", ())):
            labels.setdefault(label, []).append(i)
    actions = _all_or_none("action", [more.get("action") for more in extra])
    names = info.get("cost_names")
    return assemble(
        [str(graph.nodes[node].get("name", node)) for node in graph.nodes],
        rows,
        {i: _probability(node["initial"]) for i, node in enumerate(nodes) if "initial" in node},
        exactly=bool(info.get("exact", False) if exact is None else exact),
        cost_unit=info.get("cost_unit"),
        terminal=[i for i, node in enumerate(nodes) if node.get("terminal", False)],
        base=_all_or_none("base", [more.get("base") for more in extra]),
        labels=labels,
        action=None if actions is None else _with_ends(rows, actions),
        reward_discount=rational(info.get("reward_discount", 1), "reward_discount"),
        cost_names=None if names is None else tuple(names),
    )


def to_networkx(model: ConstrainedMDP) -> nx.MultiDiGraph[int]:
    """The model as a ``MultiDiGraph`` on the nodes 0..S-1, which `from_networkx` reads back.

    A `LatentMDP` gives its base policy; its latents stay behind. Time O(B).

    Raises
    ------
    ModelError
        If two choices of a state have one name.

    Examples
    --------
    >>> from ig_theory.builders import from_dict
    >>> graph = to_networkx(from_dict({"s": {"go": (1, 2, "t")}}, initial="s"))
    >>> graph.nodes[0]["name"], [d["choice"] for _, _, d in graph.edges(data=True)]
    ('s', ['go', 'end'])
    """
    import networkx as nx

    graph: nx.MultiDiGraph[int] = nx.MultiDiGraph(
        exact=model.exact, cost_unit=model.cost_unit, cost_names=model.cost_names,
        reward_discount=model.reward_discount, labels=tuple(model.labels),
    )  # fmt: skip
    for s in range(model.S):
        graph.add_node(
            s, name=model.state_name(s), initial=model.initial[s], terminal=bool(model.terminal[s]),
            labels=[name for name, members in model.labels.items() if members[s]],
        )  # fmt: skip
    for b in range(model.B):
        c = int(model.branch_choice[b])
        attributes = {
            "choice": model.choice_name(c), "prob": model.branch_prob[b], "order": b,
            "cost": tuple(int(count) * model.cost_unit for count in model.cost[:, c]),
            "reward": model.reward[c],
        }  # fmt: skip
        if model.base is not None:
            attributes["base"] = model.base[c]
        if model.action is not None:
            attributes["action"] = int(model.action[c])
        graph.add_edge(int(model.choice_state[c]), int(model.branch_state[b]), **attributes)
    _refuse_same_names(model)
    return graph


def _choices(
    graph: Any, node: Any, index: dict[Any, int]
) -> tuple[list[Choice], list[dict[str, Any]]]:
    """The choices of a node, and what else is known of each."""
    edges = sorted(graph.out_edges(node, data=True), key=lambda edge: edge[2].get("order", 0))
    branches: dict[str, list[tuple[Any, int]]] = {}
    shared: dict[str, dict[str, Any]] = {}
    for _, head, data in edges:
        name = str(data.get("choice", head))
        branches.setdefault(name, []).append((data.get("prob", 1), index[head]))
        known = shared.setdefault(name, {})
        for key in _OF_CHOICE:
            if key not in data:
                continue
            if known.setdefault(key, data[key]) != data[key]:
                raise ModelError.at(
                    f"{key} of node {node!r} choice {name!r}", "one value on all its edges",
                    f"{known[key]!r} and {data[key]!r}",
                    "costs and rewards belong to the choice: make them agree",
                )  # fmt: skip
    widths = {len(v) for more in shared.values() if isinstance(v := more.get("cost"), tuple)}
    free = (0,) * widths.pop() if len(widths) == 1 else 0
    return [
        Choice(name, shared[name].get("cost", free), shared[name].get("reward", 0), found)
        for name, found in branches.items()
    ], list(shared.values())


def _with_ends(rows: list[list[Choice]], actions: list[Any]) -> Any:
    """Actions of all choices, 0 for the loops that states without edges are given."""
    given = iter(actions)
    return np.array(
        [a for row in rows for a in ([next(given) for _ in row] or [0])], dtype=np.int64
    )


def _all_or_none(key: str, values: list[Any]) -> list[Any] | None:
    missing = sum(v is None for v in values)
    if missing == len(values):
        return None
    if missing:
        raise ModelError.at(
            f"edge attribute {key!r}", "on every choice or on none", f"{missing} choices without",
            "give it everywhere",
        )  # fmt: skip
    return values


def _listed(labels: Any) -> list[str]:
    return [labels] if isinstance(labels, str) else list(labels)


def _probability(value: Any) -> Any:
    return int(value) if isinstance(value, bool | np.bool_) else value


def _refuse_same_names(model: ConstrainedMDP) -> None:
    for s in range(model.S):
        names = [model.choice_name(c) for c in range(*model.choice_ptr[s : s + 2])]
        if len(set(names)) < len(names):
            raise ModelError.at(
                f"choices of state {model.state_name(s)}", "distinct names", names,
                "rename one: edges are grouped by the name of their choice",
            )  # fmt: skip
