"""The public names and their modules: the one list of them."""

from .baselines.base import Baselines as Baselines
from .baselines.densities import LawBaselines as LawBaselines
from .baselines.graphs import NodeBaselines as NodeBaselines
from .baselines.images import DensityBaselines as DensityBaselines
from .baselines.images import HistogramBaselines as HistogramBaselines
from .baselines.images import ReconstructionBaselines as ReconstructionBaselines
from .baselines.links import LinkBaselines as LinkBaselines
from .baselines.prompts import PromptQuality as PromptQuality
from .baselines.sample_quality import SampleQuality as SampleQuality
from .baselines.sequences import SequenceBaselines as SequenceBaselines
from .baselines.series import ForecastBaselines as ForecastBaselines
from .baselines.strings import StringBaselines as StringBaselines
from .baselines.tables import SupervisedBaselines as SupervisedBaselines
from .callbacks.averaging import EMA as EMA
from .callbacks.finetuning import Finetuning as Finetuning
from .data.densities.module import DensityDataModule as DensityDataModule
from .data.graphs.link_module import LinkDataModule as LinkDataModule
from .data.graphs.module import GraphDataModule as GraphDataModule
from .data.images.captioned import CaptionedImageDataModule as CaptionedImageDataModule
from .data.images.module import ImageDataModule as ImageDataModule
from .data.sequences.module import SequenceDataModule as SequenceDataModule
from .data.series.module import ForecastDataModule as ForecastDataModule
from .data.strings.module import StringPairsDataModule as StringPairsDataModule
from .data.tables.module import TabularDataModule as TabularDataModule
from .errors import InputError as InputError
from .modules.autoencoder import Autoencoder as Autoencoder
from .modules.cnn import CNNClassifier as CNNClassifier
from .modules.ddpm import DDPM as DDPM
from .modules.ddpm_text import TextDDPM as TextDDPM
from .modules.forecaster import Forecaster as Forecaster
from .modules.gnn import NodeClassifier as NodeClassifier
from .modules.gnn import NodeRegressor as NodeRegressor
from .modules.gnn_links import LinkPredictor as LinkPredictor
from .modules.mlp import MLPClassifier as MLPClassifier
from .modules.mlp import MLPRegressor as MLPRegressor
from .modules.rnn import SequenceClassifier as SequenceClassifier
from .modules.rnn import SequenceRegressor as SequenceRegressor
from .modules.seq2seq import Seq2Seq as Seq2Seq
from .modules.sequence_generator import SequenceGenerator as SequenceGenerator
from .modules.tagger import SequenceTagger as SequenceTagger
from .modules.vae import VAE as VAE
from .modules.wgan_gp import WGANGP as WGANGP
from .run.cli import ZooCLI as ZooCLI

__version__: str
