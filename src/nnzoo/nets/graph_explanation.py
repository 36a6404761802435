"""Which edges and features of nodes an output of a graph network rests on."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch_geometric.explain import Explainer, Explanation, GNNExplainer
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import k_hop_subgraph

from nnzoo.nets.sparse_features import dense, sparse_rows

Edges = Mapping[str, Tensor | None]
"""Features and weights of edges by their names, each (E, ...) or None."""

Reading = Callable[[nn.Module, Tensor, Tensor, Edges], Tensor]
"""From a network, features (N, F) of nodes, ends (2, E) of edges and what is known of these to one output (1, ...)."""


class OpenMasks(GNNExplainer):
    """PyG's GNNExplainer, beginning with nearly all of every edge and feature rather than with about half.

    From a half, which may be another prediction altogether, and with PyG's weights of the terms of the loss, masks went
    to 0 or 1 by chance: of graph networks that are known to look at one edge, it was among the last. Here a mask is
    lowered by its mean, so that sizes of graphs do not matter, until the prediction suffers.

    Args:
        epochs: Steps of gradient descent.
        lr: Size of these steps.
    """

    begin = 3.0
    """Logit of the masks before the first step, about which PyG's random numbers lie."""

    def __init__(self, epochs: int, lr: float) -> None:
        means = {"edge_reduction": "mean", "node_feat_reduction": "mean", "edge_ent": 0.0, "node_feat_ent": 0.0}
        super().__init__(epochs, lr, edge_size=1.0, node_feat_size=1.0, **means)

    def _initialize_masks(self, x: Tensor, edge_index: Tensor) -> None:
        super()._initialize_masks(x, edge_index)
        for mask in (self.node_mask, self.edge_mask):
            if mask is not None:
                mask.data.mul_(0.1).add_(self.begin)


class _Read(nn.Module):
    """A network as PyG's Explainer calls it."""

    def __init__(self, net: nn.Module, reading: Reading) -> None:
        super().__init__()
        self.net, self.reading = net, reading

    def forward(self, x: Tensor, edge_index: Tensor, **edges: Tensor | None) -> Tensor:
        return self.reading(self.net, x, edge_index, edges)


def count_rounds(net: nn.Module) -> int:
    """How many layers of PyG's MessagePassing a network has: as many edges away it sees."""
    return sum(isinstance(part, MessagePassing) for part in net.modules())


def passes_messages(net: nn.Module) -> bool:
    """Whether a network has layers of PyG's MessagePassing, whose edges can be masked."""
    return count_rounds(net) > 0


def frozen_copy(net: nn.Module) -> nn.Module:
    """The network on the CPU in evaluation mode and without gradients, so that what is done to it is not done to ours.

    There the random numbers are the same on every machine; PyG's masks would stay behind in the network.
    """
    return copy.deepcopy(net).float().cpu().eval().requires_grad_(False)


