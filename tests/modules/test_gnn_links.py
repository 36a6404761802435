"""Graph autoencoders."""

import lightning as L
import numpy as np
import pytest
import torch
import yaml
from nnzoo.recipes import gnn_links
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, average_precision_score, normalized_mutual_info_score, roc_auc_score
from torch.utils.data import DataLoader
from torch_geometric.data import Data
from torch_geometric.utils import erdos_renyi_graph

from nnzoo import InputError, LinkDataModule, LinkPredictor
from nnzoo.data.graphs.links import adjacency_ones
from nnzoo.nets.gnn import GraphEncoder
from nnzoo.nets.gnn_links import all_pairs_loss, graph_kl, sampled_loss, strongest
from support.quiet import QUIET
from support.runs import QUICK

NODES = 14
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def graph(**changed):
    torch.manual_seed(0)
    x, edges = torch.randn(NODES, 3), erdos_renyi_graph(NODES, 0.3)
    pairs, unlinked = torch.randint(NODES, (2, 9)), torch.randint(NODES, (2, 9))
    given = {"x": x, "edge_index": edges, "pairs": pairs, "unlinked": unlinked, "y": torch.arange(NODES) % 3}
    given["labelled"] = torch.arange(NODES) < 6
    return Data(**{**given, **changed})


def rows(batch):
    """The same graph, its samples being nodes."""
    return Data(
        x=batch.x,
        edge_index=batch.edge_index,
        y=batch.y,
        labelled=batch.labelled,
        starts=torch.arange(NODES),
        ones=adjacency_ones(batch.edge_index, NODES),
    )


def module(**settings):
    torch.manual_seed(0)
    return LinkPredictor(**{"num_features": 3, "hidden": [8], "latent_dim": 4, "lr": 0.01, **settings})


def measured_on(net, batch):
    """Test metrics on one batch."""
    (metrics,) = L.Trainer(**QUIET).test(net, DataLoader([batch], batch_size=None), verbose=False)
    return metrics


def without_noise(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "normal_", lambda self, generator=None: self.fill_(0.5))


def test_the_loss_is_that_of_linked_and_of_unlinked_pairs():
    net, batch = module(), graph()
    z = net.encoder(batch.x, batch.edge_index)
    scores = [(z[ends[0]] * z[ends[1]]).sum(1) for ends in (batch.pairs, batch.unlinked)]
    torch.testing.assert_close(net.training_step(batch, 0), sampled_loss(*scores).mean())
    torch.testing.assert_close(net.predict_step(batch, 0), scores[0].sigmoid())


def test_samples_that_are_nodes_have_the_papers_loss():
    net, batch = module(), rows(graph())
    z = net.encoder(batch.x, batch.edge_index)
    expected = all_pairs_loss(net.decoder, z, batch.starts, batch.ones).mean()
    torch.testing.assert_close(net.training_step(batch, 0), expected)


@pytest.mark.parametrize("form", [lambda batch: batch, rows])
def test_a_vae_adds_the_kl_and_draws_in_training(form, monkeypatch):
    net, batch = module(variational=True, beta=0.5), form(graph())
    mean, log_var = net.encoder(batch.x, batch.edge_index).chunk(2, dim=1)
    without_noise(monkeypatch)
    drawn = mean + 0.5 * (log_var / 2).exp()
    if "pairs" in batch:
        losses = sampled_loss(net.scores(drawn, batch.pairs), net.scores(drawn, batch.unlinked))
    else:
        losses = all_pairs_loss(net.decoder, drawn, batch.starts, batch.ones)
    expected = losses.mean() + 0.5 * graph_kl(mean, log_var)
    torch.testing.assert_close(net.training_step(batch, 0), expected)


def test_a_vae_is_scored_on_its_means():
    net, batch = module(variational=True), graph()
    mean = net.encoder(batch.x, batch.edge_index)[:, :4]
    torch.testing.assert_close(net.embed(batch), mean)
    expected = (mean[batch.pairs[0]] * mean[batch.pairs[1]]).sum(1).sigmoid()
    torch.testing.assert_close(net.predict_step(batch, 0), expected)
    assert measured_on(net, batch) == measured_on(net, batch)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_areas_are_scikit_learns_of_scores_of_any_size(scale):
    """A sigmoid in float32 is 1 for all scores above 17."""
    net, batch = module(), graph()
    with torch.no_grad():
        net.encoder.convolutions[-1].lin.weight.mul_(scale)
    found = measured_on(net, batch)
    z = net.embed(batch)
    scores = torch.cat([(z[ends[0]] * z[ends[1]]).sum(1) for ends in (batch.pairs, batch.unlinked)]).numpy()
    truth = np.arange(18) < 9
    assert len(set(scores.tolist())) > 10
    assert found["test/auroc"] == pytest.approx(roc_auc_score(truth, scores))
    assert found["test/average_precision"] == pytest.approx(average_precision_score(truth, scores))


