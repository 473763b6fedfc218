"""What the benchmark compares: each contender steps one model, one frame a call, keeping its state.

A contender is a pair (label, function): the function takes a chunk of frames (T, n_in) and steps through it.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgernn.layers.base import Array
from edgernn.layers.model import Model
from edgernn.quantiser import FORMATS, quantise
from edgernn.stream import Stream

Stepper = Callable[[Array], Any]


def edgernn_contenders(model: Model) -> dict[str, Stepper]:
    """step and run, float32 and int8."""
    found: dict[str, Stepper] = {}
    tokens = model.inputs[0].dtype == "int64"
    for name, variant in (("float", model), ("int8", quantise(model, "int8"))):
        step, run = Stream(variant).step, Stream(variant).run
        found[f"edgernn {name}, step"] = lambda frames, step=step: each(step, frames, tokens)
        found[f"edgernn {name}, run"] = run
    return found


def format_contenders(model: Model) -> dict[str, Stepper]:
    """`run` in every number format."""
    return {name: Stream(quantise(model, name)).run for name in FORMATS}


def each(step: Callable[[Any], Any], frames: Array, tokens: bool = False) -> None:
    """Call step with each frame."""
    for x in frames[:, 0].tolist() if tokens else frames:
        step(x)


def onnxruntime_contenders(graph: Any, model: Model) -> dict[str, Stepper]:
    """session.run and bound buffers, float32 and dynamically quantised int8. graph: the model as an ONNX step graph."""
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    found: dict[str, Stepper] = {}
    logging.disable(logging.WARNING)  # the quantiser has advice
    with tempfile.TemporaryDirectory() as folder:
        plain, int8 = (str(Path(folder) / name) for name in ("float.onnx", "int8.onnx"))
        onnx.save(graph, plain)
        quantize_dynamic(plain, int8)
        for name, path in (("float", plain), ("int8", int8)):
            found[f"ONNX Runtime {name}, session.run"] = _session_run(path, model)
            found[f"ONNX Runtime {name}, bound buffers"] = _bound_buffers(path, model)
    return found


def _session(path: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _session_run(path: str, model: Model) -> Stepper:
    session = _session(path)
    states = [i.name for i in session.get_inputs()[1:]]
    feed = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()[1:]}
    shape = (1, 1) if model.inputs[0].dtype == "int64" else (1, 1, model.inputs[0].size)

    def step(x: Array) -> None:
        feed["x"] = x.reshape(shape)
        _, *new = session.run(None, feed)
        feed.update(zip(states, new, strict=True))

    return lambda frames: each(step, frames)


def _bound_buffers(path: str, model: Model) -> Stepper:
    from onnxruntime import OrtValue

    session = _session(path)
    shape = (1, 1) if model.inputs[0].dtype == "int64" else (1, 1, model.inputs[0].size)
    x = np.zeros(shape, np.int64 if model.inputs[0].dtype == "int64" else np.float32)
    y = OrtValue.ortvalue_from_numpy(np.zeros((1, 1, model.outputs[0].size), np.float32))
    buffers = [
        (i.name, *(OrtValue.ortvalue_from_numpy(np.zeros(i.shape, np.float32)) for _ in range(2)))
        for i in session.get_inputs()[1:]
    ]
    bindings = []
    for turn in (0, 1):  # two bindings, so that the new state of one step is the old one of the next
        binding = session.io_binding()
        binding.bind_ortvalue_input("x", OrtValue.ortvalue_from_numpy(x))
        binding.bind_ortvalue_output("y", y)
        for name, a, b in buffers:
            old, new = (a, b) if turn == 0 else (b, a)
            binding.bind_ortvalue_input(name, old)
            binding.bind_ortvalue_output(name + ".new", new)
        bindings.append(binding)
    turn = 0

    def step(frame: Array) -> None:
        nonlocal turn
        x[:] = frame
        session.run_with_iobinding(bindings[turn])
        turn ^= 1

    return lambda frames: each(step, frames)


def litert_contenders(model: Model, size: str) -> dict[str, Stepper]:
    """LiteRT from Python, float32 and int8 weights. Raises FileNotFoundError where its files have not been made."""
    from ai_edge_litert.interpreter import Interpreter
    from litert_models import litert_file

    found: dict[str, Stepper] = {}
    for name in ("float", "int8"):
        path = litert_file(size, name)
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}: run tools/litert_models.py where TensorFlow is installed")
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        found[f"LiteRT {name}"] = _litert(interpreter, model)
    return found


def _litert(interpreter: Any, model: Model) -> Stepper:
    signature = interpreter.get_signature_runner()
    inputs, outputs = signature.get_input_details(), signature.get_output_details()
    x, y = inputs["x"]["index"], outputs["y0"]["index"]
    pairs = [(inputs[f"s{n}"]["index"], outputs[f"y{n + 1}"]["index"]) for n in range(len(model.states))]
    put, invoke, get = interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor

    def step(frame: Array) -> Array:
        put(x, frame)
        invoke()
        for old, new in pairs:
            put(old, get(new))
        answer: Array = get(y)
        return answer

    return lambda frames: each(step, frames.astype(inputs["x"]["dtype"]).reshape(len(frames), 1, -1))


def limit_module(folder: str) -> ModuleType:
    """The hand-written limit, from a folder that holds limit.py."""
    spec = importlib.util.spec_from_file_location("limit", Path(folder) / "limit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["limit"] = module
    spec.loader.exec_module(module)
    return module


def limit_contenders(limit: ModuleType, size: str) -> dict[str, Stepper]:
    """From Python through ctypes, float and int8; "in C++" times itself, see `limit_loop`."""
    found: dict[str, Stepper] = {}
    for name, int8 in (("float", False), ("int8", True)):
        net = limit.Limit(size, int8=int8)
        found[f"limit {name}, from Python"] = lambda frames, step=net.step: each(step, frames)
        found[f"limit {name}, in C++"] = lambda frames, loop=net.loop: loop(frames)
    return found
