"""State: which inputs of a graph are states, which outputs replace them, and whether a sequence really goes on there.

In a sequence graph a pair counts only where the file proves it: what a cell leaves behind, put through the state output
and back in at the state input, must be where that cell starts. A step graph may compute its cells in any way, so there
dataflow and names decide in this order, then the cells that a pairing makes of the graph (see `proof`), and
`state={input: output}` settles what they leave open; `state={input: ""}` says that an input is none. Shapes alone make
a state where nothing else does and another output is left as the answer; beside other states an input of an answer's
shape is a part of the frame, as a mask or a second microphone is. States begin at zero, or at the default that the file
gives the input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgernn.errors import Problem
from edgernn.importer.file.graph import Graph, Input
from edgernn.importer.rewrites.preset import advice
from edgernn.importer.states.ends import Ends
from edgernn.importer.states.naming import FILLERS, follows, framely, key, stately, words_of
from edgernn.importer.walk.build import Build
from edgernn.layers.rhythm import WINDOW

Match = Callable[[str, str], bool]  # of an input and an output


@dataclass
class Pairing:
    """What was found: input -> output; inputs that are taken as zero; what is left open; and what stands in the way."""

    pairs: dict[str, str] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)  # input -> outputs that may replace it
    provable: dict[str, list[str]] = field(default_factory=dict)  # the same of parts of the frame, unless cells prove
    shaped: list[str] = field(default_factory=list)  # states that only their shapes suggest
    zeroed: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def unsettled(self) -> list[Problem]:
        """What stands in the way, and what the user is to say of what is left open."""
        return [*(_asked(name, outputs) for name, outputs in self.options.items()), *self.problems]


def pair(build: Build, graph: Graph, given: Mapping[str, str]) -> Pairing:
    """Find the states of a graph that was built without problems; `given` are those that the user named."""
    ends = Ends(build, graph)
    found = Pairing()
    for name, output in given.items():
        twice = bool(output) and list(given.values()).count(output) > 1
        what = Problem(output, "state", "cannot replace two states", "name one output for each") if twice else None
        problem = what or ends.misnamed(name, output)
        if problem is not None:
            found.problems.append(problem)
        elif output:
            found.pairs[name] = output
        else:
            del ends.inputs[name]
    _settle(found, ends, lambda name, output: bool(ends.leads_back(name, output)))
    _settle_copies(found, ends)
    if build.has_time:
        _check_sequence(found, ends)
    else:
        _weigh_names(found, ends, given)
        named = _by_name(ends, graph)
        _settle(found, ends, lambda name, output: named(name, output) and ends.depends(output, name))
        _settle(found, ends, lambda name, output: named(name, output) and stately(name) and not ends.left_by(output))
        left = {} if given else {n: o for n, o in _named_only(found, ends, named).items() if o}
        found.problems += [_asked(name, outputs) for name, outputs in left.items()]
        if found.pairs:
            for name, outputs in _options(found, ends, ends.fits, ends.alters).items():
                if outputs:
                    asked = ends.starts(name) or (stately(name) and not given)
                    (found.options if asked else found.provable)[name] = outputs
        elif not left:
            _settle_by_shape(found, ends)
        found.problems += _counters(ends, graph)
    return found


def with_states(graph: Graph, given: Mapping[str, str]) -> Graph:
    """The graph with what has a default and may be a state as an input: by its name, or as the user says."""
    found = {
        name: array
        for name, array in graph.defaults.items()
        if given.get(name)
        or (name not in given and array.dtype.kind == "f" and any(follows(name, output) for output in graph.outputs))
    }
    inputs = tuple(Input(name, array.dtype, array.shape) for name, array in found.items())
    return replace(
        graph,
        inputs=(*graph.inputs, *inputs),
        constants={name: array for name, array in graph.constants.items() if name not in found},
    )


def as_constants(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with these inputs as the constants that their defaults are."""
    inputs = tuple(given for given in graph.inputs if given.name not in names)
    return replace(
        graph, inputs=inputs, constants={**graph.constants, **{name: graph.defaults[name] for name in names}}
    )


def _settle(found: Pairing, ends: Ends, matches: Match) -> None:
    """Pair inputs and outputs that match each other and nothing else; equal shapes go before those that only fit."""
    for fits in (ends.equal, ends.fits):
        for name, outputs in (options := _options(found, ends, fits, matches)).items():
            if len(outputs) == 1 and sum(outputs[0] in others for others in options.values()) == 1:
                found.pairs[name] = outputs[0]


