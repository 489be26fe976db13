"""What a PromQL expression asks for: metrics, and labels of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql

__all__ = ["Use", "calls", "parse", "uses", "with_grafana_variables"]

_TIME_RANGES = {"$__rate_interval": "61s", "$__range": "3601s", "$__interval": "17s"}


@dataclass
class Use:
    """A metric in an expression, with the labels that are expected of it.

    Attributes:
        metric: Its name, with the suffix of a histogram's series.
        labels: Labels that a selector matches or that an aggregation around it keeps.
        equal: Of these, label → value for those that have to be exactly that.
    """

    metric: str
    labels: set[str] = field(default_factory=set)
    equal: dict[str, str] = field(default_factory=dict)


def with_grafana_variables(expr: str) -> str:
    """``expr`` with time ranges in the place of Grafana's own variables."""
    for variable, value in _TIME_RANGES.items():
        expr = expr.replace(variable, value)
    return expr


def parse(expr: str) -> promql.Expr:
    """The tree of ``expr``, in which Grafana's variables may stand."""
    tree: promql.Expr = promql.parse(with_grafana_variables(expr))
    return tree


def uses(node: Any) -> list[Use]:
    """Every metric in the tree below ``node``."""
    if isinstance(node, promql.VectorSelector):
        return [_selected(node)]
    found = [use for child in children(node) for use in uses(child)]
    if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
        for use in found:
            use.labels |= set(node.modifier.labels)
    return found


def children(node: Any) -> Iterator[Any]:
    """The nodes right below."""
    if isinstance(node, promql.MatrixSelector):
        yield node.vector_selector
    elif isinstance(node, promql.BinaryExpr):
        yield from (node.lhs, node.rhs)
    elif isinstance(node, promql.Call):
        yield from node.args
    elif isinstance(node, (promql.AggregateExpr, promql.ParenExpr, promql.UnaryExpr, promql.SubqueryExpr)):
        yield node.expr


def calls(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every node with those above it, outermost first."""
    yield node, above
    for child in children(node):
        yield from calls(child, (*above, node))


def joined_on(node: Any) -> set[str]:
    """Labels on which binary operators match their sides."""
    labels: set[str] = set()
    for each, _ in calls(node):
        if isinstance(each, promql.BinaryExpr) and each.modifier and each.modifier.matching:
            labels |= set(_labels_of(each.modifier.matching))
    return labels


def _labels_of(matching: Any) -> Iterable[str]:
    found: Iterable[str] = matching.labels
    return found


def _selected(node: promql.VectorSelector) -> Use:
    use = Use(node.name or "")
    for matcher in node.matchers.matchers:
        if matcher.name == "__name__":
            continue
        use.labels.add(matcher.name)
        if matcher.op == promql.MatchOp.Equal:
            use.equal[matcher.name] = matcher.value
    return use
