"""What test_cuda runs under numba's simulator of a GPU, in a process of its own: `python simulated.py NAME [ARGUMENT]`.

Each function gives what went wrong, as lines; the process prints them.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import numpy as np
from cases import CASES, Net, frames
from test_backends import _numbers
from test_hops import FRAMES, RHYTHMS, frames_of, model_of

import edgernn
from edgernn.kernels.contract import COMBINES, MAPS
from edgernn.layers import Combine, Constant, Map, Reshape, Softmax
from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.quantiser import quantise
from edgernn.stream import Pool, Stream

LARGEST = 3000  # parameters: the simulator is slow


def same(answer: Array, expected: Array) -> bool:
    """The same bits; a NaN is a NaN."""
    return (
        bool(np.array_equal(answer, expected, equal_nan=True))
        and not ((answer == 0) & (np.signbit(answer) != np.signbit(expected))).any()
    )


def cases(number_format: str) -> Iterator[str]:
    """The table of models: two streams, each with frames of its own, two frames in one launch."""
    for name, make in CASES.items():
        model = quantise(make(), number_format)
        if model.parameters > LARGEST:
            continue
        x = np.stack([frames(model, 2, seed=n) for n in range(2)], axis=1)
        answers = named(model, model.pool(2, device="cuda").run(x))
        for n in range(2):
            for port, expected in named(model, model.stream().run(x[:, n])).items():
                answer = answers[port][:, n]
                good = np.abs(answer - expected).max() < 1e-5 if number_format == "none" else same(answer, expected)
                if not good:
                    yield f"{name} as {number_format}, {port}, stream {n}: {np.abs(answer - expected).max()}"


def named(model: Model, answers: Array | dict[str, Array]) -> dict[str, Array]:
    """The answers by output, also where there is one."""
    return answers if isinstance(answers, dict) else {model.outputs[0].name: answers}


def functions() -> Iterator[str]:
    """Every function and operation, on numbers of all sizes."""
    x = _numbers()[::7]
    for function in MAPS:
        values = x[np.abs(x) < 8192] if function in ("sin", "cos") else x
        net = Net(len(values))
        yield from _compared(function, net.model(y=(net.add(Map(function, 0.75, 0.25), "x"), len(values))), values)
    for operation in COMBINES:
        net = Net(len(x))
        added = net.add(Combine(operation), "x", net.add(Constant(np.roll(x, 7))))
        yield from _compared(operation, net.model(y=(added, len(x))), x)


def streams() -> Iterator[str]:
    """One stream alone: steps and runs, a hop and a window, saved, copied and refused like any other."""
    for hop, window in RHYTHMS:
        model, x = quantise(model_of(hop, window)), frames_of(False)
        stream, single = model.stream(device="cuda"), model.stream()
        if not same(stream.run(x[:9]), single.run(x[:9])) or stream.save_state() != single.save_state():
            yield f"hop {hop}, window {window}: a run"
        twin, broken = stream.fork(), x[9:].copy()
        broken[3, 1] = np.inf
        try:
            stream.run(broken)
            yield "an infinity was taken"
        except edgernn.BadInput as error:
            if "frame 3, element 1 is inf" not in str(error):
                yield str(error)
        for frame in x[9:15]:
            answer, expected, also = stream.step(frame), single.step(frame), twin.step(frame)
            if (answer is None) != (expected is None) or (answer is not None and not same(answer, expected)):
                yield f"hop {hop}, window {window}: a step"
            if answer is not None and not same(also, answer):
                yield f"hop {hop}, window {window}: a step of the copy"


def rows() -> Iterator[str]:
    """Softmax of rows, whose sums have an order."""
    for size in (1, 15, 16, 17, 50):
        x = np.random.default_rng(size).standard_normal(3 * size).astype(np.float32)
        for log in (False, True):
            net = Net(3 * size)
            made = net.add(Softmax(log=log), net.add(Reshape((3, size)), "x"))
            yield from _compared(f"softmax of {size}", net.model(y=(made, 3 * size)), x)


def _compared(name: str, model: Model, x: Array) -> Iterator[str]:
    answer, expected = model.pool(1, device="cuda").step(x[None])[0], model.stream().step(x)
    if not same(answer, expected):
        at = np.flatnonzero(~((answer == expected) | (np.isnan(answer) & np.isnan(expected))))
        yield f"{name}: {[(x[i], answer[i], expected[i]) for i in at[:3]]}"


def pools() -> Iterator[str]:
    """Streams that tick at different times, with a hop and a window, tokens and numbers."""
    rng = np.random.default_rng(0)
    for hop, window in RHYTHMS:
        for tokens in (False, True):
            model = quantise(model_of(hop, window, tokens))
            pool, singles = model.pool(6, device="cuda"), [model.stream() for _ in range(6)]
            x = frames_of(tokens)
            for _ in range(6):
                active = np.flatnonzero(rng.random(6) < 0.6)
                frame = x[rng.integers(0, FRAMES, 6)]
                answers = pool.step(frame, active=active)
                for n in range(6):
                    expected = singles[n].step(frame[n]) if n in active else None
                    due = bool(pool.answered[n])
                    if due != (expected is not None) or (due and not same(answers[n], expected)):
                        yield f"hop {hop}, window {window}: stream {n} of {active}: {answers[n]}, not {expected}"
            together = x[rng.integers(0, FRAMES, (7, 6))]
            answers = pool.run(together)
            for n in range(6):
                if not same(answers[: pool.answered[n], n], singles[n].run(together[:, n])):
                    yield f"hop {hop}, window {window}: a run of stream {n}"


def states() -> Iterator[str]:
    """What a stream carries goes from the GPU to the CPU and back; a reset and a bad number touch one stream only."""
    model = quantise(CASES["GRU-16-16"]())
    x = np.stack([frames(model, 6, seed=n) for n in range(5)], axis=1)
    pool, singles = model.pool(5, device="cuda"), [model.stream() for _ in range(5)]
    pool.run(x[:2])
    for n in range(5):
        singles[n].run(x[:2, n])
    if [pool.save_state(n) for n in range(5)] != [stream.save_state() for stream in singles]:
        yield "saved states differ"
    pool.load_state(3, singles[0].save_state())
    singles[3].load_state(singles[0].save_state())
    pool.reset(1)
    singles[1].reset()
    broken = x[2:4].copy()
    broken[1, 2, 0] = np.nan
    try:
        pool.run(broken)
        yield "a NaN was taken"
    except edgernn.RefusedStreams as error:
        if list(error.reasons) != [2]:
            yield f"refused: {error.reasons}"
        answers = error.answers
    for n in (0, 1, 3, 4):
        if not same(answers[:, n], singles[n].run(x[2:4, n])):
            yield f"stream {n} after another was refused"
    answers = pool.run(x[4:])
    for n in range(5):
        if not same(answers[:, n], singles[n].run(x[4:, n])):
            yield f"stream {n} at the end"


def there() -> Iterator[str]:
    """Arrays that are on the GPU already, of some streams, with a bad number, and of no frames; calls of many sizes."""
    from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray

    from edgernn.kernels.cuda.device import Arenas

    class Given(FakeCUDAArray):  # type: ignore[misc]
        __cuda_array_interface__ = None

    Arenas.seen = staticmethod(lambda array: array)  # the simulator has no other
    model = quantise(CASES["GRU-16-16"]())
    x = np.stack([frames(model, 9, seed=n) for n in range(5)], axis=1)
    pool, singles = model.pool(5, device="cuda"), [model.stream() for _ in range(5)]
    if pool.run(Given(x[:0])).shape != (0, 5, model.outputs[0].size) or len(pool.run(x[:0])):
        yield "no frames"
    answers = pool.step(Given(x[0].copy()), active=[1, 4]).copy_to_host()
    for n in range(5):
        if not (same(answers[n], singles[n].step(x[0, n])) if n in (1, 4) else np.isnan(answers[n]).all()):
            yield f"a step of stream {n}"
    for n in (0, 2, 3):
        pool.reset(n)
        singles[n].reset()
    broken = x[1:4].copy()
    broken[1, 2, 0] = np.inf
    try:
        pool.run(Given(broken))
        yield "an infinity was taken"
    except edgernn.RefusedStreams as error:
        answers = error.answers.copy_to_host()
    for n in range(5):
        expected = singles[n].run(x[1:4, n]) if n != 2 else np.full(answers[:, n].shape, np.nan)
        if not same(answers[:, n], expected):
            yield f"stream {n}, where another is refused"
    yield from sizes(pool, singles, [x[4:5], x[5:9], x[:2]])


def sizes(pool: Pool, singles: list[Stream], parts: list[Array]) -> Iterator[str]:
    """Calls of many sizes: the answers to one are its own, and are not touched by the next."""
    for part in parts:
        answers = pool.run(part)
        kept = answers.copy()
        for n in range(5):
            if not same(answers[:, n], singles[n].run(part[:, n])):
                yield f"stream {n}, {len(part)} frames"
        pool.run(part[:, ::-1])
        if not same(answers, kept):
            yield "answers changed after the call"
        for n in range(5):
            singles[n].run(part[:, ::-1][:, n])


def vocabulary() -> Iterator[str]:
    """Tokens beyond 32 bits are refused, not wrapped."""
    model = CASES["tokens"]()
    pool, port = model.pool(2, device="cuda"), model.inputs[0]
    for token in (2**32 + port.low, -(2**32), 2**63 - 1, port.high + 1):
        try:
            pool.step(np.array([[port.low], [token]]))
            yield f"token {token} was taken"
        except edgernn.RefusedStreams as error:
            if list(error.reasons) != [1]:
                yield str(error)


CHECKS = {
    "cases": cases,
    "functions": functions,
    "rows": rows,
    "streams": streams,
    "pools": pools,
    "states": states,
    "there": there,
    "vocabulary": vocabulary,
}


def main() -> None:
    """Run the function that the command line names."""
    warnings.simplefilter("ignore")  # integers that wrap, as they are meant to
    name, *arguments = sys.argv[1:]
    for line in CHECKS[name](*arguments):
        print(line)


if __name__ == "__main__":
    main()
