"""Graph networks of nodes."""

import lightning as L
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GraphConv

from nnzoo import GraphDataModule, InputError, NodeClassifier, NodeRegressor
from nnzoo.nets.gnn import GraphEncoder
from nnzoo.run.configs import settings_of


def graph(**changed):
    torch.manual_seed(0)
    edges = torch.randint(12, (2, 40)).unique(dim=1)
    return Data(**{"x": torch.randn(12, 3), "edge_index": edges, "y": torch.arange(12) % 4, **changed})


def module(**settings):
    torch.manual_seed(0)
    return NodeClassifier(**{"num_features": 3, "num_classes": 4, "hidden": [8], **settings})


def test_the_loss_is_that_of_the_seeds():
    net, batch = module(), graph(seeds=torch.tensor([7, 2, 3]))
    logits = net.net.encoder(batch.x, batch.edge_index)[batch.seeds]
    expected = torch.nn.functional.cross_entropy(logits, batch.y[batch.seeds])
    torch.testing.assert_close(net.training_step(batch, 0), expected)
    torch.testing.assert_close(net.predict_step(batch, 0), logits.softmax(1))


def test_of_pygs_loaders_the_first_nodes_are_the_samples():
    net = module()
    first = net.training_step(graph(batch_size=5), 0)
    torch.testing.assert_close(first, net.training_step(graph(seeds=torch.arange(5)), 0))
    torch.testing.assert_close(net.training_step(graph(), 0), net.training_step(graph(seeds=torch.arange(12)), 0))


def test_a_graph_with_masks_alone_is_refused():
    """All nodes would be trained on, those of the test too."""
    with pytest.raises(InputError, match=r"masks, which say nothing of a stage: set batch.seeds"):
        module().training_step(graph(train_mask=torch.ones(12, dtype=torch.bool)), 0)


def test_the_penalty_of_gcns_paper_is_of_the_first_layer():
    batch = graph()
    plain, first, every = (
        module(**settings).training_step(batch, 0) for settings in ({}, {"l2": 0.1, "penalized": "first"}, {"l2": 0.1})
    )
    layers = module().net.encoder.convolutions
    squares = [float(layer.lin.weight.square().sum()) for layer in layers]
    assert float(first - plain) == pytest.approx(0.05 * squares[0], rel=1e-4)
    assert float(every - plain) == pytest.approx(0.05 * sum(squares), rel=1e-4)


def test_weight_decay_is_of_the_first_layer_too():
    net = module(penalized="first", weight_decay=0.1)
    decayed = [name for name, p in net.net.named_parameters() if p.dim() > 1 and not p.no_decay]
    assert decayed == ["encoder.convolutions.0.lin.weight"]


def test_embeddings_are_what_the_last_layer_sees():
    net, batch = module(hidden=[8, 5]), graph(seeds=torch.tensor([1, 4]))
    whole = net.net.encoder(batch.x, batch.edge_index, depth=2)
    torch.testing.assert_close(net.embed(batch), whole[[1, 4]])
    net = module(hidden=[8, 5], head="linear")
    torch.testing.assert_close(net.net.head(net.embed(batch)), net.net(batch.seeds, batch.x, batch.edge_index))


def test_another_encoder_by_one_method():
    class Summing(GraphEncoder):
        def build_convolution(self, width):
            return GraphConv(width.size, width.out)

    class Own(NodeClassifier):
        def build_encoder(self):
            return Summing(3, [6, 5], out_features=4)

    torch.manual_seed(0)
    net, batch = Own(num_features=3, num_classes=4), graph(seeds=torch.tensor([1, 4]))
    first, second, last = net.net.encoder.convolutions
    assert [type(layer) for layer in (first, second, last)] == [GraphConv] * 3
    states = second(first(batch.x, batch.edge_index).relu(), batch.edge_index).relu()
    logits = last(states, batch.edge_index)[batch.seeds]
    torch.testing.assert_close(net.predict_step(batch, 0), logits.softmax(1))
    net.training_step(batch, 0).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