def test_groups_of_the_embeddings_are_compared_with_the_classes_that_are_known():
    net, batch = module(num_classes=3), graph(y=torch.tensor([-1, 2, 0, 1, 0, 1, 2, 2, 0, 1, 1, 0, 2, -1]))
    found = measured_on(net, batch)
    known = batch.y >= 0
    groups = KMeans(3, n_init=10, random_state=0).fit_predict(net.embed(batch)[known].numpy())
    assert found["test/nmi"] == pytest.approx(normalized_mutual_info_score(batch.y[known], groups))
    assert found["test/ari"] == pytest.approx(adjusted_rand_score(batch.y[known], groups))
    found = measured_on(net, graph(y=torch.full((NODES,), -1)))
    assert "test/nmi" not in found


def test_groups_of_a_model_that_learned_classes_are_compared_among_held_out_nodes():
    """Classes that it was trained on would be found again."""
    net = module(num_classes=3, label_weight=1.0)
    batch = graph(labelled=torch.arange(NODES) >= 5, y=torch.tensor([0, 1, 2, 0, 1, 2, 1, 2, 2, 0, 1, 1, 0, 2]))
    found, held_out = measured_on(net, batch), batch.labelled
    groups = KMeans(3, n_init=10, random_state=0).fit_predict(net.embed(batch)[held_out].numpy())
    assert found["test/nmi"] == pytest.approx(normalized_mutual_info_score(batch.y[held_out], groups))
    assert found["test/ari"] == pytest.approx(adjusted_rand_score(batch.y[held_out], groups))
    assert "test/nmi" not in measured_on(net, graph(labelled=torch.arange(NODES) == 0))


@pytest.mark.parametrize("form", [lambda batch: batch, rows])
def test_one_model_tells_links_and_classes(form):
    net, batch = module(num_classes=3, label_weight=2.0), form(graph())
    z = net.encoder(batch.x, batch.edge_index)
    with_labels = net.training_step(batch, 0)
    net.hparams["label_weight"] = 0.0
    logits = net.labeller(z[:6])
    expected = net.training_step(batch, 0) + 2 * torch.nn.functional.cross_entropy(logits, batch.y[:6])
    torch.testing.assert_close(with_labels, expected)


def test_accuracy_is_that_of_the_nodes_of_the_part():
    net, batch = module(num_classes=3, label_weight=1.0), graph(labelled=torch.arange(NODES) >= 10)
    found = measured_on(net, batch)
    told = net.labeller(net.embed(batch)).argmax(1)
    assert found["test/accuracy"] == pytest.approx(float((told == batch.y)[10:].float().mean()))


def test_both_tasks_are_learned_from_one_embedding(in_tmp):
    data = LinkDataModule(dataset="karate", test_fraction=0.2, batch_size=1000)
    L.seed_everything(0, verbose=False)
    net = LinkPredictor(num_features=34, num_classes=2, label_weight=1.0, lr=0.02, hidden=[16], latent_dim=8)
    trainer = L.Trainer(**{**QUIET, "max_epochs": 100, "limit_val_batches": 0})
    trainer.fit(net, data)
    (found,) = trainer.test(net, data, verbose=False)
    assert found["test/accuracy"] > 0.8
    assert found["test/auroc"] > 0.6


def test_missing_links_have_the_users_ids(in_tmp):
    lines = [f"n{i},n{(i + step) % 12}\n" for i in range(12) for step in (1, 2)]
    (in_tmp / "edges.csv").write_text("a,b\n" + "".join(lines))
    data = LinkDataModule(edges="edges.csv", num_links=5)
    net = LinkPredictor(num_features=12, hidden=[8], latent_dim=4)
    predictions = L.Trainer(**QUIET).predict(net, data)
    columns = net.prediction_columns(predictions, {"node_ids": data.node_ids})
    linked = {frozenset(line.strip().split(",")) for line in lines}
    found = [frozenset(pair) for pair in zip(columns["from"], columns["to"], strict=True)]
    assert len(set(found)) == 5
    assert not linked & set(found)
    (batch,) = data.predict_dataloader()
    z = net.embed(batch)
    missing = [
        (a, b) for a in range(12) for b in range(a) if frozenset((data.node_ids[a], data.node_ids[b])) not in linked
    ]
    best = sorted((float((z[a] * z[b]).sum().sigmoid()) for a, b in missing), reverse=True)[:5]
    np.testing.assert_allclose(columns["score"], best, rtol=1e-5)


