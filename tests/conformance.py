"""The table of the conformance suite: RNN, GRU and LSTM with every attribute, optional input, subset of outputs, opset.

In `CASES` every two options that can meet do, and in `BACKWARDS` they do in nodes that run against the sequence.
`FEATURES` has one option at a time, for the scoreboard, and `REFUSED` is what of that cannot stream; each case says
what its refusal must say.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import onnx
import oracle
from covering import covering
from onnx_cases import GATES, onnx_runtime
from recurrent_cases import HIDDEN, OUTPUTS, Case, Functions


def newest_opset() -> int:
    """The newest opset that the installed ONNX Runtime runs."""
    for opset in range(onnx.defs.onnx_opset_version(), 0, -1):
        case = Case("RNN", PLAIN | {"opset": opset})
        try:
            onnx_runtime(case.model(), case.feeds())
        except Exception:  # of a class that ONNX Runtime does not name in public
            continue
        return opset
    raise LookupError("ONNX Runtime runs no opset that the onnx package knows")


def each_function(kind: str) -> list[Functions]:
    """Each function once in each place of a node."""
    names, places = list(oracle.ACTIVATIONS), range(PLACES[kind])
    return [Functions(tuple(names[(i + 4 * place) % len(names)] for place in places)) for i in range(len(names))]


def defaults(kind: str) -> Functions:
    """Functions that have a default for each of their parameters."""
    return Functions(("LeakyRelu", "HardSigmoid", "Elu")[: PLACES[kind]], defaults=True)


def lower_case(kind: str) -> Functions:
    """Names that are not written as in the specification, which does not care."""
    return Functions(("softsign", "relu", "tanh")[: PLACES[kind]])


def subsets(kind: str) -> tuple[tuple[str, ...], ...]:
    """Every choice of one output or more."""
    names = OUTPUTS[kind]
    return tuple(itertools.chain(*(itertools.combinations(names, n) for n in range(1, len(names) + 1))))


LAYOUT_SINCE = 14
PLACES = {"RNN": 1, "GRU": 2, "LSTM": 3}  # functions of a node
PLAIN: dict[str, Any] = {
    "activations": None,
    "clip": None,
    "direction": None,
    "hidden_size": HIDDEN,
    "layout": None,
    "B": "constant",
    "sequence_lens": None,
    "initial_h": None,
    "outputs": ("Y", "Y_h"),
    "opset": 17,
    "time": "free",
}
OPSETS = (7, 9, 11, 13, 14, 17, 21, 22, newest_opset())
OPTIONS: dict[str, tuple[Any, ...]] = {
    "clip": (None, 0.25),
    "direction": (None, "forward"),
    "B": (None, "constant"),
    "sequence_lens": (None, "constant", "computed"),
    "initial_h": (None, "constant", "input"),
    "time": ("free", "fixed"),
}
OWN: dict[str, dict[str, tuple[Any, ...]]] = {
    "RNN": {},
    "GRU": {"linear_before_reset": (None, 0, 1)},
    "LSTM": {"input_forget": (None, 0, 1), "initial_c": (None, "constant", "input"), "P": (None, "constant")},
}


def fits(row: Mapping[str, Any]) -> bool:
    """layout is known since opset 14; constant lengths say something only where the length of the sequence is known."""
    known = row.get("layout") is None or row.get("opset", LAYOUT_SINCE) >= LAYOUT_SINCE
    return known and (row.get("sequence_lens") != "constant" or row.get("time", "fixed") == "fixed")


def _cases(kind: str) -> list[Case]:
    """All pairs of what ONNX Runtime runs, and of everything with layout=1, which it refuses."""
    common = OPTIONS | OWN[kind] | {"outputs": subsets(kind)}
    functions = (None, *each_function(kind), defaults(kind))
    run = {"activations": functions, "opset": OPSETS, "layout": (None, 0), "hidden_size": (HIDDEN,)}
    newer = tuple(opset for opset in OPSETS if opset >= LAYOUT_SINCE)
    more = {"activations": (None, lower_case(kind)), "opset": newer, "layout": (1,), "hidden_size": (HIDDEN, None)}
    return [Case(kind, row) for options in (run, more) for row in covering(options | common, fits)]


CASES = [case for kind in GATES for case in _cases(kind)]


def alone(options: Mapping[str, Any], reason: str = "", kinds: Iterable[str] = GATES) -> list[Case]:
    """Nodes with these options and nothing else, of each kind that has them."""
    known = [kind for kind in kinds if options.keys() <= {*PLAIN, *OWN[kind]}]
    return [Case(kind, PLAIN | {"outputs": OUTPUTS[kind]} | options, reason) for kind in known]


def each(name: str, values: Callable[[str], Iterable[Any]]) -> list[Case]:
    """Nodes of each kind with each value of one option."""
    return [case for kind in GATES for value in values(kind) for case in alone({name: value}, kinds=[kind])]


# What a user of ONNX can ask of the three operators, one thing at a time
FEATURES: dict[str, list[Case]] = {
    "`activations`, each of the 11 functions with alpha and beta": each("activations", each_function),
    "`activation_alpha`, `activation_beta` left at their defaults": each("activations", lambda kind: [defaults(kind)]),
    "`activations` in lower case": each("activations", lambda kind: [lower_case(kind)]),
    "`clip`": alone({"clip": 0.25}),
    "`direction=forward`": alone({"direction": "forward"}),
    "`direction=reverse`": alone({"direction": "reverse"}, "direction=reverse needs the end of the sequence"),
    "`direction=bidirectional`": alone({"direction": "bidirectional"}, "direction=bidirectional needs the end of"),
    "`hidden_size` absent": alone({"hidden_size": None}),
    "`input_forget=1`": alone({"input_forget": 1}),
    "`layout=1`": alone({"layout": 1}),
    "`linear_before_reset=1`": alone({"linear_before_reset": 1}),
    "`B` absent": alone({"B": None}),
    "`B` computed at run time": alone({"B": "input"}, "input B is computed at run time, not a constant"),
    "`sequence_lens`, all of them the whole length": alone({"sequence_lens": "computed"}),
    "`sequence_lens`, shorter": alone({"sequence_lens": "shorter", "time": "fixed"}, "a stream goes on"),
    "`sequence_lens`, given at run time: the whole length": alone({"sequence_lens": "input"}),
    "`initial_h`, constant": alone({"initial_h": "constant"}),
    "`initial_h`, given at run time": alone({"initial_h": "input"}),
    "`initial_c`, constant": alone({"initial_c": "constant"}),
    "`initial_c`, given at run time": alone({"initial_c": "input"}),
    "`P` (peepholes)": alone({"P": "constant"}),
    "`P` computed at run time": alone({"P": "input"}, "input P is computed at run time, not a constant"),
    "any subset of the outputs": each("outputs", subsets),
    "every opset from 7 on": each("opset", lambda kind: OPSETS),
}
# What runs backwards, on windows: with functions of its own in one direction only, since the oracle knows no others
BACKWARDS = [
    Case(case.kind, case.options | {"direction": direction})
    for case in CASES
    for direction in (["reverse"] if case.options["activations"] else ["reverse", "bidirectional"])
    if "input" not in case.options.values()
]
ALONE = [case for cases in FEATURES.values() for case in cases]
REFUSED = [
    replace(case, options=case.options | {"opset": opset})
    for case in ALONE
    if case.reason
    for opset in (7, 17, OPSETS[-1])
]
