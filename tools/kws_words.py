"""What word spotters hear said in training: digits, words close to them, phrases, sentences; and which frames hear it.

In: nothing but Debian's packages wamerican (words) and fortunes (sentences). Out: lists of words, numbers of frames.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import vad_sound as vs

DIGITS = vs.words("zero one two three four five six seven eight nine")
UNKNOWN, SILENCE = 10, 11  # labels beside the digits'
HOMOPHONES = {"to", "too", "won", "for", "fore", "ate"}  # neither learnt as digits nor as other words
FRAME, HOP = 400, 160  # samples: of the front end whose frames are labelled

NEAR_WORDS = vs.words(
    """
    hero xerox zeal zip narrow arrow ear euro sierra cheerio near mirror row on once wonder run fun sun wand want
    swan woman when win wind went want once warn worn was what wall ton done none do tooth who true new chew tune
    tool through you shoe tour toe tea tall day do due into today tuesday twenty twelve tree free the thread
    theory street thee see sheep agree thirty thirteen thirsty degree sweet she tea key floor fork force far fall
    fur more door pour form fort forty fourteen fourth fourths foe phone full forward before fine fife hive dive
    life live fire file find fight strive fifteen fifty fifth alive arrive drive by buy sick sticks fix sit mix
    sixth sixty sixteen stick kicks sex sex seeks socks success thick system is this heaven eleven seventy
    seventeen seventh ever even several cousin oven seldom second savage sudden send them late wait hate eat day
    eighth eighty eighteen gate great date state weight aid age ace at it a add hey stay make mine line fine nice
    night nineteen ninety ninth sign wine time dine none noun niner knife mind kind now know in ten hundred
    thousand million yes no up down left right stop go
    """
)
LETTERS = vs.words("bee see dee gee aitch jay kay el em en pee cue are ess tee you vee ex why zed")  # by their names
CARRIERS = """
    please say # now | the number is # | press # | channel # please | i want # of them | give me # more | number #
    turn on lamp # | room # | it was # then | say # again | maybe # | # please | # it is | dial # | take # steps
    set timer # minutes | play song # | # and # | # or # | from # until # | # # | # # # | # # # # | # # # # #
    # times # is # | # plus # | no, # | yes, # | okay, # | about # hours ago
""".replace("\n", "|").split("|")
BOOKS = vs.words("computers definitions people cookie work politics")  # of fortunes; tests read others


def sentences(books: Sequence[str]) -> list[list[str]]:
    """The sentences of 3 to 14 plain words in files of Debian's fortunes."""
    text = " ".join(Path("/usr/share/games/fortunes", book).read_text(errors="ignore") for book in books)
    found = [re.findall(r"[A-Za-z']+[,]?|\d|-", part) for part in re.split(r"[.!?%:;()\"\[\]]|\n\n|--", text)]
    return [words for words in found if 3 <= len(words) <= 14 and all(re.fullmatch(r"[A-Za-z']+,?", w) for w in words)]


def dictionary() -> list[str]:
    """The plain words of Debian's wamerican."""
    words = Path("/usr/share/dict/american-english").read_text().split()
    return [word for word in words if re.fullmatch("[a-z]{2,10}", word) and word not in {*DIGITS, *HOMOPHONES}]


def frames_between(start: float, stop: float) -> slice:
    """The frames whose last sample lies between two times (samples)."""
    first = max(0, int(np.ceil((start - FRAME) / HOP)))
    return slice(first, max(first, int(np.ceil((stop - FRAME) / HOP))))
