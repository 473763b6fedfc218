"""The entries `features` and `scores`, whose definition is kernels.reference_hearing: blocks of rows in, rows out."""

from __future__ import annotations

from numba import types

from edgernn.kernels import hearing as h
from edgernn.kernels.contract import ADDRESS, FRAMES, PORT_WORDS, PORTS
from edgernn.kernels.cpu.doubles import D, exponential, item, larger, load_d, magnitude, root, store_d
from edgernn.kernels.cpu.fourier import word
from edgernn.kernels.cpu.functions import function, kernel
from edgernn.kernels.cpu.spectrum import spectrum
from edgernn.kernels.cpu.vector import N, load_1f, load_1n, store_1f, store_1n

GIVEN, TAKEN = PORTS + ADDRESS, PORTS + PORT_WORDS + ADDRESS
LARGEST, VARIANCE_LEAST, FINITE = h.LARGEST, h.VARIANCE_LEAST, 1.7976931348623157e308
SINGLE = h.SINGLE
KIND, SPAN, COLUMNS, HOP, SIZE, START, NEXT, HELD = h.KIND, h.SPAN, h.COLUMNS, h.HOP, h.SIZE, h.START, h.NEXT, h.HELD
RECENT, JOINED, MADE, NUMBERS, MEAN, STD, NORMALISED = (
    h.RECENT,
    h.JOINED,
    h.MADE,
    h.NUMBERS,
    h.MEAN,
    h.STD,
    h.NORMALISED,
)
RUNNING, RUNNING_AFTER, RUNNING_FRAMES, RUNNING_STD = h.RUNNING, h.RUNNING_AFTER, h.RUNNING_FRAMES, h.RUNNING_STD
CHOSEN, COUNT, SCALE, LIMIT, LEAST_WEIGHT = h.CHOSEN, h.COUNT, h.SCALE, h.LIMIT, h.LEAST_WEIGHT
TOO_LARGE, NOT_FINITE = h.TOO_LARGE, h.NOT_FINITE
SPECTRUM, WINDOW = h.SPECTRUM, h.WINDOW
MEAN_OF, STD_OF, MIN_OF, MAX_OF, RMS_OF = range(5)  # places in STATISTIC
LABELS, SMOOTHED, ACTIVATION, COUNTED = h.LABELS, h.SMOOTHED, h.ACTIVATION, h.COUNTED
LATEST, LOWEST, SCORE, SOFTMAX, SIGMOID = h.LATEST, h.LOWEST, h.SCORE, h.SOFTMAX, h.SIGMOID


@function(N, N, N, N)
def copied(y, x, count):
    """Numbers to an address at or before their own."""
    for i in range(count):
        store_d(y + 8 * i, item(x, i))
    return 0


@function(D, N, N, N)
def given(control, index, single):
    """A number of the rows that came."""
    x = word(control, GIVEN)
    return float(load_1f(x + 4 * index)) if single != 0 else item(x, index)


@function(N, N, N, N, N)
def taken(y, control, index, count):
    """Numbers of the rows that came, from a place on."""
    single = word(control, SINGLE)
    for i in range(count):
        store_d(y + 8 * i, given(control, index + i, single))
    return 0


@function(N, N, N, D)
def beyond(control, count, limit):
    """1 + the place of the first number that came and is not within -limit .. limit, which NaN is not; 0: none."""
    single = word(control, SINGLE)
    for i in range(count):
        if not magnitude(given(control, i, single)) <= limit:
            return 1 + i
    return 0


@function(D, N, N, N, D, N)
def extreme(x, rows, columns, scale, number):
    """The smallest or largest number of a column."""
    found = load_d(x) * scale
    for i in range(rows):
        value = item(x, i * columns) * scale
        if (value < found) if number == MIN_OF else (value > found):
            found = value
    return found


@function(D, N, N, N, D, N)
def statistic(x, rows, columns, scale, number):
    """One of STATISTIC, of a column of numbers * scale."""
    if number in (MIN_OF, MAX_OF):
        return extreme(x, rows, columns, scale, number)
    total = 0.0
    for i in range(rows):
        total += item(x, i * columns) * scale
    mean = total / float(rows)
    if number == MEAN_OF:
        return mean
    mean = mean if number == STD_OF else 0.0
    total = 0.0
    for i in range(rows):
        off = item(x, i * columns) * scale - mean
        total += off * off
    return root(total / float(rows))


@kernel
def computed(y, x, control, unused):
    """A frame of rows as SIZE numbers, before they are normalised."""
    if word(control, KIND) == SPECTRUM:
        return spectrum(y, x, control, 0)
    span, columns, scale = word(control, SPAN), word(control, COLUMNS), item(word(control, NUMBERS), SCALE)
    if word(control, KIND) == WINDOW:
        for i in range(span * columns):
            store_d(y + 8 * i, item(x, i) * scale)
        return 0
    for number in range(word(control, COUNT)):
        which = load_1n(word(control, CHOSEN) + 8 * number)
        for column in range(columns):
            store_d(y, statistic(x + 8 * column, span, columns, scale, which))
            y += 8
    return 0


@kernel
def follow(y, running, control, size):
    """Running normalisation of a frame: how many frames, mean and variance go on."""
    count = load_d(running) + 1.0
    store_d(running, count)
    a = larger(1.0 / count, item(word(control, NUMBERS), LEAST_WEIGHT))
    for i in range(size):
        at = running + 8 + 8 * i
        change = item(y, i) - load_d(at)
        mean = load_d(at) + a * change
        variance = (1.0 - a) * (load_d(at + 8 * size) + a * change * change)
        store_d(at, mean)
        store_d(at + 8 * size, variance)
        value = item(y, i) - mean
        if word(control, RUNNING_STD) != 0:
            value /= root(larger(variance, VARIANCE_LEAST))
        store_d(y + 8 * i, value)
    return 0


