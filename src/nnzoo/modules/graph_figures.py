"""Pictures of graphs that networks of nodes and of whole graphs share."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Data

from nnzoo.plots.graph_descriptors import MOST, descriptor_figure
from nnzoo.plots.graph_reasons import attention_graph, attention_grid, explanation_figure
from nnzoo.plots.graph_sets import MOST_NODES, flat, varying_feature
from nnzoo.plots.graphs import around, numbers_among

ATTENDED, GRAPHS = 24, 3
"""Nodes, and graphs, whose attention is shown."""


def names_of(module: Any, facts: Mapping[str, Any]) -> list[str]:
    """Names of the features of a node and of its encodings; none where the features have none."""
    names = list(facts.get("feature_names", ()))
    if len(names) != module.hparams["num_features"]:
        return []
    kinds = {"num_walks": "back after", "num_eigenvectors": "eigenvector"}
    return [*names, *(f"{kind} {n + 1}" for key, kind in kinds.items() for n in range(module.hparams.get(key, 0)))]


def descriptors_of(
    batch: Data, nodes: Tensor, values: Tensor, classes: Sequence[str], what: str, value_name: str = ""
) -> Figure:
    """The matrices of some nodes of a graph (M,) and what is known of all (N,)."""
    edges = numbers_among(nodes, batch.edge_index.cpu(), batch.num_nodes)
    inside = torch.isin(batch.edge_index.cpu(), nodes).all(dim=0)
    weight = batch.get("edge_weight")
    weight = None if weight is None else weight.cpu()[inside]
    title = f"{what}: {len(nodes):,} of {batch.num_nodes:,} nodes"
    if len(nodes) < batch.num_nodes:
        title += " that lie together, by the edges between them"
    return descriptor_figure(edges, values[nodes], classes, title, weight=weight, value_name=value_name)


def node_figures(module: Any, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
    """Of the graph around a held-out node: matrices, attention, and why the node is predicted as it is."""
    node, edges = int(module.seeds_of(batch)[0]), batch.edge_index.cpu()
    classes = facts.get("classes", ())
    values = batch.y.cpu() if module.num_outputs else module.with_offset(batch.y).cpu().float()
    name = facts.get("target_name", "")
    near = around(node, edges, batch.num_nodes, MOST)
    figures = {"descriptors": descriptors_of(batch, near, values, classes, "the graph", name)}
    if module.attends:
        ends, weights = module.attention(batch)
        heads = weights.shape[1]
        title = f"attention of the last layer around node {node}" + (f", mean of {heads} heads" if heads > 1 else "")
        shown = (near[:ATTENDED], ends.cpu(), weights.mean(dim=1).float().cpu(), values)
        figures["attention"] = attention_graph(*shown, classes, title, name)
    if module.explainable:
        found = module.explain(batch, node)
        inputs, targets = module.split(batch)
        known = title_of(module, module(*inputs).detach(), targets, 0, facts)
        title = f"what the prediction of node {node} rests on: {known}"
        features = found.node_mask[0]
        figures["explanation"] = explanation_figure(
            edges, found.edge_mask, features, names_of(module, facts), values, classes, title, node, value_name=name
        )
    return figures


def told(number: Tensor, classes: Sequence[str]) -> str:
    """A class by its name."""
    at = int(number)
    return classes[at] if 0 <= at < len(classes) else str(at)


def one_graph(batch: Data, number: int) -> dict[str, Tensor]:
    """One graph of a batch: ``x``, ``edge_index`` and what else it has of nodes and edges, on the CPU."""
    start, end = int(batch.ptr[number]), int(batch.ptr[number + 1])
    inside = (batch.batch == number)[batch.edge_index[1]]
    found = {"edge_index": (batch.edge_index[:, inside] - start).cpu()}
    for name in ("x", "walks", "eigenvectors", "pos"):
        if batch.get(name) is not None:
            found[name] = batch[name][start:end].cpu()
    for name in ("edge_attr", "edge_weight"):
        if batch.get(name) is not None:
            found[name] = batch[name][inside].cpu()
    return found


def graph_figures(module: Any, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
    """Of held-out graphs: the matrices of one, attention in some, and why one is predicted as it is."""
    sizes = batch.ptr.diff().tolist()
    small = [number for number, size in enumerate(sizes) if size <= MOST_NODES]
    if not small:
        return {}
    first = next((number for number in small if sizes[number] <= MOST), small[0])
    graph, names = one_graph(batch, first), names_of(module, facts)
    feature, _ = varying_feature(batch.x)
    name = names[feature] if names else f"feature {feature}"
    points = flat(graph["pos"]) if "pos" in graph else None
    values = graph["x"][:, feature].float()
    outputs = module(*module.split(batch)[0]).detach()
    edges = graph["edge_index"]
    figures = {
        "descriptors": descriptor_figure(
            edges, values, (), f"a held-out graph of {len(values)} nodes", points, graph.get("edge_weight"), name
        )
    }
    if module.attends:
        ends, weights = module.attention(batch)
        mean, shown = weights.mean(dim=1).float().cpu(), []
        for number in small[:GRAPHS]:
            start, end = int(batch.ptr[number]), int(batch.ptr[number + 1])
            inside = ((ends >= start) & (ends < end)).all(dim=0)
            places = flat(batch.pos[start:end].cpu()) if batch.get("pos") is not None else None
            color = batch.x[start:end, feature].float().cpu()
            shown.append(((ends[:, inside] - start).cpu(), mean[inside.cpu()], color, places))
        titles = [title_of(module, outputs, batch.y, number, facts) for number in small[:GRAPHS]]
        heads = f", mean of {weights.shape[1]} heads" if weights.shape[1] > 1 else ""
        figures["attention"] = attention_grid(
            shown, titles, f"attention of the last layer{heads}; bright: much of {name}"
        )
    if module.explainable:
        found = module.explain(batch, first)
        title = f"what the prediction of a graph rests on: {title_of(module, outputs, batch.y, first, facts)}"
        figures["explanation"] = explanation_figure(
            edges, found.edge_mask, found.node_mask[0], names, values, (), title,
            points=points, value_name=name,
        )  # fmt: skip
    return figures


def title_of(module: Any, outputs: Tensor, targets: Tensor, number: int, facts: Mapping[str, Any]) -> str:
    """What is true and predicted of a graph."""
    if module.num_outputs:
        classes = facts.get("classes", ())
        return f"true {told(targets[number], classes)}, predicted {told(outputs[number].argmax(), classes)}"
    return f"true {float(module.with_offset(targets)[number]):.4g}, predicted {float(outputs[number]):.4g}"
