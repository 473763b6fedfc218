"""RNN, GRU and LSTM over whole sequences in float64, written from the ONNX operator specification, gate by gate.

Slow and plain on purpose, and without any code of the package: the oracle for what ONNX Runtime refuses to compute.
`rnn`, `gru` and `lstm` run forward over whole sequences; `in_any_direction` also backwards, and up to unequal lengths.
Where the specification leaves it open it does what ONNX Runtime does: `clip` bounds the input of f and g, but in an
LSTM not that of h.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray

# name -> (f(x, alpha, beta), default alpha, default beta); None: the function has no such parameter
ACTIVATIONS = {
    "Relu": (lambda x, a, b: np.maximum(x, 0), None, None),
    "Tanh": (lambda x, a, b: np.tanh(x), None, None),
    "Sigmoid": (lambda x, a, b: 1 / (1 + np.exp(-x)), None, None),
    "Softsign": (lambda x, a, b: x / (1 + np.abs(x)), None, None),
    "Softplus": (lambda x, a, b: np.log(1 + np.exp(x)), None, None),
    "Affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
    "LeakyRelu": (lambda x, a, b: np.where(x >= 0, x, a * x), 0.01, None),
    "ThresholdedRelu": (lambda x, a, b: np.where(x >= a, x, 0), 1.0, None),
    "ScaledTanh": (lambda x, a, b: a * np.tanh(b * x), 1.0, 1.0),
    "HardSigmoid": (lambda x, a, b: np.minimum(np.maximum(a * x + b, 0), 1), 0.2, 0.5),
    "Elu": (lambda x, a, b: np.where(x >= 0, x, a * (np.exp(x) - 1)), 1.0, None),
}


def chosen(names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]):
    """One function of x for each name; alphas and betas go in turn to the functions that have one."""
    alphas, betas, functions = list(alphas), list(betas), []
    for name in names:
        function, alpha, beta = ACTIVATIONS[name]
        if alpha is not None and alphas:
            alpha = alphas.pop(0)
        if beta is not None and betas:
            beta = betas.pop(0)
        functions.append(lambda x, f=function, a=alpha, b=beta: f(x, a, b))
    return functions


def bounded(x: Array, clip: float | None) -> Array:
    """x within [-clip, clip]."""
    return x if clip is None else np.minimum(np.maximum(x, -clip), clip)


def rnn(X, W, R, B=None, initial_h=None, *, clip=None, layout=0, activations=("Tanh",), alpha=(), beta=()):
    """Y and Y_h of a forward RNN in the given layout; X: (T, batch, n_in), or (batch, T, n_in) with layout=1."""
    hidden = R.shape[2]
    (f,) = chosen(activations, alpha, beta)
    wb, rb = halves(B, hidden)
    h, ys = first(initial_h, X, hidden, layout), []
    for x in steps(X, layout):
        h = f(bounded(x @ W[0].T + h @ R[0].T + wb + rb, clip))
        ys.append(h)
    return sequence(ys, layout), last(h, layout)


def gru(
    X, W, R, B=None, initial_h=None, *, clip=None, layout=0, linear_before_reset=0, activations=("Sigmoid", "Tanh"),
    alpha=(), beta=(),
):  # fmt: skip
    """Y and Y_h of a forward GRU."""
    hidden = R.shape[2]
    f, g = chosen(activations, alpha, beta)
    wz, wr, wh = (W[0, gate * hidden : (gate + 1) * hidden] for gate in range(3))
    rz, rr, rh = (R[0, gate * hidden : (gate + 1) * hidden] for gate in range(3))
    wb, rb = halves(B, 3 * hidden)
    wbz, wbr, wbh = wb.reshape(3, hidden)
    rbz, rbr, rbh = rb.reshape(3, hidden)
    h, ys = first(initial_h, X, hidden, layout), []
    for x in steps(X, layout):
        z = f(bounded(x @ wz.T + h @ rz.T + wbz + rbz, clip))
        r = f(bounded(x @ wr.T + h @ rr.T + wbr + rbr, clip))
        if linear_before_reset:
            n = g(bounded(x @ wh.T + r * (h @ rh.T + rbh) + wbh, clip))
        else:
            n = g(bounded(x @ wh.T + (r * h) @ rh.T + rbh + wbh, clip))
        h = (1 - z) * n + z * h
        ys.append(h)
    return sequence(ys, layout), last(h, layout)


def lstm(
    X, W, R, B=None, initial_h=None, initial_c=None, P=None, *, clip=None, layout=0, input_forget=0,
    activations=("Sigmoid", "Tanh", "Tanh"), alpha=(), beta=(),
):  # fmt: skip
    """Y, Y_h and Y_c of a forward LSTM."""
    hidden = R.shape[2]
    f, g, act_h = chosen(activations, alpha, beta)
    wi, wo, wf, wc = (W[0, gate * hidden : (gate + 1) * hidden] for gate in range(4))
    ri, ro, rf, rc = (R[0, gate * hidden : (gate + 1) * hidden] for gate in range(4))
    wb, rb = halves(B, 4 * hidden)
    bi, bo, bf, bc = (wb + rb).reshape(4, hidden)
    pi, po, pf = np.zeros((3, hidden)) if P is None else np.asarray(P, np.float64).reshape(3, hidden)
    h, c, ys = first(initial_h, X, hidden, layout), first(initial_c, X, hidden, layout), []
    for x in steps(X, layout):
        i = f(bounded(x @ wi.T + h @ ri.T + pi * c + bi, clip))
        forget = 1 - i if input_forget else f(bounded(x @ wf.T + h @ rf.T + pf * c + bf, clip))
        c_new = forget * c + i * g(bounded(x @ wc.T + h @ rc.T + bc, clip))
        o = f(bounded(x @ wo.T + h @ ro.T + po * c_new + bo, clip))
        h, c = o * act_h(c_new), c_new
        ys.append(h)
    return sequence(ys, layout), last(h, layout), last(c, layout)


CELLS = {"RNN": rnn, "GRU": gru, "LSTM": lstm}


def in_any_direction(kind, X, W, R, B=None, *states, P=None, direction="forward", sequence_lens=None, layout=0, **rest):
    """Y, Y_h and, of an LSTM, Y_c: batch by batch and direction by direction, each up to the length of its sequence.

    `states`: initial_h and, of an LSTM, initial_c. What lies behind the end of a sequence is 0. Functions other than
    the default ones are for one direction only.
    """
    x, ways = steps(X, layout), {"forward": [1], "reverse": [-1], "bidirectional": [1, -1]}[direction]
    lengths = [len(x)] * x.shape[1] if sequence_lens is None else [int(n) for n in sequence_lens]
    starts = [None if s is None else (s.swapaxes(0, 1) if layout else s) for s in states]  # (directions, batch, hidden)
    y = np.zeros((len(x), len(ways), x.shape[1], R.shape[2]))
    ends = np.zeros((2 if kind == "LSTM" else 1, *y.shape[1:]))
    for d, way in enumerate(ways):
        weights = [None if w is None else w[d : d + 1] for w in (W, R, B)]
        given = {**rest} if P is None else {**rest, "P": P[d]}
        for b, length in enumerate(lengths):
            first_states = [None if s is None else s[d : d + 1, b : b + 1] for s in starts]
            made, *last_states = CELLS[kind](x[:length, b : b + 1][::way], *weights, *first_states, **given)
            y[:length, d, b] = made[::way, 0, 0]
            ends[:, d, b] = [state[0, 0] for state in last_states]
    if layout:
        return y.transpose(2, 0, 1, 3), *ends.swapaxes(1, 2)
    return y, *ends


def halves(B: Array | None, size: int) -> tuple[Array, Array]:
    """Wb and Rb."""
    flat = np.zeros(2 * size) if B is None else np.asarray(B, np.float64).reshape(2 * size)
    return flat[:size], flat[size:]


def first(initial: Array | None, X: Array, hidden: int, layout: int) -> Array:
    """The initial state (batch, hidden)."""
    batch = X.shape[0 if layout else 1]
    return np.zeros((batch, hidden)) if initial is None else np.asarray(initial, np.float64).reshape(batch, hidden)


def steps(X: Array, layout: int) -> Array:
    """(T, batch, n_in) float64."""
    return np.asarray(X, np.float64).swapaxes(0, 1) if layout else np.asarray(X, np.float64)


def sequence(ys: list[Array], layout: int) -> Array:
    """Y: (T, 1, batch, hidden), or (batch, T, 1, hidden) with layout=1."""
    y = np.stack(ys)[:, None]
    return y.transpose(2, 0, 1, 3) if layout else y


def last(h: Array, layout: int) -> Array:
    """Y_h: (1, batch, hidden), or (batch, 1, hidden) with layout=1."""
    return h[:, None] if layout else h[None]
