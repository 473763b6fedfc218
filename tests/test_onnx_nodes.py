"""The node tests that come with the onnx package, for every operator that has a rule: as layers of a stream.

A node works within one frame, which holds all inputs that are no weights, one after the other; beside it a state counts
frames, since a stream needs one. A recurrent node runs over its own time axis, each sequence of the batch by itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_cases import GATES, node, on_gru

from edgernn import importer
from edgernn.errors import BadInput, UnsupportedModel
from edgernn.importer.file.read import ADOPTED
from edgernn.layers.operators import RULES
from edgernn.stream import Stream

Array = np.ndarray
# Inputs that must be constants in a stream: weights, shapes, axes, bounds. operator -> their places
CONSTANTS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("CastLike", "Expand", "Gather", "Gemm", "MatMul", "RMSNormalization", "Reshape"), (1,)),
    **dict.fromkeys(("Split", "Squeeze", "Tile", "Unsqueeze", *(n for n in RULES if n.startswith("Reduce"))), (1,)),
    **dict.fromkeys(("Conv", "ConvTranspose", "Dropout", "GroupNormalization", "InstanceNormalization"), (1, 2)),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), (1, 2, 3)),
    **dict.fromkeys(("DequantizeLinear", "QuantizeLinear"), (1, 2)),
    **dict.fromkeys(("CumSum", "GatherElements", "GatherND", "Scatter", "ScatterElements", "ScatterND"), (1,)),
    "DFT": (1, 2),
    "OneHot": (1, 2),
    "Trilu": (1,),
    "STFT": (1, 2, 3),
    "BatchNormalization": (1, 2, 3, 4),
    "LayerNormalization": (1, 2),
    "Pad": (1, 2, 3),
    "Resize": (1, 2, 3),
    "Upsample": (1,),
    "ReverseSequence": (1,),
    "Slice": (1, 2, 3, 4),
}
# Operators of which a stream gives the first output only
FIRST_OUTPUT = ("Dropout", "LayerNormalization", "MaxPool")
# What is refused: tests, and after a blank the inputs that are constants -> what the refusal says
REFUSED = {
    "test_cast*_*FLOAT8*": "a type that does not exist in a stream",
    "test_cast*_*FLOAT4*": "a type that does not exist in a stream",
    "test_cast*_*INT4*": "a type that does not exist in a stream",
    "test_cast*_*INT2*": "a type that does not exist in a stream",
    "test_training_dropout*": "training_mode is on",
    "test_batchnorm_*_training_mode*": "training_mode=1",
    "test_einsum_batch_diagonal*": "is not supported for shapes",
    "test_resize_*cubic*antialias*": "antialias=1",
    "test_resize_*antialias*": "antialias=1",
    "test_resize_*cubic*": "mode=cubic is not supported",
    "test_resize_*not_[ls]*": "keep_aspect_ratio_policy=not_",
    "test_resize_*half_pixel_symmetric*": "coordinate_transformation_mode=half_pixel_symmetric",
    "test_resize_tf_crop*": "coordinate_transformation_mode=tf_crop_and_resize",
    "test_resize_downsample_scales_linear_align_corners*": "scales 2 entries 0.6 times",
    "test_mod_*fmod_0*": "fmod=0 is defined for integers only",
    "test_mod_mixed_sign_int*": "fmod=0 is defined for integers only",
    "test_mod_uint*": "fmod=0 is defined for integers only",
    "test_mod_broadcast*": "fmod=0 is defined for integers only",
    "test_pow_types_int*_float32": "to a power that may be none",
    "test_pow_types_int*_float32 x": "to a power that may be none",
    "test_*quantizelinear_blocked*": "block_size=",
    "test_quantizelinear_*e[2-5]m*": "quantises to float",
    "test_quantizelinear_*int[24]*": "quantises to ",
    "test_dequantizelinear_*e[2-5]m*": "a type that does not exist in a stream",
    "test_dequantizelinear_*int[24]*": "a type that does not exist in a stream",
    "test_top_k*": "picks the largest of several numbers",
    "test_*_reverse": "direction=reverse",
    "test_*_bidirectional": "direction=bidirectional",
}
# What is left out: tests -> why
LEFT_OUT = {
    "test_equal_string*": "a frame holds numbers",
    "test_identity_opt": "a frame holds numbers",
    "test_identity_sequence": "a frame holds numbers",
    "test_dynamicquantizelinear*": "a product of it does without the rounding: see test_quantised_files",
    "test_*_empty_set*": "its input holds nothing",
    "test_tri[ul]_zero": "its input holds nothing",
    "test_reshape_allowzero_reordered": "its input holds nothing",
    "test_split_zero_size_splits*": "its input holds nothing",
}
# test_quantised_files and test_fused_files compare these with ONNX Runtime
ELSEWHERE = {"DynamicQuantizeLinear", "SimplifiedLayerNormalization", *ADOPTED} - {"Gelu"}
LIMIT = {TensorProto.FLOAT16: 2e-3, TensorProto.BFLOAT16: 1e-2}  # of the expected answers' type
FLOAT_LIMIT = 1e-4  # one test's expected answers are written with four digits


@dataclass(frozen=True)
class Trial:
    """A graph, the frames that it is fed and its last answers by output; `state` as `importer.read` takes it."""

    label: str  # the test, and which inputs are constants
    model: onnx.ModelProto
    frames: Array  # (T, size)
    expected: Mapping[str, Array]  # (rows, size)
    limits: Mapping[str, float]
    state: Mapping[str, str]


@cache
def everything() -> dict[str, Any]:
    """All tests by name."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in collect_testcases(None)}