def test_a_users_nodes_keep_their_features(in_tmp):
    """The recipe leaves those of the digits out; a file of edges takes the variant for files."""
    lines = [f"n{i},n{(i + step) % 12}\n" for i in range(12) for step in (1, 2)]
    (in_tmp / "edges.csv").write_text("a,b\n" + "".join(lines))
    (in_tmp / "nodes.csv").write_text("id,size\n" + "".join(f"n{i},{i % 5}\n" for i in range(12)))
    gnn_links.main(["--data.edges", "edges.csv", "--data.nodes", "nodes.csv", *QUICK])
    (config,) = in_tmp.rglob("config.yaml")
    assert yaml.safe_load(config.read_text())["data"]["node_features"] == "own"


WRONG = {
    "features": ({"x": torch.randn(NODES, 5)}, r"takes 3 features of a node, got \(14, 5\)"),
    "pairs": ({"pairs": torch.tensor([[0], [14]])}, r"pairs name nodes up to 14, but the 14 nodes go from 0"),
    "unlinked": ({"unlinked": torch.tensor([[-1], [3]])}, r"The unlinked name nodes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_named(name):
    changed, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        module().training_step(graph(**changed), 0)


def test_a_graph_without_pairs_is_refused():
    batch = Data(x=torch.randn(4, 3), edge_index=torch.tensor([[0, 1], [1, 0]]))
    with pytest.raises(InputError, match=r"says nothing of links: set batch.pairs"):
        module().training_step(batch, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decoder": "cosine"}, r"There is no decoder 'cosine': choose one of inner_product, mlp"),
        ({"directed": True}, r"inner product scores \(a, b\) as \(b, a\).*--model.decoder mlp"),
        ({"label_weight": 1.0}, r"label_weight needs classes of nodes"),
        ({"label_weight": -1.0}, r"label_weight must not be negative"),
        ({"beta": -1.0, "variational": True}, r"beta must not be negative"),
        ({"beta": 0.5}, r"beta does nothing with variational False"),
        ({"decoder_hidden": [4]}, r"decoder_hidden does nothing with decoder inner_product"),
        ({"heads": 2}, r"heads does nothing with convolution gcn"),
        ({"dropout": 1.0}, r"dropout is a share"),
        ({"latent_dim": 0}, r"latent_dim must be positive"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(InputError, match=message):
        module(**settings)


def test_directions_are_told_by_an_mlp():
    net, batch = module(directed=True, decoder="mlp"), graph()
    there, back = net(batch), net(graph(pairs=batch.pairs.flip(0)))
    assert not torch.allclose(there, back)


def test_another_encoder_by_one_method():
    class Own(LinkPredictor):
        def build_encoder(self):
            return GraphEncoder(3, [6, 6], out_features=4)

    assert len(Own(num_features=3, latent_dim=4).encoder.convolutions) == 3


def test_pictures_show_which_strong_links_are_hidden_ones():
    net, batch = module(num_classes=3).eval(), graph()
    hidden = torch.combinations(torch.arange(NODES)).T[:, ::2]
    figures = net.figures(batch, {"classes": list("abc"), "hidden_links": hidden})
    assert set(figures) == {"scores", "embeddings", "graph", "descriptors"}
    (axis,) = figures["graph"].axes
    lines = {part.get_label(): len(part.get_segments()) for part in axis.collections if hasattr(part, "get_segments")}
    count = hidden.shape[1]
    shown, _ = strongest(net.decoder, net.embed(batch), torch.arange(NODES), batch.edge_index, count, False)
    found = [pair in hidden.T.tolist() for pair in shown.T.tolist()]
    assert 0 < lines["hidden link found"] == sum(found) < count
    assert lines["not in the graph"] == count - sum(found)
    assert len(net.figures(graph(y=torch.full((NODES,), -1)), {})) == 4
