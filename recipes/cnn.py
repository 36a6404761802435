"""Convolutional classifier of images: handwritten digits, MNIST, FashionMNIST, CIFAR-10, or a folder of your own.

python -m nnzoo.recipes.cnn
python -m nnzoo.recipes.cnn --config cnn_mnist
python -m nnzoo.recipes.cnn --config cnn_cifar10 --model.depth 56
python -m nnzoo.recipes.cnn --data.dataset folder --data.root photos --data.image_size 224 \
        --model.architecture torchvision --model.torchvision_name resnet18 --model.pretrained true --config finetune
"""

from nnzoo.cli import ZooCLI
from nnzoo.data.image import ImageDataModule
from nnzoo.errors import run_main
from nnzoo.modules.cnn import CNNClassifier


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return ZooCLI(CNNClassifier, ImageDataModule, recipe="cnn", args=args).metrics


if __name__ == "__main__":
    run_main(main)