@cache
def shipped() -> dict[str, list[Any]]:
    """The tests of each operator that has a rule, and those that write its node out in others that have one."""
    found: dict[str, list[Any]] = {name: [] for name in RULES}
    known = RULES.keys() | {"Constant", "ConstantOfShape", "Range", "Shape", "Size"}
    for name, case in everything().items():
        operator = everything()[base_name(name)].model.graph.node[0]
        claimed = operator.op_type in RULES and not operator.domain
        kinds = {made.op_type for made in case.model.graph.node}
        if claimed and kinds <= known and not reason(LEFT_OUT, base_name(name)):
            found[operator.op_type].append(case)
    return found


def base_name(name: str) -> str:
    """The test of the node that a test writes out in other nodes; else the test itself."""
    return name.split("_expanded")[0]


def reason(table: Mapping[str, str], label: str) -> str:
    """What a table says about a trial; nothing where that is nothing."""
    return next((text for pattern, text in table.items() if fnmatch(label, pattern)), "")


def array_of(value: Any) -> Array:
    """The numbers of an input or output of a test."""
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def within_a_frame(case: Any, operator: str, places: tuple[int, ...]) -> Trial:
    """The graph of a test on pieces of one frame; `places`: the inputs that are constants."""
    graph, (inputs, outputs) = case.model.graph, case.data_sets[0]
    nodes, constants, pieces = [node("Add", "count one", "counted")], {"one": np.ones(1, np.float32)}, [np.zeros(0)]
    for place, (given, value) in enumerate(zip(graph.input, inputs, strict=True)):
        x = array_of(value)
        if place in places:
            constants[given.name] = x
            continue
        start, kind = sum(piece.size for piece in pieces), given.type.tensor_type.elem_type
        constants[f"{given.name}_places"] = np.arange(start, start + x.size).reshape(x.shape)
        nodes.append(node("Gather", f"frame {given.name}_places", f"{given.name}_float"))
        nodes.append(node("Cast", f"{given.name}_float", given.name, to=kind))
        pieces.append(x.astype(np.float32).reshape(-1))
    nodes.extend(graph.node)
    expected, limits = {}, {}
    for given, value in list(zip(graph.output, outputs, strict=True))[: 1 if operator in FIRST_OUTPUT else None]:
        nodes.append(node("Cast", given.name, f"{given.name}_answer", to=TensorProto.FLOAT))
        expected[f"{given.name}_answer"] = array_of(value).astype(np.float32).reshape(1, -1)
        limits[f"{given.name}_answer"] = LIMIT.get(given.type.tensor_type.elem_type, FLOAT_LIMIT)
    frames = np.concatenate(pieces).astype(np.float32)[None]
    model = whole(case, nodes, {"frame": frames.shape[1:], "count": (1,)}, ["counted", *expected], constants)
    held = [given.name for place, given in enumerate(graph.input) if place in places]
    label = " ".join([base_name(case.name), *held])
    return Trial(label, model, frames, expected, limits, {"count": "counted"})


def whole(
    case: Any, nodes: list[Any], inputs: Mapping[str, Any], outputs: list[str], constants: Mapping[str, Array]
) -> Any:
    """A model in the test's own opset, or in the oldest that is understood."""
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    described = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    opsets = [helper.make_opsetid(entry.domain, max(7, entry.version)) for entry in case.model.opset_import]
    graph = helper.make_graph(nodes, "graph", described, made, held)
    return helper.make_model(graph, opset_imports=opsets, ir_version=max(8, case.model.ir_version))