@kernel
def feature_frame(out, x, control, size):
    """A frame of rows as features: 0, or TOO_LARGE."""
    y = word(control, MADE)
    computed(y, x, control, 0)
    if word(control, NORMALISED) != 0:
        mean, std = word(control, MEAN), word(control, STD)
        for i in range(size):
            store_d(y + 8 * i, (item(y, i) - item(mean, i)) / item(std, i))
    if word(control, RUNNING_FRAMES) != 0:
        follow(y, word(control, RUNNING_AFTER), control, size)
    for i in range(size):
        if not magnitude(item(y, i)) <= LARGEST:
            return TOO_LARGE
        store_1f(out + 4 * i, types.float32(item(y, i)))
    return 0


@function(N, N, N, N, N)
def joined(control, first, held, columns):
    """The address of SPAN rows from `first` on, counted from RECENT's, together."""
    y, count = word(control, JOINED), word(control, SPAN) * columns
    kept = (held - first) * columns if first < held else 0
    copied(y, word(control, RECENT) + 8 * first * columns, kept)
    taken(y + 8 * kept, control, (first - held) * columns + kept, count - kept)
    return y


@function(N, N, N, N, N)
def keep(control, drop, held, count):
    """RECENT without `drop` rows of it and of the new ones, and with those that are left of these."""
    columns, recent = word(control, COLUMNS), word(control, RECENT)
    old = held - drop if drop < held else 0
    copied(recent, recent + 8 * drop * columns, old * columns)
    new = held + count - drop - old
    taken(recent + 8 * old * columns, control, (count - new) * columns, new * columns)
    store_1n(control + 8 * START, word(control, START) + drop)
    store_1n(control + 8 * HELD, old + new)
    return 0


@kernel
def features(control, unused_a, unused_b, unused_c):
    """The entry `features`."""
    count, columns, held, size = word(control, FRAMES), word(control, COLUMNS), word(control, HELD), word(control, SIZE)
    bad = beyond(control, count * columns, item(word(control, NUMBERS), LIMIT))
    if bad != 0:
        return 1 + (bad - 1) // columns
    running = 1 + 2 * size if word(control, RUNNING_FRAMES) != 0 else 0
    copied(word(control, RUNNING_AFTER), word(control, RUNNING), running)
    hop, span, out, due = word(control, HOP), word(control, SPAN), word(control, TAKEN), 0
    first = word(control, NEXT) * hop - word(control, START)
    while first + span <= held + count:
        status = feature_frame(out, joined(control, first, held, columns), control, size)
        if status != 0:
            return status
        first, out, due = first + hop, out + 4 * size, due + 1
    copied(word(control, RUNNING), word(control, RUNNING_AFTER), running)
    store_1n(control + 8 * NEXT, word(control, NEXT) + due)
    drop = first - 1 if first > 1 else 0  # one row before the next frame is kept: it may have to be mirrored
    keep(control, drop if drop < held + count else held + count, held, count)
    return 0


@kernel
def posteriors(y, x, activation, labels):
    """One answer as posteriors."""
    largest, total = load_d(x), 0.0
    for i in range(labels):
        largest = larger(item(x, i), largest)
    for i in range(labels):
        value = item(x, i)
        if activation == SOFTMAX:
            value = exponential(value - largest)
            total += value
        elif activation == SIGMOID:
            e = exponential(-magnitude(value))
            value = (e if value < 0.0 else 1.0) / (1.0 + e)
        store_d(y + 8 * i, value)
    if activation == SOFTMAX:
        for i in range(labels):
            store_d(y + 8 * i, item(y, i) / total)
    return 0


@kernel
def smooth(y, control, labels, smoothed):
    """The mean of LATEST, and of it what reaches LOWEST: 1 or 0. LATEST then lacks the oldest."""
    latest, counted, lowest, reached = word(control, LATEST), word(control, COUNTED) + 1, word(control, LOWEST), 0
    store_1n(control + 8 * COUNTED, counted)
    divisor = float(counted if counted < smoothed else smoothed)
    for i in range(labels):
        store_d(y + 8 * i, 0.0)
    for k in range(smoothed):
        for i in range(labels):
            store_d(y + 8 * i, item(y, i) + item(latest, k * labels + i))
    for i in range(labels):
        score = item(y, i) / divisor
        store_d(y + 8 * i, score)
        if score >= item(lowest, i):
            reached = 1
    copied(latest, latest + 8 * labels, (smoothed - 1) * labels)
    return reached


@kernel
def scores(control, unused_a, unused_b, unused_c):
    """The entry `scores`."""
    count, labels, smoothed = word(control, FRAMES), word(control, LABELS), word(control, SMOOTHED)
    y, newest, reached = word(control, TAKEN), word(control, LATEST) + 8 * (smoothed - 1) * labels, 0
    if beyond(control, count * labels, FINITE) != 0:
        return NOT_FINITE
    for i in range(count):
        taken(newest, control, i * labels, labels)
        posteriors(newest, newest, word(control, ACTIVATION), labels)
        reached += smooth(y + 8 * i * labels, control, labels, smoothed)
    if count != 0:
        copied(word(control, SCORE), y + 8 * (count - 1) * labels, labels)
    return reached
