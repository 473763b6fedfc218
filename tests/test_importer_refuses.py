"""What the importer refuses: by node, attribute and reason, everything at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_cases import GRU, beside_a_cell, graph, node, on_gru
from surroundings import ints, number, some

from edgernn import importer
from edgernn.errors import UnsupportedModel

GRU_ON_X = node("GRU", "x W R B", "Y Y_h", hidden_size=5)


def loop() -> onnx.ModelProto:
    body = helper.make_graph([node("Identity", "c", "d")], "body", [], [])
    return on_gru(node("Loop", "n c Y", "y", body=body), constants={"n": np.array(3), "c": np.array(True)})


def rolled() -> onnx.ModelProto:
    """torch.roll(Y, 1, dims=0)."""
    made = [node("Shape", "Y", "n", start=0, end=1), node("Mod", "minus n", "m")]
    made += [node("Slice", "Y m n zero", "l"), node("Slice", "Y zero m zero", "r")]
    return on_gru(*made, node("Concat", "l r", "y", axis=0), constants={"minus": ints(-1), "zero": ints(0)})


REFUSED: dict[str, tuple[Callable[[], onnx.ModelProto], tuple[str, ...]]] = {
    "reverse": (
        lambda: on_gru(direction="reverse"),
        ("GRU 'GRU_Y'", "direction=reverse", "convert with window=N (--window N)"),
    ),
    "bidirectional": (lambda: on_gru(direction="bidirectional"), ("direction=bidirectional",)),
    "unknown activation": (lambda: on_gru(activations=["Tanh", "Wobble"]), ("activations=wobble", "softsign")),
    "one activation": (lambda: on_gru(activations=["Tanh"]), ("2 are needed",)),
    "missing alpha": (
        lambda: on_gru(activations=["Affine", "Tanh"]),
        ("activations=affine: its alpha is missing", "activation_alpha"),
    ),
    "unknown attribute": (lambda: on_gru(bogus=1), ("its attribute bogus=1 is not supported -> export without it",)),
    "hidden_size": (lambda: on_gru(hidden_size=7), ("hidden_size=7", "[1, 15, 5]")),
    "layout": (lambda: on_gru(layout=2), ("layout=2",)),
    "a transposed convolution whose strides are longer than its kernel": (
        lambda: beside_a_cell(
            [node("ConvTranspose", "x w", "y", strides=[2], auto_pad="SAME_UPPER")], ("T", 4, 5), {"w": some(4, 2, 1)}
        ),
        ("ConvTranspose 'ConvTranspose_y'", "auto_pad=SAME_UPPER", "pads"),
    ),
    "a dilated pool that pads itself": (
        lambda: beside_a_cell(
            [node("MaxPool", "x", "y", kernel_shape=[2], dilations=[2], auto_pad="SAME_UPPER")], ("T", 2, 5)
        ),
        ("MaxPool 'MaxPool_y'", "auto_pad=SAME_UPPER with dilations=[2]", "pads"),
    ),
    "a mean of nothing but padding": (
        lambda: beside_a_cell([node("AveragePool", "x", "y", kernel_shape=[2], pads=[2, 0])], ("T", 2, 5)),
        ("AveragePool 'AveragePool_y'", "see nothing but padding", "smaller pads"),
    ),
    "a pool of more than a frame": (
        lambda: beside_a_cell([node("MaxPool", "x", "y", kernel_shape=[9], pads=[10**7, 0])], ("T", 2, 5)),
        ("MaxPool 'MaxPool_y'", "sees 179,999,946 numbers in a frame"),
    ),
    "a projection": (
        lambda: graph(
            [node("LSTM", "x W R - - h c", "Y")],
            {"x": ("T", 1, 3)},
            ["Y"],
            {"W": some(1, 8, 3), "R": some(1, 8, 2), "h": some(1, 1, 2), "c": some(1, 1, 4)},
        ),
        ("LSTM 'LSTM_Y'", "states of 2 and 4 units", "proj_size"),
    ),
    "weights computed at run time": (
        lambda: graph([node("GRU", "x W R", "Y")], {"x": ("T", 1, 3), "W": (1, 15, 3)}, ["Y"], {"R": GRU["R"]}),
        ("input W is computed at run time",),
    ),
    "NaN": (lambda: on_gru(node("MatMul", "Y w", "y"), constants={"w": np.full((5, 2), np.nan, np.float32)}), ("NaN",)),
    "loop": (loop, ("Loop 'Loop_y'", "its body does not fit its inputs")),
    "if at run time": (
        lambda: on_gru(
            node("ReduceMax", "x", "m", axes=[1, 2], keepdims=0), node("Cast", "m", "b", to=9), node("If", "b", "y")
        ),
        ("its condition is known only at run time",),
    ),
    "unknown operator": (
        lambda: on_gru(node("Det", "Y", "y")),
        ("Det 'Det_y'", "not supported -> write it with other operators"),
    ),
    "unknown operators behind a refused one": (
        lambda: on_gru(
            node("Softmax", "Y", "a", axis=0),
            node("Det", "a", "b"),
            helper.make_node("FusedThing", ["b"], ["y"], domain="com.microsoft", name="f"),
        ),
        ("(3 problems)", "over the time axis", "Det 'Det_b'", "FusedThing 'f'"),
    ),
    "other domain": (
        lambda: on_gru(helper.make_node("FusedThing", ["Y"], ["y"], domain="com.microsoft", name="f")),
        ("FusedThing 'f'", "com.microsoft"),
    ),
    "softmax over time": (lambda: on_gru(node("Softmax", "Y", "y", axis=0)), ("over the time axis",)),
    "norm over time": (
        lambda: on_gru(node("LayerNormalization", "Y s", "y", axis=0), constants={"s": some(5)}),
        ("over the time axis",),
    ),
    "first step": (
        lambda: on_gru(node("Gather", "Y i", "y", axis=0), constants={"i": np.array(0)}),
        ("takes step [0]", "index -1"),
    ),
    "middle steps": (
        lambda: on_gru(node("Slice", "Y s e", "y"), constants={"s": ints(-5), "e": ints(-2)}),
        ("takes steps -5:-2:1", "or give the last few", "window=N"),
    ),
    "reversed": (
        lambda: on_gru(
            node("Slice", "Y s e a t", "y"), constants={"s": ints(-1), "e": ints(-(2**62)), "a": ints(0), "t": ints(-1)}
        ),
        ("takes steps",),
    ),
    "padded time": (
        lambda: on_gru(node("Pad", "Y p", "y", mode="wrap"), constants={"p": ints(2, 0, 0, 0, 0, 0, 0, 0)}),
        ("begins the sequence with its end", "pad with zeros"),
    ),
    "rolled": (
        lambda: on_gru(
            *(node("Slice", "Y last end", "l"), node("Slice", "Y zero last", "r"), node("Concat", "l r", "y", axis=0)),
            constants={"last": ints(-1), "zero": ints(0), "end": ints(2**62)},
        ),
        ("begins the sequence with its end", "begin with zeros", "window=N"),
    ),
    "rolled by PyTorch's dynamo exporter": (
        rolled,
        ("Mod 'Mod_m'", "remainder with T", "torch.roll", "window=N"),
    ),
    "concat over time": (lambda: on_gru(node("Concat", "Y Y", "y", axis=0)), ("joins pieces along time",)),
    "split time": (lambda: on_gru(node("Split", "Y", "y z", axis=0)), ("splits the time axis",)),
    "merged time": (
        lambda: on_gru(
            node("Transpose", "Y", "t", perm=[1, 2, 3, 0]), node("Reshape", "t s", "y"), constants={"s": ints(-1)}
        ),
        ("mixes the time axis with others",),
    ),
    "last step against all steps": (
        lambda: on_gru(node("Sub", "Y Y_h", "y")),
        ("last step of the sequence with every",),
    ),
    "matmul over time": (
        lambda: on_gru(
            node("Transpose", "Y", "t", perm=[1, 2, 3, 0]), node("MatMul", "t w", "y"), constants={"w": some(4, 2)}
        ),
        ("sums over the time axis",),
    ),
    "transposed conv over channels that are time": (
        lambda: beside_a_cell([node("ConvTranspose", "x w", "y")], (1, "T", 4), {"w": some(1, 2, 3)}),
        ("time where the channels are expected", "transpose"),
    ),
    "time stretched to its corners": (
        lambda: beside_a_cell(
            [node("Resize", "x - w", "y", mode="linear", coordinate_transformation_mode="align_corners")],
            (1, 4, "T"),
            {"w": [1.0, 1.0, 2.0]},
        ),
        ("stretches time 2 times, mode=linear", "window=N"),
    ),
    "time stretched by a fraction": (
        lambda: beside_a_cell([node("Resize", "x - w", "y")], (1, 4, "T"), {"w": [1.0, 1.0, 1.5]}),
        ("stretches time 1.5 times", "window=N"),
    ),
    "einsum over time": (
        lambda: beside_a_cell([node("Einsum", "x w", "y", equation="nct,ti->nci")], (1, 4, "T"), {"w": some(1, 3)}),
        ("equation=nct,ti->nci: sums over",),
    ),
    "attention": (
        lambda: on_gru(
            node("Transpose", "Y", "q", perm=[1, 2, 0, 3]),
            node("Transpose", "Y", "k", perm=[1, 2, 3, 0]),
            node("MatMul", "q k", "y"),
        ),
        ("multiplies two sequences over time", "window=N"),
    ),
    "position code": (
        lambda: on_gru(
            node("Shape", "Y", "s"),
            node("Gather", "s zero", "n"),
            node("Range", "zero n one", "p"),
            node("Cast", "p", "q", to=1),
            node("Add", "Y q", "y"),
            constants={"zero": np.array(0), "one": np.array(1)},
        ),
        ("numbers the steps along another axis",),
    ),
    "no recurrence": (
        lambda: graph([node("MatMul", "x w", "y")], {"x": (1, "T", 3)}, ["y"], {"w": some(3, 2)}),
        ("nothing is carried from frame to frame",),
    ),
    "old opset": (lambda: graph([GRU_ON_X], {"x": ("T", 1, 3)}, ["Y"], GRU, opset=6), ("opset 6 is older than 7",)),
    "new opset": (lambda: graph([GRU_ON_X], {"x": ("T", 1, 3)}, ["Y"], GRU, opset=99), ("opset 99 is newer",)),
    "computed start": (
        lambda: graph(
            [node("Tanh", "h", "t"), node("GRU", "x W R B - t", "Y hn")],
            {"x": ("T", 1, 3), "h": (1, 1, 5)},
            ["Y", "hn"],
            GRU,
        ),
        ("its initial state is computed in the graph",),
    ),
    "tokens by arithmetic": (
        lambda: graph(
            [
                node("Mul", "x two", "t"),
                node("Gather", "e t", "v"),
                node("Transpose", "v", "u", perm=[1, 0, 2]),
                node("GRU", "u W R B", "Y"),
            ],
            {"x": (1, "T")},
            ["Y"],
            GRU | {"e": some(9, 3), "two": np.array(2)},
            integers=["x"],
        ),
        ("computed at run time", "feed the token itself"),
    ),
    "constant bomb": (
        lambda: on_gru(
            node("ConstantOfShape", "n", "z"),
            node("ReduceSum", "z", "s", keepdims=0),
            node("Mul", "Y s", "y"),
            constants={"n": ints(2**20, 2**20)},
        ),
        ("that are left to this file",),
    ),
    "frame bomb": (
        lambda: on_gru(node("Tile", "Y n", "y"), constants={"n": ints(1, 2**15, 2**15, 1)}),
        ("a frame would grow",),
    ),
    "fmod": (lambda: on_gru(node("Mod", "Y n", "y"), constants={"n": number(2)}), ("fmod=0",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_graph_that_cannot_stream_is_refused_by_name(name: str) -> None:
    make, says = REFUSED[name]
    with pytest.raises(UnsupportedModel) as raised:
        importer.read(make().SerializeToString())
    message = str(raised.value)
    for text in says:
        assert text in message, message


def test_all_problems_come_at_once_and_each_root_once() -> None:
    model = on_gru(
        node("Det", "Y", "a"), node("Tanh", "a", "b"), node("Softmax", "Y", "c", axis=0), node("Add", "b c", "y")
    )
    with pytest.raises(UnsupportedModel) as raised:
        importer.read(model.SerializeToString())
    assert [problem.operator for problem in raised.value.problems] == ["Det", "Softmax"]


def test_a_sequence_is_no_step_graph_though_its_batch_is_fixed_within() -> None:
    """Of one frame the mean over time is the frame itself, so as a step graph it would run, and answer nothing."""
    nodes = [
        node("Reshape", "x keep", "r"),
        node("ReduceMean", "r", "m", axes=[1]),
        node("Sub", "r m", "c"),
        node("Transpose", "c", "t", perm=[1, 0, 2]),
        node("GRU", "t W R B", "Y Y_h", hidden_size=5),
    ]
    model = graph(nodes, {"x": ("batch", "T", 3)}, ["Y"], {**GRU, "keep": np.array([1, 0, 3])}, opset=13)
    (problem,) = importer.analyse(model.SerializeToString()).problems
    assert problem.node == "Sub_c" and "last step of the sequence" in problem.what


def test_a_list_where_one_number_belongs_is_refused() -> None:
    model = on_gru(helper.make_node("Pad", ["Y"], ["y"], name="it", pads=[0] * 8, value=["a"]))
    model.opset_import[0].version = 7  # ONNX's own description of Pad there has this attribute, the latest has not
    with pytest.raises(UnsupportedModel, match="Pad 'it': its attribute value is"):
        importer.read(model.SerializeToString())


def test_an_identity_of_much_is_refused_even_where_it_is_known() -> None:
    cell = helper.make_node("Identity", ["x", "W", "R"], ["y", "z"], name="it")
    model = graph([cell], {"x": ("T", 1, 3)}, ["y", "z"], GRU)
    with pytest.raises(UnsupportedModel):
        importer.read(model.SerializeToString(), constants={"x": 5})
