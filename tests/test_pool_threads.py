"""The threads of a pool: they share its work, pass on what goes wrong, and end with it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
from pool_cases import MODELS
from pool_cases import shared_however_little as shared_however_little

from edgernn.errors import BadInput, RefusedStreams
from edgernn.stream import helper, tiles
from edgernn.stream.helper import Helper


def test_one_thread_uses_a_pool_at_a_time() -> None:
    pool = MODELS["GRU-7-64-int8"]().pool(64)
    X, found = np.zeros((2000, 64, 7), np.float32), []
    started = threading.Event()

    def run() -> None:
        started.set()
        pool.run(X)

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    while thread.is_alive() and not found:
        try:
            pool.step(X[0])
        except BadInput as error:
            found.append(str(error))
    thread.join()
    assert found and "another thread uses this pool" in found[0]


def test_little_work_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "WORTH", 1 << 23)
    model, before = MODELS["GRU-7-64-int8"](), threading.active_count()
    pool = model.pool(8, threads=3)
    pool.step(np.ones((8, 7), np.float32))
    assert threading.active_count() == before
    pool.run(np.ones((100, 8, 7), np.float32))
    assert threading.active_count() == before + 2


def test_threads_end_with_their_pool() -> None:
    before = threading.enumerate()  # threads of other pools may still be about to end
    pool = MODELS["GRU-7-64-int8"]().pool(8, threads=3)
    pool.step(np.ones((8, 7)))
    one, two = [thread for thread in threading.enumerate() if thread not in before]
    assert one.name == two.name == "edgernn"
    del pool
    gc.collect()
    one.join(10)
    two.join(10)
    assert not one.is_alive() and not two.is_alive()


def test_a_helper_passes_on_what_goes_wrong() -> None:
    one = Helper()
    for _ in range(3):
        one.begin(int, "no number")
        with pytest.raises(ValueError, match="no number"):
            one.result()
        one.begin(divmod, 7, 2)
        assert one.result() == (3, 1)


def test_an_interrupt_anywhere_leaves_a_pool_as_usable_as_before() -> None:
    """Wherever in the sharing of a call it comes: no thread is left running, and no stream marked as refused."""
    model = MODELS["GRU-7-64-int8"]()
    X, bad = np.ones((24, 7), np.float32), np.ones((24, 7), np.float32)
    bad[9] = np.nan
    pool, whole = model.pool(24, threads=3), model.pool(24)
    expected, files = whole.step(X), {tiles.__file__, helper.__file__}
    for place in count():
        left = place

        def trace(frame: FrameType, event: str, argument: object) -> object:
            nonlocal left
            if frame.f_code.co_filename not in files:
                return None
            left -= event == "line"
            if left == -1 and event == "line":
                sys.settrace(None)
                raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            pool.step(bad)
        except KeyboardInterrupt:
            pass
        except RefusedStreams:
            break
        finally:
            sys.settrace(None)
        for stream in range(24):
            pool.reset(stream)
        np.testing.assert_equal(pool.step(X), expected)
    assert place > 20


def test_a_forked_child_has_threads_of_its_own() -> None:
    code = """
import os, sys
import numpy as np
from cases import SIZES
pool = SIZES["D"]().pool(256, threads=2)
X = np.ones((256, pool.plan.inputs[0].size), np.float32)
first = pool.step(X)
pid = os.fork()
second = pool.step(X)
if pid:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) or not np.isfinite(second).all())
os._exit(0)
"""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)])
    command = [sys.executable, "-W", "ignore", "-c", code]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True, timeout=60)


def test_more_threads_than_streams_are_not_made() -> None:
    model = MODELS["GRU-7-64-int8"]()
    X = np.ones((4, 7), np.float32)
    assert np.array_equal(model.pool(4, threads=10**9).step(X), model.pool(4).step(X))
