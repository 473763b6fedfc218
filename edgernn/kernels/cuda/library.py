"""Whether there is a GPU that can be used, and what it takes to have one. Imports no compiler before it is asked."""

from __future__ import annotations

from typing import Any

from edgernn.errors import BackendUnavailable

REMEDY = 'it takes an NVIDIA GPU, its driver, and `pip install "edgernn[cuda]"`'


def load() -> Any:
    """The module `device`, with its kernels. Raises BackendUnavailable where there is no GPU, driver or numba.cuda."""
    try:
        from numba import cuda
    except ImportError:
        raise BackendUnavailable(f"device 'cuda' needs numba: {REMEDY}") from None
    if not cuda.is_available():
        try:
            cuda.detect()
        except Exception as error:  # its classes differ between the packages that provide numba.cuda
            why = " ".join(str(error).split())
            raise BackendUnavailable(f"device 'cuda' cannot be used ({why}): {REMEDY}") from None
        raise BackendUnavailable(f"device 'cuda': no GPU found; {REMEDY}")
    from edgernn.kernels.cuda import device

    return device
