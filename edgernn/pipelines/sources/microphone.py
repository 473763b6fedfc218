"""Microphones, through PortAudio."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from edgernn.errors import BackendUnavailable
from edgernn.layers.base import Array
from edgernn.pipelines.sources.decode import Wanted
from edgernn.pipelines.sources.mailbox import POLL, SILENCE, Mailbox
from edgernn.pipelines.sources.source import Feed
from edgernn.pipelines.sources.tally import Tally


@contextmanager
def open_microphone(address: str, wanted: Wanted, tally: Tally) -> Iterator[Feed]:
    """What a microphone hears. It is waited for when it is unplugged later."""
    audio = _portaudio()
    name = address.partition(":")[2]
    device = int(name) if name.isdecimal() else name or None
    try:
        rate = _rate(audio, device, wanted)
        recorder = Recorder(audio, device, rate, wanted, tally)
    except (ValueError, audio.PortAudioError) as error:
        raise BackendUnavailable(
            f"{address}: no microphone ({error}); `python -m sounddevice` lists the devices: mic:NUMBER or mic:NAME"
        ) from None
    with recorder.mailbox.reading(recorder.watch):
        yield Feed(address, rate, wanted.channels, iter(recorder.mailbox))


def _portaudio() -> Any:
    try:
        import sounddevice
    except ImportError:
        raise BackendUnavailable('a microphone needs the package sounddevice: pip install "edgernn[audio]"') from None
    except OSError as error:
        raise BackendUnavailable(f"sounddevice says: {error} (on Debian: apt-get install libportaudio2)") from None
    return sounddevice


def _rate(audio: Any, device: int | str | None, wanted: Wanted) -> float:
    """The model's rate where the device has it, else the device's own."""
    try:
        audio.check_input_settings(device, wanted.channels, "float32", samplerate=wanted.rate)
    except audio.PortAudioError:
        return float(audio.query_devices(device, "input")["default_samplerate"])
    return wanted.rate


class Recorder:
    """An open microphone, and a watch that opens it again when it has gone."""

    def __init__(self, audio: Any, device: int | str | None, rate: float, wanted: Wanted, tally: Tally):
        self.mailbox = Mailbox("the microphone", rate, tally)
        self._audio, self._device, self._rate, self._tally = audio, device, rate, tally
        self._channels, self._count = wanted.channels, max(1, round(wanted.block * rate))
        self._end = 0.0  # of what was heard last, by the device's clock
        self._open()

    def _open(self) -> None:
        self._heard = time.monotonic()
        self._stream = self._audio.InputStream(
            samplerate=self._rate,
            blocksize=self._count,
            device=self._device,
            channels=self._channels,
            dtype="float32",
            callback=self._hear,
        )
        self._stream.start()

    def _hear(self, samples: Array, count: int, when: Any, status: Any) -> None:
        gap = 0.0
        if status.input_overflow:
            gap = max(0.0, when.inputBufferAdcTime - self._end)
            lost = round(gap * self._rate)
            self._tally.count("lost", lost, f"the microphone ran over: {lost} samples lost by its clock")
        self._end = when.inputBufferAdcTime + count / self._rate
        self._heard = time.monotonic()
        self.mailbox.put(samples.copy(), gap)

    def watch(self) -> None:
        """Until the mailbox is closed: a microphone that delivers nothing for SILENCE has gone."""
        while not self.mailbox.closed:
            time.sleep(POLL)
            if not self._stream.active or time.monotonic() - self._heard > SILENCE:
                self._close()
                self.mailbox.broken("it delivers nothing")
                self.mailbox.reopen(self._reopen, (ValueError, self._audio.PortAudioError))
        self._close()

    def _reopen(self) -> None:
        self._audio._terminate()  # PortAudio looks for devices when it starts, and never again
        self._audio._initialize()
        self._open()

    def _close(self) -> None:
        with suppress(self._audio.PortAudioError):  # it is gone already
            self._stream.close()