def explain_output(
    net: nn.Module,
    reading: Reading,
    x: Tensor,
    edge_index: Tensor,
    edges: Edges,
    regression: bool,
    epochs: int,
    lr: float,
    seed: int,
) -> Explanation:
    """GNNExplainer (Ying et al. 2019, arXiv:1903.03894) by PyG, of one output.

    Masks in (0, 1) on edges (E,) and features (1, F) that keep the prediction and are small; 0 for what the output does
    not depend on. The network, and the state of the random numbers, stay as they are; it works where gradients are
    switched off.

    Args:
        net: A network with layers of PyG's MessagePassing.
        reading: The output (1, K) as logits, or (1,) of a regression.
        x: Features of the nodes (N, F), dense.
        edge_index: Source and target of each edge (2, E).
        edges: What is known of the edges.
        regression: Whether the output is a number rather than logits of classes.
        epochs: Steps of gradient descent on the masks.
        lr: Size of these steps.
        seed: Of the masks' first values.
    """
    # Layers that add self-loops take those that are there out of their places, and number masks as if they came last.
    order = self_loops_last(edge_index)
    back = torch.argsort(order)
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _Read(frozen_copy(net), reading).eval()
        inputs = x.detach().clone().float(), edge_index[:, order].clone()
        known = single({name: None if value is None else value[order].clone() for name, value in edges.items()})

        def explained(features: bool, links: bool) -> Explanation:
            explainer = Explainer(
                model,
                OpenMasks(epochs, lr),
                explanation_type="model",
                model_config={
                    "mode": "regression" if regression else "multiclass_classification",
                    "task_level": "graph",
                    "return_type": "raw",
                },
                node_mask_type="common_attributes" if features else None,
                edge_mask_type="object" if links else None,
            )
            return explainer(*inputs, **known)

        found = explained(True, True)
        if not (found.node_mask.isfinite().all() and found.edge_mask.isfinite().all()):
            # An output that depends on no edge, or no feature, makes PyG's mean over the masks that count NaN.
            found.node_mask = explained(True, False).node_mask.nan_to_num(0.0)
            found.edge_mask = explained(False, True).edge_mask.nan_to_num(0.0)
    found.edge_mask, found.edge_index = found.edge_mask[back], edge_index
    for name, value in edges.items():
        found[name] = value
    return found


def explain_node(
    net: nn.Module,
    node: int,
    x: Tensor,
    edge_index: Tensor,
    edges: Edges,
    regression: bool,
    epochs: int,
    lr: float,
    seed: int,
) -> Explanation:
    """As :func:`explain_output`, of a network from (seeds, x, edge_index, edge_attr, edge_weight) to outputs of seeds.

    The masks are of the whole graph's edges and of its features; only what lies around the node is looked at, unless
    the network sees more. ``x`` may be sparse.
    """

    def reading(at: int) -> Reading:
        def read(net: nn.Module, x: Tensor, edge_index: Tensor, edges: Edges) -> Tensor:
            return net(torch.tensor([at]), x, edge_index, edges["edge_attr"], edges["edge_weight"])

        return read

    # One step further than messages come from: the number of neighbours of the outermost counts too.
    nodes, inside, place, kept = k_hop_subgraph(
        node, count_rounds(net) + 1, edge_index, relabel_nodes=True, num_nodes=len(x)
    )
    at, near = int(place), {name: None if value is None else value[kept] for name, value in edges.items()}
    features = rows_of(x, nodes)
    with torch.no_grad():
        model = frozen_copy(net)
        whole = reading(node)(model, x.float(), edge_index, single(edges))
        part = reading(at)(model, features.float(), inside, single(near))
    if not torch.allclose(whole, part, rtol=1e-3, atol=1e-4):  # a norm over all nodes, or attention to all
        at, features, inside, near, kept = node, dense(x), edge_index, dict(edges), slice(None)
    found = explain_output(model, reading(at), features, inside, near, regression, epochs, lr, seed)
    masks = torch.zeros(edge_index.shape[1])
    masks[kept] = found.edge_mask
    given = {name: value for name, value in edges.items() if value is not None}
    return Explanation(
        x=x, edge_index=edge_index, edge_mask=masks, node_mask=found.node_mask, index=node, target=found.target,
        prediction=found.prediction, **given,
    )  # fmt: skip


def single(edges: Edges) -> dict[str, Tensor | None]:
    """What is known of edges, in single precision."""
    return {name: None if value is None else value.float() for name, value in edges.items()}


def self_loops_last(edge_index: Tensor) -> Tensor:
    """Numbers of the edges (E,): others as they stand, then self-loops by their node."""
    loops = edge_index[0] == edge_index[1]
    own = loops.nonzero()[:, 0]
    return torch.cat([(~loops).nonzero()[:, 0], own[edge_index[0, own].argsort(stable=True)]])


def rows_of(x: Tensor, nodes: Tensor) -> Tensor:
    """Some rows (M, F) of dense or sparse features, dense."""
    return sparse_rows(x, nodes).to_dense() if x.layout == torch.sparse_csr else x[nodes]