def _settle_copies(found: Pairing, ends: Ends) -> None:
    """Pair inputs that several outputs lead back to: these hold the same numbers, and the first may be the answer."""
    for name, outputs in _options(found, ends, lambda name, output: bool(ends.leads_back(name, output))).items():
        if outputs:
            found.pairs[name] = max(
                reversed(outputs), key=lambda output: (follows(name, output), ends.equal(name, output))
            )


def _options(found: Pairing, ends: Ends, *match: Match) -> dict[str, list[str]]:
    """For each input that is not paired yet the outputs that match it in every way."""
    inputs = [name for name in ends.inputs if name not in found.pairs]
    paired = set(found.pairs.values())
    outputs = [output for output in ends.outputs if output not in paired]
    return {name: [o for o in outputs if all(m(name, o) for m in match)] for name in inputs}


def _weigh_names(found: Pairing, ends: Ends, given: Mapping[str, str]) -> None:
    """What a cell leaves behind may be an answer, of which another output makes the state: asked where names say so."""
    for name, output in found.pairs.items():
        if name not in given and not follows(name, output):
            named = [o for o in _rivals(ends, found.pairs, name) if follows(name, o)]
            found.problems += [_asked(name, [*named, output])] if named else []


def _rivals(ends: Ends, pairs: Mapping[str, str], name: str) -> list[str]:
    """Other outputs that might replace a state: of its shape, computed from it, and not the same numbers."""
    paired = set(pairs.values())
    free = [o for o in ends.outputs if o not in paired and ends.fits(name, o) and ends.depends(o, name)]
    return [o for o in free if not ends.leads_back(name, o)]


def _asked(name: str, outputs: Sequence[str]) -> Problem:
    """The user is to say which of these outputs replaces an input."""
    candidates = " or ".join(repr(output) for output in outputs)
    what = f"may be a state that {candidates} replaces: shapes and names do not tell"
    remedy = (
        f"say so: state={{{name!r}: {outputs[0]!r}}} or --state {name}={outputs[0]}, or --state {name}= if it is none"
    )
    return Problem(name, "input", what, remedy)


def _by_name(ends: Ends, graph: Graph) -> Match:
    """Whether names belong together. The first ports are a frame and its answer unless they are called a state."""
    frame = next(iter(ends.build.ports), ""), graph.outputs[0]

    def matches(name: str, output: str) -> bool:
        if (name, output) == frame and not stately(name):
            return False
        if not FILLERS & {*words_of(name)} and any(key(o) == key(name) for o in ends.inputs if o != name):
            return False  # x beside x_prev is the frame
        return follows(name, output)

    return matches


def _named_only(found: Pairing, ends: Ends, named: Match) -> dict[str, list[str]]:
    """Inputs that only their names call states: {input: outputs of their shape, the one that is called so first}.

    What keeps a frame for the next step is so, and states whose names are crossed are: neither is part of a frame.
    """
    options, proved = {}, {output for name, output in found.pairs.items() if ends.leads_back(name, output)}
    for name in (name for name in ends.inputs if name not in found.pairs):
        fitting = [output for output in ends.outputs if output not in proved and ends.fits(name, output)]
        called = [output for output in fitting if named(name, output)]
        options[name] = [*called, *(o for o in fitting if o not in called)] if called else []
    return options


def _settle_by_shape(found: Pairing, ends: Ends) -> None:
    """Pairs that only shape and dataflow suggest, where an input is left that must be the frame, and an answer."""

    def suggested(name: str, output: str) -> bool:
        return ends.alters(name, output) and not framely(name)

    options = _options(found, ends, ends.fits, suggested)
    open_inputs = [name for name, outputs in options.items() if outputs]
    others = [name for name in ends.build.ports if name not in open_inputs and name not in found.pairs]
    if others and len(ends.outputs) > 1 and next(iter(ends.build.ports)) not in open_inputs:
        before = dict(found.pairs)
        _settle(found, ends, suggested)
        options |= _doubtful(found, ends, before)
        found.shaped = [name for name in found.pairs if name not in before]
    elif len(open_inputs) == 1 and not others:
        return  # the only input that is left is the frame
    found.options = {name: options[name] for name in open_inputs if name not in found.pairs}


def _doubtful(found: Pairing, ends: Ends, before: Mapping[str, str]) -> dict[str, list[str]]:
    """Take back the pairs since `before` that could be others: {input: outputs that may replace it}.

    What only keeps a frame for the next step does not depend on the one before. So an answer of the state's shape may
    be its next value; and an input that looks like a part of the frame may be what is kept.
    """
    settled = {name: output for name, output in found.pairs.items() if name not in before}
    frames = [name for name in ends.inputs if name not in found.pairs]
    answers = [output for output in ends.outputs if output not in found.pairs.values()]
    doubtful = {name: [o for o in answers if ends.fits(name, o)] for name in settled}
    keepers = {name: [o for o in (*answers, *settled.values()) if ends.keeps(name, o)] for name in frames}
    if not settled or not any((*doubtful.values(), *keepers.values())):
        return {}
    for name, output in settled.items():
        del found.pairs[name]
        doubtful[name].insert(0, output)
    return {name: outputs for name, outputs in {**doubtful, **keepers}.items() if outputs}


