"""Files of a user's own, as documented commands name them, that several families read."""

from pathlib import Path

import numpy as np

from support.image_files import noise, save


def write_steps() -> None:
    """steps.csv, sequences with a label each and a state at each step, and new_steps.csv."""
    speeds = np.random.default_rng(0).random((60, 6)).round(3)
    steps = [f"s{i},{t},{speeds[i, t]},{i % 2},{t % 2}\n" for i in range(60) for t in range(3 + i % 4)]
    Path("steps.csv").write_text("id,second,speed,label,state\n" + "".join(steps))
    new = [f"n{i // 3},{i % 3},0.5,1\n" for i in range(9)]
    Path("new_steps.csv").write_text("id,second,speed,state\n" + "".join(new))


def write_images() -> None:
    """my_images, images of mixed sizes in a folder per class, and new_images."""
    for number in range(40):
        save(Path("my_images", "ab"[number % 2], f"{number}.png"), noise(40 + number, 50, 3, seed=number))
    save(Path("new_images/1.jpg"), noise(40, 70, 3))
