"""Streams and threads: any number of streams run side by side, and one is for one thread at a time."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
from cases import SIZES, frames
from test_hops import model_of

from edgernn.errors import BadInput
from edgernn.kernels.contract import ANSWER
from edgernn.layers.base import Array
from edgernn.stream import Stream


def test_streams_run_side_by_side_in_threads() -> None:
    model = SIZES["C"]()
    x = frames(model, 400)
    expected, answers = Stream(model).run(x), {}

    def work(n: int) -> None:
        answers[n] = Stream(model).run(x)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers.values():
        np.testing.assert_equal(answer, expected)


def test_one_stream_is_for_one_thread_at_a_time() -> None:
    model = SIZES["C"]()
    x = frames(model, 4000)
    stream, refused = Stream(model), []

    def disturb() -> None:
        while thread.is_alive():
            for call in (lambda: stream.step(x[0]), lambda: stream.run(x[:2]), stream.reset):
                try:
                    call()
                except BadInput as error:
                    refused.append(str(error))

    thread = threading.Thread(target=lambda: stream.run(x))
    thread.start()
    disturb()
    thread.join()
    assert refused and all("another thread" in text for text in refused)


def test_a_state_is_never_taken_in_the_middle_of_a_run() -> None:
    model = SIZES["C"]()
    x = frames(model, 4000)
    stream, taken, refused = Stream(model), [], []
    before = stream.save_state()
    thread = threading.Thread(target=lambda: stream.run(x))
    thread.start()
    while thread.is_alive():
        for take in (stream.save_state, lambda: stream.fork().save_state(), lambda: copy.copy(stream).save_state()):
            try:
                taken.append(take())
            except BadInput as error:
                refused.append(str(error))
    assert refused and all("another thread" in text for text in refused)
    assert set(taken) <= {before, stream.save_state()}


def test_another_thread_in_between_cannot_make_more_answers_than_there_is_room_for() -> None:
    """It takes a frame after it was settled how many answers are due, and before they are written."""
    stream = Stream(model_of(2, 2))
    library = stream._runner.library

    class Between:
        def __getattr__(self, name: str) -> object:
            return getattr(library, name)

        def run(self, control: Array, count: int, *arrays: Array) -> int:
            library.run(control, 1, np.zeros((1, 3), np.float32), np.zeros((1, 4), np.float32))
            status = library.run(control, count, *arrays)
            assert control[ANSWER] == 1 <= len(arrays[-1])
            return status

    stream._runner.library = Between()
    for out in (None, np.zeros((0, 4), np.float32)):
        stream.reset()
        with pytest.raises(BadInput, match="another thread"):
            stream.run(np.zeros((1, 3), np.float32), out)
