"""The blocks of the entries `features`, `scores` and `hear`: what is made of samples before a plan, and of its answers.

The first two are called like `run`, with a control block of int64 words and the arrays of two ports: FRAMES rows in, of
float32 where SINGLE is 1, else of float64; and rows out. BUSY is 1 meanwhile. Each does all or nothing: what is refused
leaves the block as it was. Their words follow those of the ports; they are numbers, or addresses of float64 (of int64:
CHOSEN, FIRST, STARTS) in C order.

features(samples (n, COLUMNS)) -> frames (k, SIZE) float32. Frame t is made of SPAN rows from t * HOP on; RECENT begins
with row START and holds HELD of them, and NEXT is the next frame. The rows of a frame become, by KIND:

    WINDOW      numbers * NUMBERS[SCALE]
    STATISTICS  the same, then those of `STATISTIC` whose numbers stand at CHOSEN (COUNT of them), each of all columns
    SPECTRUM    logarithms of bands or cepstra (see `reference_hearing.spectrum`, which defines them)

then (y - MEAN) / STD, then with RUNNING_FRAMES > 0 minus the running mean, and over the deviation with RUNNING_STD.
Gives 0, 1 + the number of a row with a number beyond NUMBERS[LIMIT], or TOO_LARGE where a feature is beyond float32.

scores(answers (n, LABELS)) -> smoothed posteriors (n, LABELS) float64, over SMOOTHED answers, of which LATEST
holds SMOOTHED - 1 and has room for one more; COUNTED counts all so far.
The last row is left at SCORE too. Gives how many of the rows reach LOWEST in some label, or NOT_FINITE.

hear(samples) -> nothing: one after the other, `features` in the block FEATURES, `run` in the block PLAN and `scores` in
the block SCORES, by way of FRAMES_AT, ANSWERS_AT and SCORES_AT, which have room for what comes of these samples of
float32. ROWS is how many answers there were. Gives what `scores` gives, or REFUSED where `features` does or another
thread is in one of the blocks: then nothing has changed.

These are entries of their own and not instructions of a plan: a plan consumes whole frames, the same for a stream, a
pool and a GPU, while samples come in blocks of any length, overlap, and are computed with in float64. So a plan stays
what a model is, and a call more a block costs less than a microsecond.

May import: NumPy, kernels.contract.
"""

from __future__ import annotations

from edgernn.kernels.contract import PORT_WORDS, PORTS

WORDS = PORTS + 2 * PORT_WORDS  # where the words of either begin
TOO_LARGE = NOT_FINITE = -2
REFUSED = -3

# fmt: off
(
    SINGLE, KIND, SPAN, COLUMNS, HOP, SIZE, START, NEXT, HELD, RECENT, JOINED, MADE, NUMBERS, MEAN, STD, NORMALISED,
    RUNNING, RUNNING_AFTER, RUNNING_FRAMES, RUNNING_STD, CHOSEN, COUNT, WORK,
    REMOVE_MEAN, POWER, BANDS, LOG, CEPSTRA, ENERGY, LAST, N_FFT, POINTS, PADDED,
    WEIGHED, TWIDDLES, CHIRP, CHIRP_TURNED, UNPACK, FIRST, STARTS, WEIGHTS, DCT, ENTRY_END,
) = range(WORDS, WORDS + 43)
# fmt: on
WINDOW, STATISTICS, SPECTRUM = 0, 1, 2
STATISTIC = ("mean", "std", "min", "max", "rms")
# the places in NUMBERS
SCALE, LIMIT, PREEMPHASIS, LOG_FLOOR, LOG_FACTOR, LOG_OFFSET, ENERGY_FLOOR, FIRST_FACTOR = range(8)
LEAST_WEIGHT, NUMBERS_END = 8, 9
NO_ENERGY, RAW_ENERGY, WINDOWED_ENERGY = 0, 1, 2
ENERGY_LEAST = 2.0**-23  # of Kaldi's energies, before the logarithm
VARIANCE_LEAST = 1e-8  # below it a number counts as constant
LARGEST = 3.4028234663852886e38  # of float32

LABELS, SMOOTHED, ACTIVATION, COUNTED, LATEST, LOWEST, SCORE, SCORES_END = range(WORDS + 1, WORDS + 9)
PLAIN, SOFTMAX, SIGMOID = 0, 1, 2

FEATURES, PLAN, SCORES, FRAMES_AT, ANSWERS_AT, SCORES_AT, ROWS, HEAR_END = range(WORDS, WORDS + 8)