WRONG = {
    "width": ({"x": torch.randn(12, 5)}, r"takes 3 features of a node, got \(12, 5\)"),
    "nan": ({"x": torch.full((12, 3), torch.nan)}, r"features of nodes are NaN"),
    "edge": ({"edge_index": torch.tensor([[0], [12]])}, r"Edges end at nodes 0 to 12, but the 12 nodes.*0 to 11"),
    "negative": ({"edge_index": torch.tensor([[-1], [2]])}, r"Edges end at nodes -1 to 2"),
    "label": ({"y": torch.arange(12)}, r"Labels must lie in 0 .. 3, got 0 .. 11"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named(name):
    changed, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        module().training_step(graph(**changed), 0)


def test_sparse_features_that_are_not_numbers_are_found():
    x = torch.zeros(12, 3)
    x[0, 0] = torch.nan
    with pytest.raises(InputError, match="features of nodes are NaN"):
        module().training_step(graph(x=x.to_sparse_csr()), 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": []}, r"needs a layer or more"),
        ({"dropout": 1.0}, r"dropout is a share"),
        ({"attention_dropout": -0.1, "convolution": "gat"}, r"attention_dropout is a share"),
        ({"heads": 3, "convolution": "gat"}, r"\[8\] features do not divide over 3 heads"),
        ({"heads": 2}, r"heads does nothing with convolution gcn"),
        ({"out_heads": 2, "head": "linear", "convolution": "gat"}, r"linear head has no attention heads"),
        ({"jump": "max", "head": "linear", "hidden": [8, 4]}, r"jump max needs layers of one width, got \[8, 4\]"),
        ({"jump": "cat"}, r"jump does nothing with head convolution"),
        ({"teleport": 0.2}, r"teleport does nothing with propagation none"),
        ({"propagation": "pagerank", "teleport": 0.0}, r"teleport is a share between 0 and 1, got 0.0"),
        ({"propagation": "pagerank", "steps": 0}, r"steps must be"),
        ({"convolution": "gnc"}, r"gcn"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(InputError, match=message):
        module(**settings)


def test_numbers_do_not_go_through_pagerank():
    """On a star the constant 1 would become 14 at the hub."""
    with pytest.raises(InputError, match=r"numbers cannot: leave out --model.propagation"):
        NodeRegressor(num_features=3, propagation="pagerank")


def both(edges):
    return torch.cat([edges, edges.flip(0)], dim=1)


PATH = torch.tensor([[0, 1], [1, 2]])


@pytest.mark.parametrize(
    "edges",
    [{"edge_index": PATH}, {"edge_index": both(PATH), "edge_weight": torch.tensor([1.0, 2, 3, 2])}],
    ids=["edges", "weights"],
)
def test_pagerank_of_a_directed_graph_is_refused(edges):
    batch = graph(**edges)
    with pytest.raises(InputError, match=r"every edge had its opposite.*--data.directed false or"):
        module(propagation="pagerank").training_step(batch, 0)
    module().training_step(batch, 0)


@pytest.mark.parametrize("config", ["gnn_cora", "gnn_cora_gat", "gnn_csv", "gnn_diabetes"])
def test_recipes_of_papers_do_not_inherit_what_few_labels_need(config):
    """Their settings lie on top of those of ``gnn``, which propagates and chooses the epoch by accuracy."""
    settings = settings_of(config)
    assert settings["model"]["propagation"] == "none"
    assert settings["checkpoint"] == {"monitor": "val/loss", "mode": "min"}


def test_pagerank_takes_graphs_whose_edges_go_both_ways():
    """The same edge may stand there twice, with other weights and in whatever order."""
    twice = torch.cat([PATH, PATH], dim=1)
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])
    swapped = {"edge_index": both(twice), "edge_weight": torch.cat([weights, weights.roll(2)])}
    for edges in ({"edge_index": both(PATH)}, swapped, {"edge_index": torch.tensor([[0, 1, 2], [1, 0, 2]])}):
        assert module(propagation="pagerank").training_step(graph(**edges), 0).isfinite()


def test_edges_that_a_convolution_does_not_see_are_named(in_tmp, recwarn):
    (in_tmp / "nodes.csv").write_text("id,a,y\n" + "".join(f"{i},{i % 4},{'pq'[i % 2]}\n" for i in range(30)))
    (in_tmp / "edges.csv").write_text(
        "a,b,w,c\n" + "".join(f"{i},{(i * 7 + 1) % 30},{i % 5},{i % 3}\n" for i in range(30))
    )
    data = GraphDataModule(edges="edges.csv", nodes="nodes.csv", target="y", weight="w")
    data.setup()
    trainer = L.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    settings = {"num_features": data.num_features, "num_classes": 2, "convolution": "sage"}
    trainer.fit(NodeClassifier(**settings), data)
    texts = " ".join(str(warning.message) for warning in recwarn)
    assert "sage does not see the weights of the edges; gcn would" in texts
    assert "sage does not see the features of the edges; gat, gatv2, gin, transformer, interaction, gps would" in texts
    recwarn.clear()
    trainer = L.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.fit(NodeClassifier(**settings, propagation="pagerank"), data)
    texts = " ".join(str(warning.message) for warning in recwarn)
    assert "sage does not see the weights of the edges, which the propagation after it does; gcn would" in texts


def test_a_regressor_gives_a_number_for_each_node():
    torch.manual_seed(0)
    net, batch = NodeRegressor(num_features=3, target_mean=5.0, target_std=2.0), graph(y=torch.randn(12))
    outputs = net.net(torch.arange(12), batch.x, batch.edge_index)
    assert outputs.shape == (12,)
    torch.testing.assert_close(net.predict_step(batch, 0), outputs * 2 + 5)
    expected = (outputs - (batch.y - 5) / 2).square().mean()
    torch.testing.assert_close(net.training_step(batch, 0), expected)


def test_pictures_show_mistakes_among_the_held_out_nodes():
    net, batch = module().eval(), graph(seeds=torch.tensor([7, 2, 3, 4]))
    wrong = net.predict_step(batch, 0).argmax(1) != batch.y[batch.seeds]
    figures = net.figures(batch, {"classes": list("abcd")})
    (axis,) = figures["graph"].axes
    rings = [cloud for cloud in axis.collections if cloud.get_label() == "mistake"]
    assert len(rings[0].get_offsets()) == int(wrong.sum())
    assert axis.get_title().startswith("12 of 12 nodes")
    assert figures["embeddings"].axes[0].get_title() == "embeddings of held-out nodes"
