"""Seeds made of several numbers."""

import functools

import numpy as np


@functools.lru_cache(maxsize=2**16)  # every validation asks for those of the same samples
def mix_seed(*numbers: int) -> int:
    """One 63-bit seed from several numbers, such as (seed, epoch, step)."""
    # With their count in front: NumPy takes (1, 2) and (1, 2, 0) for the same.
    entropy = [len(numbers), *(number % 2**64 for number in numbers)]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
