"""Build: walks the graph under one hypothesis about time and collects layers, states and every problem."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from edgernn.errors import Problem, brief
from edgernn.importer.file.dims import Uneven
from edgernn.importer.file.graph import Graph, Operator
from edgernn.importer.file.work import MOST_PROBLEMS, UNKNOWN
from edgernn.importer.rewrites.lists import LISTED
from edgernn.importer.rewrites.preset import misfit, unset
from edgernn.importer.states.trace import Start
from edgernn.importer.walk.binding import apply
from edgernn.importer.walk.branches import branched
from edgernn.importer.walk.given import entered
from edgernn.importer.walk.known import known
from edgernn.importer.walk.loop import check_inside, looped
from edgernn.importer.walk.masks import lowered
from edgernn.importer.walk.moments import Moments, picked
from edgernn.importer.walk.once import Once
from edgernn.importer.walk.signals import Refused, Wider
from edgernn.importer.walk.token import UNTOLD, Makers, of_several_sizes, token_of
from edgernn.importer.walk.unknown import INSTEAD, unknown
from edgernn.importer.walk.unrolled import finish, rolled
from edgernn.layers.base import Array, Layer, Shape, volume
from edgernn.layers.constant import Constant
from edgernn.layers.model import Node, State
from edgernn.layers.pointwise import Map
from edgernn.layers.reshape import Reshape
from edgernn.layers.rhythm import FOREVER, WINDOW, aligned, only_moves, remembered
from edgernn.layers.rules import RULES, Value

AGAIN = "export the model again, after checking its training; where infinity masks something, with -1e9 in its place"
MOST_NUMBERS = 1 << 24  # in all values of a frame, constants too
STILL = Value("", ())  # the rhythm of what has no time
ADVISED = 16  # problems for which a walk over all nodes looks for advice


class Build:
    """One walk over the graph; implements `layers.rules.Importing`. Raises Wider.

    `times` says which axis of each input is time, `length` how long that is, `hop` how many frames of it an evaluation
    takes. With a `window`, it sees so many as one whole sequence, without time. `restarts`: a cell that starts from a
    constant starts anew in every frame. `zeroed`: inputs that are taken as zero. `free`: how long free dimensions are
    that are not time, where that is not 1.
    """

    def __init__(
        self,
        graph: Graph,
        length: Any,
        times: Mapping[str, int | None],
        restarts: bool = False,
        zeroed: Collection[str] = (),
        free: Mapping[str, int] | None = None,
        hop: int = 1,
        window: int = 0,
    ):
        self.opset, self.length, self.hop, self.window = graph.opset, length, hop, window or hop
        self.problems, self.ended = list[Problem](), set[int]()
        self.nodes: list[Node] = []
        self.states: list[State] = []
        self.starting: list[Start] = []
        self.tokens: dict[str, int] = {}  # input -> vocabulary
        self.ports: dict[str, int] = {}  # input -> how many numbers a frame of it has
        self.roots: dict[str, str] = {}  # value that is an input in another shape -> that input
        self.values: dict[str, Value | None] = {}  # None: what makes it has failed
        self.moments, self.branches = Moments(), 0  # branches: how many Ifs a frame decides on
        self.own: set[str] = set()  # copies of what a loop starts from, which nothing but the loop reads
        self.recurs, self.makers = False, Makers()  # recurs: whether a state is carried that no recurrent layer holds
        self.in_frame: list[Problem] = []  # cells that run inside a frame, and what is wrong if no other goes on
        self.notes: list[str] = []
        self._timed = not window and any(axis is not None for axis in times.values())
        self._restarts, self._free, self.whole = restarts, free or {}, window > 0  # whole: it sees a whole sequence
        self.folder, self.work, self._once, self._numbers = graph.folder, graph.work, Once(), 0
        self.work.done += len(graph.inputs)
        self._constants: dict[int, str] = {}  # which array of `_once` -> the value that it is
        self._clock: Value | None = None
        self._taken = {given.name: 1 for given in graph.inputs}  # name -> how many values were to have it
        self._told: set[Problem] = set()
        self.operator, self.graph = Operator("graph", "", "", (), ()), graph
        for name, array in graph.constants.items():
            self.values[name] = Value(name, array.shape, None, array, array.dtype)
        for given in graph.inputs:
            time, zero = times.get(given.name), given.name in zeroed
            sizes = tuple(self._free.get(n, 1) if isinstance(n, str) else n for n in given.dims or ())
            self.values[given.name] = entered(self, given, time, sizes, zero)
        for operator in graph.operators:
            self.visit(operator)
        finish(self, [value.name for name in graph.outputs if (value := self.values[name]) is not None])

    def visit(self, operator: Operator) -> None:
        """Import one node; what it makes stays unknown where that fails."""
        self.operator = operator
        self.work.done += 1
        outputs: Sequence[Value | None] = ()
        reached = all(self.values[name] is not None for name in operator.reads)
        if len(self.problems) < MOST_PROBLEMS and (reached or unknown(operator)):
            try:
                outputs = self._outputs(operator, [self.values[name] if name else None for name in operator.inputs])
            except Refused as refused:
                self._fail(operator, refused.what, refused.remedy)
            except Uneven as uneven:
                self.widen(uneven.factor)
            except (ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError, MemoryError) as error:
                self._fail(operator, *misfit(self.graph, error))
        self.moments.late.update(value.name for value in outputs if value is not None and value.final)
        for place, name in enumerate(operator.outputs):
            if name:
                self.values[name] = outputs[place] if place < len(outputs) else None

    def _fail(self, operator: Operator, what: str, remedy: str) -> None:
        """Note why a node cannot be had; the reason is another one where its input already could not."""
        read = [value for name in operator.reads if (value := self.values[name]) is not None]
        if len(self.problems) < ADVISED:
            remedy = unset(self.graph, self.nodes, list(self.ports), read) or remedy
        found = self.moments.problem([value.name for value in read])
        problem = found or Problem(operator.name, operator.kind, brief(what), remedy)
        if problem not in self._told:
            self._told.add(problem)
            self.problems.append(problem)

    def _outputs(self, operator: Operator, inputs: list[Value | None]) -> Sequence[Value | None]:
        """What a node makes: constants where they can be worked out now, else what its rule says."""
        if (wrong := unknown(operator)) is not None:
            self.refuse(*wrong)
        if (value := known(self, operator, inputs)) is not None:
            return [value]
        if (special := picked(self, operator, inputs) or rolled(self, operator, inputs)) is not None:
            return special
        if self.moments.inside:
            check_inside(self, operator, inputs)
        if operator.kind in ("Loop", "Scan"):
            return looped(self, operator, inputs)
        if operator.kind == "If":
            return branched(self, operator, inputs)
        if any(inputs) and all(x is None or (x.const is not None and x.time is None) for x in inputs):
            made = self.folder.fold(operator, [None if x is None else x.const for x in inputs])
            if made is not None:
                return [self.constant(y) if name else None for name, y in zip(operator.outputs, made, strict=False)]
        if operator.kind not in RULES:
            self.refuse(UNKNOWN, LISTED.get(operator.kind, INSTEAD))
        return apply(RULES[operator.kind], self, operator, inputs)

    def has_room(self, shape: Shape) -> bool:
        """Whether the frame may hold this value too."""
        self._numbers += volume(shape)
        return self._numbers <= MOST_NUMBERS

    @property
    def has_time(self) -> bool:
        """Whether time runs through the graph; the body of a loop sees one step."""
        return self._timed and not self.moments.inside

    def unique(self, base: str) -> str:
        """A name that no value has yet."""
        name, count = base, self._taken.get(base, 1)
        while name in self._taken:
            count += 1
            name = f"{base}.{count}"
        self._taken[base], self._taken[name] = count, self._taken.get(name, 1)
        return name

    def add(self, layer: Layer, *inputs: Value, time: int | None = None, dtype: Any = np.float32) -> tuple[Value, ...]:
        """Add a node; see `layers.rules.Importing`."""
        if time is not None and not only_moves(layer, inputs[0]):
            inputs = aligned(self, inputs)
        layer, endless = self._once.of(layer)  # an unrolled graph holds the same weights for every step
        if endless:
            self.refuse(f"{endless} NaN or infinity", AGAIN)
        named = [x if x.const is None else self._placed(x) for x in inputs]
        shapes = layer.shapes(*(x.shape for x in named))
        if not all(self.has_room(shape) for shape in shapes):
            self.refuse(f"makes {[*map(list, shapes)]}: too many numbers a frame", "use a smaller window or layers")
        base = next(filter(None, self.operator.outputs), self.operator.name)
        names = tuple(self.unique(base) for _ in shapes)
        self.work.make(len(self.nodes), self.operator)
        self.nodes.append(Node(names[0], layer, tuple(x.name for x in named), names))
        if isinstance(layer, Reshape) and named[0].name in self.roots:
            self.roots[names[0]] = self.roots[named[0].name]
        self.moments.follow([x.name for x in named], names)
        final = any(x.final for x in inputs)
        like = STILL if time is None else self._rhythm(inputs)
        rhythm = like.delay, like.length, like.past, like.ahead, like.front, like.begins
        return tuple([Value(n, s, time, None, dtype, final, *rhythm) for n, s in zip(names, shapes, strict=True)])

    def _rhythm(self, inputs: Sequence[Value]) -> Value:
        """The rhythm of what is made of these, which are aligned: a step sees what any of them sees."""
        timed = [x for x in inputs if x.time is not None] or [Value("", (), 0, length=self.length)]
        if len(timed) == 1:
            return timed[0]
        first = next((x for x in timed if x.const is None), timed[0])
        past, ahead = max([x.past for x in timed]), max([x.ahead for x in timed])
        return first if (past, ahead) == (first.past, first.ahead) else replace(first, past=past, ahead=ahead)

    def output(self, name: str) -> Value | None:
        """An output of the graph as a value that some layer makes; None where that failed."""
        self.operator = Operator(name, "output", "", (), (name,))
        value = self.values[name]
        try:
            return value if value is None else self._placed(value)
        except Refused as refused:
            self.problems.append(Problem(name, "output", refused.what, refused.remedy))
            return None

    def _placed(self, x: Value) -> Value:
        """x as a value that layers can read: constants become layers."""
        if x.const is None:
            return x
        if x.const.dtype == object:
            self.refuse("computes with the number of steps", f"a stream has no length: export without it, or {WINDOW}")
        values = self._once(lowered(self, self.graph, np.ascontiguousarray(x.const, np.float32)))
        if not np.isfinite(values).all():
            self.refuse("reads a constant that holds NaN or infinity", AGAIN)
        if id(values) not in self._constants:
            name = self.unique(x.name)
            if not self.has_room(values.shape):
                self.refuse(f"reads a constant of {list(values.shape)}: too many numbers a frame", "use smaller layers")
            self.nodes.append(Node(name, Constant(values), (), (name,)))
            self._constants[id(values)] = name
        return replace(x, name=self._constants[id(values)], const=None)

    def constant(self, values: Array, time: int | None = None, length: Any = None) -> Value:
        """A constant; see `layers.rules.Importing`."""
        name = next(filter(None, self.operator.outputs), self.operator.name)
        steps = None if time is None else self.length if length is None else length
        return Value(name, values.shape, time, values, values.dtype, length=steps)

    def clock(self) -> Value:
        """How many evaluations there have been; see `layers.rules.Importing`."""
        if self._clock is None:
            self._clock = self.carry(np.zeros(1, np.float32))
            (later,) = self.add(Map("affine", 1.0, 1.0), self._clock)
            self.close(self._clock, self.add(Map("clip", 0.0, FOREVER), later)[0])
        return self._clock

    def widen(self, factor: int) -> NoReturn:
        """Begin again; see `layers.rules.Importing`."""
        raise Wider(factor)

    def carry(self, initial: Array) -> Value:
        """A new state; see `layers.rules.Importing`."""
        if not np.isfinite(initial).all():
            self.refuse("starts from NaN or infinity", AGAIN)
        name = self.unique(f"{self.operator.name}.state")
        self.states.append(State(name, "", initial))
        return Value(name, initial.shape)

    def close(self, state: Value, source: Value, over: Value | None = None) -> None:
        """Say what replaces a state; see `layers.rules.Importing`."""
        place = next(n for n, held in enumerate(self.states) if held.name == state.name)
        if over is not None:
            source = remembered(self, source, self.states[place].initial, over)
        self.states[place] = replace(self.states[place], source=source.name)

    def carries(self, x: Value) -> bool:
        """Whether a cell that reads x goes on from frame to frame; see `layers.rules.Importing`."""
        return x.time is not None or not (self._timed or self._restarts)

    def inside(self, what: str, remedy: str) -> None:
        """Note a cell that runs inside a frame; see `layers.rules.Importing`."""
        self.in_frame.append(Problem(self.operator.name, self.operator.kind, what, remedy))

    def starts(self, initial: Value, last: Value, over_time: bool) -> None:
        """Note where a cell starts; see `layers.rules.Importing`."""
        self.starting.append(Start(self.operator.name, self.operator.kind, initial.name, last.name, over_time))

    def token(self, x: Value, vocabulary: int) -> tuple[Value, Array]:
        """The integers of a port; see `layers.rules.Importing`."""
        found = token_of(self.makers.of(self.nodes), self.ports, self.window, x.name, vocabulary)
        if found is None:
            self.refuse(*UNTOLD)
        (root, places), rows = found, self.tokens.setdefault(found[0], vocabulary)
        if self.ports[root] > 1 and rows != vocabulary:
            self.refuse(*of_several_sizes(root, rows, vocabulary))
        self.tokens[root] = min(vocabulary, rows)
        return replace(x, name=root, shape=(self.window * self.ports[root],), time=None), places

    def is_token(self, x: Value, vocabulary: int) -> bool:
        """Whether x is the integer of a port; see `layers.rules.Importing`."""
        found = token_of(self.makers.of(self.nodes), self.ports, self.window, x.name, vocabulary)
        return found is not None and self.ports[found[0]] == 1

    def note(self, text: str) -> None:
        """Note it once; see `layers.rules.Importing`."""
        self.notes += [text] if text not in self.notes else []

    def taint(self, x: Value, what: str, remedy: str = "") -> None:
        """x cannot be had, should anybody need it; see `layers.rules.Importing`."""
        self.moments.away.add(x.name)
        self.moments.tainted[x.name] = Problem(self.operator.name, self.operator.kind, what, remedy)

    def refuse(self, what: str, remedy: str = "") -> NoReturn:
        """Give up on this node; see `layers.rules.Importing`."""
        raise Refused(what, remedy)