def over_time(case: Any) -> Iterator[Trial]:
    """A recurrent node for each sequence of its batch, with all inputs but X as constants."""
    (cell,), (inputs, outputs) = case.model.graph.node, case.data_sets[0]
    layout = next((helper.get_attribute_value(a) for a in cell.attribute if a.name == "layout"), 0)
    values = dict(zip(filter(None, cell.input), map(array_of, inputs), strict=True))
    answers = dict(zip(filter(None, cell.output), map(array_of, outputs), strict=True))
    batch = {"X": 1, "sequence_lens": 0, "initial_h": 1, "initial_c": 1, "Y": 2, "Y_h": 1, "Y_c": 1}
    for b in range(values["X"].shape[0 if layout else 1]):

        def only(name: str, x: Array, b: int = b) -> Array:
            return x.take([b], 0 if layout else batch[name]) if name in batch else x

        held = {name: only(name, x) for name, x in values.items()}
        x = held.pop("X")
        rows = {name: len(x.reshape(-1, x.shape[2])) if name == "Y" else 1 for name in answers}
        expected = {name: only(name, y).reshape(rows[name], -1) for name, y in answers.items()}
        model = whole(case, [cell], {"X": x.shape}, list(answers), held)
        yield Trial(case.name, model, x.reshape(-1, x.shape[2]), expected, dict.fromkeys(expected, FLOAT_LIMIT), {})


def trials(operator: str, case: Any) -> Iterator[Trial]:
    """What to run of a test: with every operand in the frame that can be there, and with each of them as a constant."""
    if operator in GATES:
        yield from over_time(case)
        return
    count = len(case.model.graph.input)
    for weights in ((1,), (0,)) if operator in ("Einsum", "Gemm", "MatMul") else (CONSTANTS.get(operator, ()),):
        free = [place for place in range(count) if place not in weights]
        for held in [(), *((place,) for place in free if len(free) > 1)] if free else []:
            yield within_a_frame(case, operator, (*weights, *held))


def wrong(trial: Trial) -> str:
    """What is wrong with the answers of the stream, or why there is none; empty where nothing is."""
    try:
        stream = Stream(importer.read(trial.model.SerializeToString(), state=trial.state))
    except UnsupportedModel as error:
        return str(error)
    if not np.isfinite(trial.frames).all():
        with pytest.raises(BadInput, match="all numbers must be finite"):
            stream.run(trial.frames)
        return ""
    made = stream.run(trial.frames)
    answers = made if isinstance(made, dict) else {stream.model.outputs[0].name: made}
    for name, wanted in trial.expected.items():
        try:
            limit = trial.limits[name]
            np.testing.assert_allclose(answers[name][-len(wanted) :], wanted, limit, limit)
        except AssertionError as error:
            return str(error)
    return ""


@pytest.mark.parametrize("operator", sorted(RULES))
def test_the_tests_of_an_operator_pass_or_are_refused_for_a_reason(operator: str) -> None:
    failed = {}
    for case in shipped()[operator]:
        for trial in trials(operator, case):
            text, refusal = wrong(trial), reason(REFUSED, trial.label)
            if (refusal not in text) if refusal else text:
                failed[f"{case.name}: {trial.label}"] = text or f"is not refused ({refusal})"
    assert not failed


@pytest.mark.parametrize("operator", FIRST_OUTPUT)
def test_other_outputs_are_refused(operator: str) -> None:
    plain = [case for case in shipped()[operator] if case.name == base_name(case.name)]
    trials = [
        within_a_frame(case, "", CONSTANTS.get(operator, ())) for case in plain if len(case.model.graph.output) > 1
    ]
    assert trials
    for trial in trials:
        assert "its output number 2 is not supported" in wrong(trial) or reason(REFUSED, trial.label)


@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"])
def test_what_cuts_to_whole_numbers_is_refused(operator: str) -> None:
    model = on_gru(node("Cast", "Y", "i", to=TensorProto.INT64), node(operator, "i", "r"), node("Cast", "r", "y", to=1))
    with pytest.raises(UnsupportedModel, match="cuts its result to whole numbers"):
        importer.read(model.SerializeToString())


def test_every_exception_is_about_something() -> None:
    run = {trial.label for operator, cases in shipped().items() for case in cases for trial in trials(operator, case)}
    assert all(any(fnmatch(label, pattern) for label in run) for pattern in REFUSED)
    assert all(any(fnmatch(name, pattern) for name in everything()) for pattern in LEFT_OUT)
    assert {operator for operator in RULES if not shipped()[operator]} == ELSEWHERE
