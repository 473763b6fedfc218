"""Between host and GPU: page-locked memory, which the GPU reads and writes by itself, kept from call to call.

Each buffer has a name, and is used once a call; a call ends when its stream of work has, so that none is overwritten
while it is on its way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray


class Staging:
    """The buffers of one pool, in words of 32 bits: they grow to what the largest call needs."""

    def __init__(self, stream: Any):
        self._stream = stream
        self._here: dict[str, NDArray[np.int32]] = {}
        self._there: dict[str, Any] = {}

    def here(self, name: str, words: int) -> NDArray[np.int32]:
        """(words,) on the host, with what was there before."""
        if name not in self._here or len(self._here[name]) < words:
            self._here[name] = cuda.pinned_array(max(words, 1), np.int32)
        return self._here[name][:words]

    def there(self, name: str, words: int) -> Any:
        """(max(words, 1),) on the GPU, with what was there before: kernels take no array without a place."""
        if name not in self._there or len(self._there[name]) < words:
            self._there[name] = cuda.device_array(max(words, 1), np.int32)
        return self._there[name][: max(words, 1)]

    def sent(self, name: str, words: int) -> Any:
        """What is `here` goes there."""
        array = self.there(name, words)
        if words:
            array.copy_to_device(self.here(name, words), stream=self._stream)
        return array

    def fetched(self, name: str, array: Any) -> NDArray[np.int32]:
        """An array of the GPU comes here; it is complete when the stream of work has been waited for."""
        words = self.here(name, array.size)
        array.copy_to_host(words, stream=self._stream)
        return words
