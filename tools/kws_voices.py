"""Voices to test word spotters with, none of which `espeak` can make: two other synthesisers and one real speaker.

In: a cache folder. Out: sounds at 16 kHz with what is said in them. Needs Debian's packages flite, festival,
festvox-kdlpc16k, festvox-us-slt-hts, fortunes and, for the real speaker, asterisk-core-sounds-en-wav (CC-BY-SA-3.0,
fetched into the cache, no part of edgernn).
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import vad_sound as vs
from kws_words import DIGITS, HOMOPHONES, sentences

FLITE = [("awb", 1.0), ("rms", 1.0), ("slt", 1.0), ("kal16", 1.0), ("awb", 1.3), ("rms", 1.25), ("slt", 0.85)]
FESTIVAL = ["ked_diphone", "cmu_us_slt_arctic_hts"]
BOOKS = ["literature", "wisdom", "science", "law"]  # of fortunes; training reads others
# What else the real speaker says: prompts that hold no digit and none of its homophones
PROMPTS = vs.words(
    """
    activated added agent-alreadyon agent-incorrect agent-loggedoff agent-loginok agent-pass agent-user
    all-circuits-busy-now astcc-followed-by-the-pound-key at-tone-time-exactly auth-incorrect auth-thankyou
    call-fwd-no-ans call-fwd-on-busy call-waiting calling cancelled cannot-complete-as-dialed
    check-number-dial-again conf-enteringno conf-errormenu conf-getchannel conf-getconfno conf-getpin conf-hasjoin
    conf-hasleft conf-invalid conf-kicked conf-leaderhasleft conf-locked conf-lockednow conf-muted conf-now-muted
    conf-now-recording conf-now-unmuted conf-onlyperson conf-otherinparty conf-placeintoconf conf-thereare
    conf-unlockednow conf-unmuted confbridge-conf-begin confbridge-conf-end confbridge-has-joined
    confbridge-has-left confbridge-locked confbridge-muted confbridge-unlocked confbridge-unmuted
    confbridge-participants confbridge-there-are de-activated demo-nomatch dictate/pause dictate/paused
    dictate/playback dictate/playback_mode dictate/record dictate/record_mode dir-nomatch dir-nomore disabled
    do-not-disturb enabled extension feature-not-avail-line from-unknown-caller goodbye hello hello-world hours
    im-sorry info-about-last-call invalid is is-in-use location lowercase minute minutes num-was-successfully
    number number-not-answering pbx-invalid pbx-transfer please-try-again please-try-call-later pm-invalid-option
    privacy-incorrect privacy-thankyou privacy-unident queue-less-than queue-minute queue-minutes queue-seconds
    queue-thereare queue-youarenext removed second seconds something-terribly-wrong sorry speed-dial
    speed-dial-empty spy-agent spy-local spy-mobile spy-zap spy-console telephone-number time transfer tt-allbusy
    tt-monkeys tt-monkeysintro tt-somethingwrong tt-weasels unidentified-no-callback uppercase vm-Family
    vm-Friends vm-INBOX vm-Old vm-Urgent vm-Work vm-and vm-deleted vm-duration vm-extension vm-first vm-from
    vm-from-extension vm-from-phonenumber vm-goodbye vm-incorrect vm-incorrect-mailbox vm-invalid-password
    vm-isonphone vm-isunavail vm-last vm-login vm-mailboxfull vm-message vm-messages vm-minutes vm-mismatch
    vm-msgsaved vm-newpassword vm-next vm-no vm-nobodyavail vm-nobox vm-nomore vm-nonumber vm-passchanged
    vm-password vm-pls-try-again vm-press vm-rec-name vm-received vm-repeat vm-saved vm-sorry vm-tempremoved
    vm-theperson vm-undeleted vm-unknown-caller vm-whichbox vm-youhave with you-entered your
    """
)
SINGLE = vs.words(
    """
    digits/10 digits/11 digits/12 digits/13 digits/14 digits/15 digits/16 digits/17 digits/18 digits/19 digits/20
    digits/30 digits/40 digits/50 digits/60 digits/70 digits/80 digits/90 digits/hundred digits/thousand
    digits/million digits/billion digits/minus digits/dollars digits/at digits/a-m digits/p-m digits/oclock
    digits/day-0 digits/day-1 digits/day-2 digits/day-3 digits/day-4 digits/day-5 digits/day-6 digits/h-1
    digits/h-2 digits/h-3 digits/h-4 digits/h-5 digits/h-6 digits/h-7 digits/h-8 digits/h-9 digits/h-10
    digits/h-20 digits/h-30 digits/mon-0 digits/mon-1 digits/mon-2 digits/mon-3 digits/mon-4 digits/mon-5
    digits/mon-6 digits/mon-7 digits/mon-8 digits/mon-9 digits/mon-10 digits/mon-11 digits/today digits/yesterday
    digits/tomorrow
    """
)
LETTERS = [f"letters/{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
PHONETIC = [f"phonetic/{letter}_p" for letter in "abcdefghijklmnopqrstuvwxyz"]
OTHER_WORDS = vs.words(
    """
    yes no up down left right on off stop go hello house garden window computer music light kitchen table happy
    bird tree marvin sheila visual backward forward follow learn cat dog bed wow under over people water paper
    never always morning evening monday friday december twenty thirty sixty eleven hundred seventeen eighteen
    heaven mine floor
    """
)


def flite(voice: str, stretch: float, text: str) -> vs.Sound:
    """Say `text` with a voice of flite."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch}", "-t", text, "-o", file.name]
        subprocess.run(command, check=True, capture_output=True)
        return vs.read_sound(Path(file.name))


def festival(voice: str, texts: Sequence[str]) -> list[vs.Sound]:
    """Say each text with a voice of festival."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"(voice_{voice})"]
        for k, text in enumerate(texts):
            lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{text}")) "{folder}/{k}.wav" \'riff)')
        subprocess.run(["festival", "--pipe"], input="\n".join(lines), text=True, check=True, capture_output=True)
        return [vs.read_sound(Path(folder, f"{k}.wav")) for k in range(len(texts))]


def say_all(texts: Sequence[str]) -> Iterator[tuple[str, vs.Sound]]:
    """Every text in every voice of the other synthesisers."""
    for voice, stretch in FLITE:
        yield from ((text, vs.trim(flite(voice, stretch, text))) for text in texts)
    for name in FESTIVAL:
        yield from ((text, vs.trim(sound)) for text, sound in zip(texts, festival(name, texts), strict=True))


def reading(count: int) -> Iterator[vs.Sound]:
    """`count` sentences without digits or their homophones for each voice of the other synthesisers."""
    barred = {*DIGITS, *HOMOPHONES}
    plain = [" ".join(words) for words in sentences(BOOKS) if not barred & {w.strip(",").lower() for w in words}]
    voices = [*FLITE[:4], *FESTIVAL]
    for k, voice in enumerate(voices):
        texts = plain[k :: len(voices)][:count]
        yield from festival(voice, texts) if isinstance(voice, str) else (flite(*voice, text) for text in texts)


def real(cache: Path, names: Sequence[str]) -> list[vs.Sound]:
    """Recordings of the real speaker, by name."""
    folder = vs.package_folder("asterisk-core-sounds-en-wav", cache)
    sounds = folder / "usr/share/asterisk/sounds/en_US_f_Allison"
    return [vs.trim(vs.read_sound(sounds / f"{name}.wav")) for name in names]