def kept(build: Build, graph: Graph, pairing: Pairing, given: Collection[str]) -> list[str]:
    """What to know of a step graph whose states may be others: inputs that may keep an answer, and answers."""
    ends, pairs = Ends(build, graph), pairing.pairs
    alone = "only its shape says that '{0}' is a state, which '{1}' replaces; if it is none: --state {0}="
    shaped = [alone.format(name, pairs[name]) for name in pairing.shaped if name in pairs]
    too = "'{0}' is a state that '{1}' replaces, too, as they are called; if it is none: --state {0}="
    shaped += [too.format(n, o) for n, o in pairs.items() if given and n not in given and not ends.leads_back(n, o)]
    found = [(n, o) for n, o in pairs.items() if n not in given and ends.leads_back(n, o) and not follows(n, o)]
    doubted = [(name, output, _rivals(ends, pairs, name)) for name, output in found]
    other = "'{0}' is replaced by '{1}', which a cell leaves behind; if by '{2}': --state {0}={2}"
    notes = [other.format(name, output, rivals[0]) for name, output, rivals in doubted if rivals]
    crossed = [
        (n, o, [c for c in pairs.values() if c != o and follows(n, c)]) for n, o in pairs.items() if n not in given
    ]
    against = "'{0}' is replaced by '{1}', where its cell goes on; if by '{2}', as they are called: --state {0}={2}"
    notes += [against.format(name, output, called[0]) for name, output, called in crossed if called]
    frames = [name for name in build.ports if name not in pairs]
    answers = [output for output in ends.outputs if output not in pairs.values()]
    open_ones = [name for name in frames if name in ends.inputs and name not in given]
    may_be = [(name, o) for name in open_ones for o in answers if ends.keeps(name, o) or ends.alters(name, o)]
    said = "the input '{0}' is taken as a part of the frame; if it is a state that '{1}' replaces: --state {0}={1}"
    return shaped + notes + ([said.format(*both) for both in may_be] if len(frames) > 1 else [])


def _counters(ends: Ends, graph: Graph) -> list[Problem]:
    """Whole numbers and truth values that a step graph hands on: a stream's states are float32."""
    problems: list[Problem] = []
    sources = {output: ends.sources(output) for output in graph.outputs}
    if len(ends.bits) == 1:  # what every output is made of is the frame
        return problems
    for given in (given for given in graph.inputs if np.dtype(given.dtype).kind in "biu" and given.name in ends.bits):
        bit = ends.bits[given.name]
        replaces = [o for o, read in sources.items() if read & bit and (read == bit or follows(given.name, o))]
        if replaces:
            dtype = np.dtype(given.dtype).name
            what = f"is a state of {dtype}, which '{replaces[0]}' replaces; the states of a stream are float32"
            remedy = "; ".join(filter(None, ("export with the state as float32", advice(graph, given.name))))
            problems.append(Problem(given.name, "input", what, remedy))
    return problems


def _check_sequence(found: Pairing, ends: Ends) -> None:
    """Every cell over time must start from a state that leads back to it; a loose start is taken as zero."""
    for name, output in found.pairs.items():
        if not ends.leads_back(name, output):
            what = f"'{output}' is not what a cell that starts from it leaves behind"
            found.problems.append(Problem(name, "state", what, "name the right pair with state={input: output}"))
    for start in (start for start in ends.build.starting if start.over_time):
        shares = {name: len(ends.within(name, start)[0]) for name in ends.inputs}
        if sum(shares.values()) != ends.ids[start.initial].size:
            what = "its initial state is computed in the graph, so it is no state that a stream can carry on"
            found.problems.append(
                Problem(start.node, start.operator, what, f"export with the state as a plain input, or {WINDOW}")
            )
            continue
        for name in (name for name, share in shares.items() if share):
            _check_start(found, ends, name)


def _check_start(found: Pairing, ends: Ends, name: str) -> None:
    """An input that a cell over time starts from must be nothing but that."""
    if not ends.only_starts(name):
        what = "starts a cell over time and is used otherwise too"
        found.problems.append(Problem(name, "input", what, "export with a state input of its own"))
    elif name not in found.pairs and name not in found.zeroed:
        found.zeroed.append(name)
