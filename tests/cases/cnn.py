"""The image classifier in the tests over all families."""

from support.case import AUGMENTED, Case
from support.user_files import write_images

cnn = Case(
    # Batch norm sees its own device's samples.
    noiseless=["--model.norm", "none", "--model.dropout", "0", *AUGMENTED],
    small={"channels": (8,), "convs_per_stage": 1},
    other_values={
        "depth": [8, 10],
        "torchvision_name": ["mobilenet_v3_small"],
        "channels": [[4, 8]],
        "kernel_size": [5],
    },
    apart={"pretrained"},
    files=write_images,
    trained_on=["--data.dataset", "folder", "--data.root", "my_images", "--data.image_size", "32"],
)
