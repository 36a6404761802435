"""Graph autoencoders: networks that tell which nodes of a graph are linked."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor
from torch_geometric.data import Data
from torchmetrics import MetricCollection
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision, MulticlassAccuracy

from nnzoo.data.facts import datamodule_of
from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.clusters import cluster_scores
from nnzoo.metrics.means import STAGES, PerStage, StageMeans
from nnzoo.modules.base import ZooModule
from nnzoo.modules.gnn_links_figures import link_figures
from nnzoo.modules.graph_checks import check_graph, check_pairs, warn_of_data
from nnzoo.modules.graph_networks import ATTENDING
from nnzoo.nets.gnn import ConvolutionName, GraphEncoder, Norm
from nnzoo.nets.gnn_links import Decoder, DecoderName, all_pairs_loss, build_decoder, graph_kl, sampled_loss, strongest
from nnzoo.nets.layers import Activation
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.vae import LOG_VAR_RANGE, reparameterize


class LinkPredictor(ZooModule):
    """Graph autoencoder, GAE or variational VGAE (Kipf & Welling 2016, arXiv:1611.07308).

    A graph network gives each node an embedding z, and a decoder of two of them the log-odds of a link. Of a batch with
    ``pairs`` and ``unlinked`` pairs (2, B) the loss is the mean of softplus(-s) of the first plus softplus(s) of the
    second; of one with ``starts`` (B,), nodes, it is the paper's over their pairs with all nodes, see
    :func:`nnzoo.nets.gnn_links.all_pairs_loss`. ``variational`` adds ``beta`` times the mean KL(q(z_i) || N(0, I)) of
    the N nodes over N, as in the paper, and scores the mean of q. ``label_weight`` makes it a model Z -> (y, W): from
    the same embeddings a linear layer tells the classes of nodes, and the mean cross-entropy of the labelled ones is
    added.

    Metrics: area under the ROC curve and average precision of as many linked as unlinked pairs; where classes of nodes
    are known, the agreement of k-means on the embeddings with them (``nmi``, ``ari``); with ``label_weight``, which
    trains on those of some, among the others of the test.

    To use other layers, override :meth:`build_encoder`; another decoder, :meth:`build_decoder`.

    Args:
        num_features: Features of a node (the command line takes it from the data).
        num_edge_features: Features of an edge (the command line takes it from the data).
        num_classes: Classes of the nodes; 0 if unknown (the command line takes it from the data).
        directed: Whether (a, b) and (b, a) are different links (the command line takes it from the data).
        convolution: gcn | gat | gatv2 | sage | gin | transformer, see :class:`nnzoo.nets.gnn.GraphEncoder`.
        hidden: Width of each layer before the embeddings, all heads together.
        latent_dim: Entries of an embedding.
        heads: Attention heads of a layer.
        out_heads: Attention heads of the layer that gives the embeddings, averaged.
        norm: none | batch | layer | graph.
        activation: relu | leaky_relu | elu | silu | gelu | tanh.
        dropout: Share of the features before each layer that are set to 0 in training.
        attention_dropout: Share of the attention coefficients.
        residual: Add each layer's input to its output where they have the same width.
        variational: Whether embeddings are drawn in training, from a normal distribution for each node.
        beta: Factor on the KL.
        decoder: inner_product | mlp.
        decoder_hidden: Width of each layer of the mlp.
        label_weight: Factor on the cross-entropy of the nodes' classes; 0 for links alone.
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.

    Raises:
        InputError: If a value is out of range, or the decoder cannot tell directions that the data have.
    """

    best_by: ClassVar[tuple[str, str]] = ("val/auroc", "max")
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        **dict.fromkeys(("heads", "out_heads", "attention_dropout"), ("convolution", ATTENDING)),
        "beta": ("variational", [True]),
        "decoder_hidden": ("decoder", ["mlp"]),
    }

    def __init__(
        self,
        *,
        num_features: int = 16,
        num_edge_features: int = 0,
        num_classes: int = 0,
        directed: bool = False,
        convolution: ConvolutionName = "gcn",
        hidden: Sequence[int] = (32,),
        latent_dim: int = 16,
        heads: int = 1,
        out_heads: int = 1,
        norm: Norm = "none",
        activation: Activation = "relu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        residual: bool = False,
        variational: bool = False,
        beta: float = 1.0,
        decoder: DecoderName = "inner_product",
        decoder_hidden: Sequence[int] = (32,),
        label_weight: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.encoder = self.build_encoder()
        self.decoder = self.build_decoder()
        self.labeller = torch.nn.Linear(latent_dim, num_classes) if label_weight else None
        terms = ["loss", "reconstruction", *(["kl"] if variational else []), *(["label_loss"] if label_weight else [])]
        self.means = StageMeans(dict.fromkeys(STAGES, terms))
        self.metrics = PerStage(self.build_metrics)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(**{name: hparams[name] for name in ("num_features", "hidden", "latent_dim", "decoder_hidden")})
        for name in ("dropout", "attention_dropout"):
            if not 0 <= hparams[name] < 1:
                raise InputError(f"{name} is a share, from 0 to below 1, got {hparams[name]}: set --model.{name}.")
        for name in ("beta", "label_weight"):
            if hparams[name] < 0:
                raise InputError(f"{name} must not be negative, got {hparams[name]}: set --model.{name}.")
        if hparams["directed"] and hparams["decoder"] == "inner_product":
            raise InputError(
                "An inner product scores (a, b) as (b, a), and the graph is directed: set --model.decoder mlp, or "
                "--data.directed false."
            )
        if hparams["label_weight"] and hparams["num_classes"] < 2:
            raise InputError(
                "label_weight needs classes of nodes: name their column, --data.target COLUMN of --data.nodes, or set "
                "--model.label_weight 0."
            )

    def setup(self, stage: str) -> None:
        """Warns of what the data know and the convolution does not see or takes much memory for."""
        super().setup(stage)
        if stage == "fit":
            warn_of_data(self, datamodule_of(self.trainer))

    def build_encoder(self) -> GraphEncoder:
        """Layers to embeddings, or with ``variational`` to their means and log-variances; override it for others."""
        hparams = self.hparams
        names = (
            "hidden", "convolution", "heads", "out_heads", "norm", "activation", "dropout", "attention_dropout",
            "residual",
        )  # fmt: skip
        sizes = {"out_features": (1 + hparams["variational"]) * hparams["latent_dim"]}
        sizes["edge_features"] = hparams["num_edge_features"]
        return GraphEncoder(hparams["num_features"], **sizes, **{name: hparams[name] for name in names})

    def build_decoder(self) -> Decoder:
        """What scores pairs of embeddings; override it for another."""
        hparams = self.hparams
        return build_decoder(hparams["decoder"], hparams["latent_dim"], hparams["decoder_hidden"], hparams["directed"])

    def build_metrics(self, stage: str) -> MetricCollection:
        """The areas under both curves in validation and test; accuracy where classes are told."""
        areas = {"auroc": BinaryAUROC(), "average_precision": BinaryAveragePrecision()} if stage != "train" else {}
        return MetricCollection({**areas, **self._accuracy()}, prefix=f"{stage}/")

    def _accuracy(self) -> dict[str, MulticlassAccuracy]:
        classes = self.hparams["num_classes"]
        return {"accuracy": MulticlassAccuracy(classes, average="micro")} if self.hparams["label_weight"] else {}

    def posterior(self, batch: Data) -> tuple[Tensor, Tensor | None]:
        """Embeddings (N, L) of all nodes, or their means, and the log-variances of these if ``variational``."""
        outputs = at_least_float32(self.encoder(batch.x, batch.edge_index, batch.edge_attr, batch.edge_weight))
        if not self.hparams["variational"]:
            return outputs, None
        mean, log_var = outputs.chunk(2, dim=1)
        return mean, log_var.clamp(*LOG_VAR_RANGE)

    @torch.no_grad()
    def embed(self, batch: Data) -> Tensor:
        """Embeddings (N, L) of all nodes: the means if ``variational``."""
        return self.posterior(batch)[0]

    def scores(self, codes: Tensor, pairs: Tensor) -> Tensor:
        """Log-odds (B,) of links between pairs (2, B) of embedded nodes."""
        return at_least_float32(self.decoder(codes[pairs[0]], codes[pairs[1]]))

    def training_step(self, batch: Data, batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        mean, log_var = self._posterior_of_checked(batch, batch_idx)
        codes = mean if log_var is None else reparameterize(mean, log_var, 1)[0]
        return self._measure("train", batch, codes, mean, log_var)

    def validation_step(self, batch: Data, batch_idx: int) -> None:
        """Measures loss and metrics."""
        self._evaluate("val", batch, batch_idx)

    def test_step(self, batch: Data, batch_idx: int) -> None:
        """Measures loss and metrics, and what groups the embeddings have."""
        mean = self._evaluate("test", batch, batch_idx)
        known = batch.y >= 0
        if self.labeller is not None:  # which has seen the classes of the others, and so have the embeddings
            known &= batch.labelled
        if batch_idx == 0 and len(batch.y[known].unique()) > 1:
            found = cluster_scores(mean[known].cpu().numpy(), batch.y[known].cpu().numpy())
            self.log_dict({f"test/{name}": value for name, value in found.items()}, batch_size=1)

    def _evaluate(self, stage: str, batch: Data, batch_idx: int) -> Tensor:
        mean, log_var = self._posterior_of_checked(batch, batch_idx)
        self._measure(stage, batch, mean, mean, log_var)
        if "unlinked" in batch:
            scores = torch.cat([self.scores(mean, batch.pairs), self.scores(mean, batch.unlinked)]).double()
            # In order and in (0, 1), where torchmetrics would take a sigmoid, in which all above 17 are the same.
            shares = (1 + scores / (1 + scores.abs())) / 2
            linked = torch.arange(len(scores), device=scores.device) < batch.pairs.shape[1]
            for name in ("auroc", "average_precision"):
                self.metrics[stage][name].update(shares, linked.long())
        return mean

    def _posterior_of_checked(self, batch: Data, batch_idx: int) -> tuple[Tensor, Tensor | None]:
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            check_graph(self, batch)
            check_pairs(batch)
        return self.posterior(batch)

    def _measure(self, stage: str, batch: Data, codes: Tensor, mean: Tensor, log_var: Tensor | None) -> Tensor:
        """The mean loss of a batch, measured with its terms."""
        if "pairs" in batch:
            losses = sampled_loss(self.scores(codes, batch.pairs), self.scores(codes, batch.unlinked))
        else:
            losses = all_pairs_loss(self.decoder, codes, batch.starts, batch.ones)
        terms = {"reconstruction": losses}
        if log_var is not None:
            terms["kl"] = graph_kl(mean, log_var).expand_as(losses)
            losses = losses + self.hparams["beta"] * terms["kl"]
        if self.labeller is not None:
            logits, labels = at_least_float32(self.labeller(codes[batch.labelled])), batch.y[batch.labelled]
            terms["label_loss"] = F.cross_entropy(logits, labels).expand_as(losses)
            losses = losses + self.hparams["label_weight"] * terms["label_loss"]
            self.metrics[stage]["accuracy"].update(logits.detach(), labels)
        self.means.update(stage, {"loss": losses, **terms})
        return losses.mean()

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss and the metrics."""
        super().log_stage(stage)
        measured = {name: metric for name, metric in self.metrics[stage].items() if metric.update_called}
        self.log_dict(measured)

    def forward(self, batch: Data) -> Tensor:
        """Probabilities of a link (B,) for the ``pairs`` (2, B) of a batch, were half of such pairs linked."""
        return self.scores(self.posterior(batch)[0], batch.pairs).sigmoid()

    def predict_step(self, batch: Data, batch_idx: int) -> Any:
        """Probabilities (B,) of the pairs of a batch; without pairs the ``num_links`` strongest missing links.

        These are a tensor (K, 3) in float64: the numbers of both nodes and the probability, the highest first.
        """
        if "pairs" in batch:
            check_pairs(batch)
            return self(batch)
        codes, directed = self.embed(batch), self.hparams["directed"]
        pairs, scores = strongest(self.decoder, codes, batch.starts, batch.edge_index, batch.num_links, directed)
        return torch.cat([pairs.T.double(), scores.double().sigmoid()[:, None]], dim=1)

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The score of each pair, or the missing links by the ids of their nodes; see :meth:`forward` for scores."""
        found = torch.cat(list(predictions))
        if found.dim() == 1:
            return {"score": found.numpy()}
        found = found[found[:, 2].argsort(descending=True, stable=True)]
        ids = facts.get("node_ids") or range(int(found[:, :2].max()) + 1)
        ends = [[ids[number] for number in column.long().tolist()] for column in found[:, :2].T]
        return {"from": ends[0], "to": ends[1], "score": found[:, 2].numpy()}

    def figures(self, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Scores of held-out pairs, embeddings, and the strongest missing links in a part of the graph."""
        return link_figures(self, batch, facts)
