"""What glibc's allocator does with memory that is freed: a training step's is wanted again by the next step.

Left alone it gives large buffers back to the system, which at every step hands them out anew, page by page and filled
with zeros: thousands of page faults.
"""

import ctypes
import os

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Parameters of mallopt, as malloc.h numbers them."""
MIB = 2**20
LARGEST_ON_HEAP = (1024 * MIB, 32 * MIB)
"""Buffers up to that size are reused; older versions of glibc take no more than the second."""
TUNED_BY = ("MALLOC_", "GLIBC_TUNABLES")
"""How variables begin by which a user sets the allocator."""


def keep_freed_memory() -> bool:
    """Lets this process keep what it frees, up to 2 GiB at the end of its heap, until it ends.

    Does nothing where the allocator is not glibc's, or where the user has set it by a variable of the environment.

    Returns:
        Whether it was set.
    """
    if any(name.startswith(TUNED_BY) for name in os.environ):
        return False
    try:
        libc = ctypes.CDLL(None)
    except (OSError, TypeError):  # Windows has no such handle
        return False
    if not (hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "mallopt")):
        return False
    kept = libc.mallopt(TRIM_THRESHOLD, 2048 * MIB - 1) and libc.mallopt(TOP_PAD, 64 * MIB)
    return bool(kept and any(libc.mallopt(MMAP_THRESHOLD, size) for size in LARGEST_ON_HEAP))
