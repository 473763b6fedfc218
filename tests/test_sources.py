"""Sources: files, tables and standard input give what was sent; what is no source is told what it lacks."""

from __future__ import annotations

import io
import json
import os
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from commands import write_wav
from source_cases import RATE, ROWS, SOUND, csv_bytes, everything
from source_cases import said as said

from edgernn.errors import BackendUnavailable, BadInput
from edgernn.pipelines.sources import open_source
from edgernn.pipelines.sources.decode import Pcm
from edgernn.pipelines.sources.mqtt import Broker


def test_sound_files(tmp_path: Path, said: list[str]) -> None:
    soundfile = pytest.importorskip("soundfile", reason='FLAC needs soundfile: pip install "edgernn[audio]"')
    soundfile.write(tmp_path / "x.flac", SOUND, RATE, subtype="PCM_16")
    for path in (write_wav(tmp_path / "x.wav", SOUND), tmp_path / "x.flac"):
        np.testing.assert_array_equal(everything(open_source(str(path), RATE, say=said.append)), SOUND / 32768)
    stereo = write_wav(tmp_path / "stereo.wav", np.repeat(SOUND, 2), channels=2)
    np.testing.assert_array_equal(everything(open_source(str(stereo), RATE, say=said.append)), SOUND / 32768)
    assert said == [f"{stereo}: 2 channels, mixed to one"]


def test_a_sound_file_that_is_damaged(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason='FLAC needs soundfile: pip install "edgernn[audio]"')
    soundfile.write(tmp_path / "x.flac", np.tile(SOUND, 20), RATE, subtype="PCM_16")
    data = bytearray((tmp_path / "x.flac").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "x.flac").write_bytes(data)
    with pytest.raises(BadInput, match="cannot be read to its end"):
        everything(open_source(str(tmp_path / "x.flac"), RATE))
    (tmp_path / "x.ogg").write_bytes(b"OggS" + bytes(100))
    with pytest.raises(BadInput, match="not a sound file"):
        open_source(str(tmp_path / "x.ogg"), RATE)


def test_a_recording_that_was_cut_off(tmp_path: Path) -> None:
    whole = write_wav(tmp_path / "x.wav", SOUND).read_bytes()
    streamed = whole[:4] + b"\xff" * 4 + whole[8:40] + b"\xff" * 4 + whole[44:]  # written to a pipe: no length known
    (tmp_path / "streamed.wav").write_bytes(streamed)
    np.testing.assert_array_equal(everything(open_source(str(tmp_path / "streamed.wav"), RATE)), SOUND / 32768)
    (tmp_path / "cut.wav").write_bytes(whole[:-1000])
    with open_source(str(tmp_path / "cut.wav"), RATE) as source, pytest.raises(BadInput, match="header promises"):
        heard = 0
        for block in source:
            heard += len(block.samples)
    assert heard == len(SOUND) - 500
    for name, begun in (("none.wav", whole[:40]), ("begun.wav", whole[:4] + bytes(4) + whole[8:40])):
        (tmp_path / name).write_bytes(begun + bytes(4) + whole[44:])
        with pytest.raises(BadInput, match="was its recording cut off"):
            everything(open_source(str(tmp_path / name), RATE))


def test_a_sample_that_is_not_finite_is_named(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason='float WAV needs soundfile: pip install "edgernn[audio]"')
    samples = np.zeros(2 * RATE, np.float32)
    samples[RATE + 7] = np.nan
    soundfile.write(tmp_path / "x.wav", samples, RATE, subtype="FLOAT")
    np.save(tmp_path / "x.npy", samples.astype(np.float64))
    for name in ("x.wav", "x.npy"):
        with pytest.raises(BadInput, match=rf"{name}: sample {RATE + 7} is nan"):
            everything(open_source(str(tmp_path / name), RATE))


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_another_rate_is_resampled_as_it_comes(rate: int, tmp_path: Path, said: list[str]) -> None:
    pytest.importorskip("soxr", reason='resampling needs soxr: pip install "edgernn[audio]"')
    t = np.arange(RATE) / RATE
    path = write_wav(tmp_path / "x.wav", (20000 * np.sin(2 * np.pi * 440 * t)).astype("<i2"))
    with open_source(str(path), rate, say=said.append) as source:
        blocks = list(source)
    got = np.concatenate([block.samples for block in blocks])
    assert abs(len(got) - rate) <= 1 and "resampled" in said[0]
    wave = 20000 / 32768 * np.sin(2 * np.pi * 440 * np.arange(len(got)) / rate)
    assert np.abs(got - wave)[500:-500].max() < 1e-3
    for block, following in pairwise(blocks):
        assert following.time == pytest.approx(block.time + len(block.samples) / rate)
    (raw,) = [path.read_bytes()[44:]]
    assert len(piped(raw, rate, pcm=str(RATE))) == len(got)


def piped(data: bytes, rate: float, channels: int = 1, pcm: str | None = None) -> np.ndarray:
    """What comes from standard input where `data` stands there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
        return everything(open_source("-", rate, channels, pcm=pcm, say=lambda text: None))


def test_standard_input() -> None:
    np.testing.assert_array_equal(piped(SOUND.tobytes(), RATE, pcm="16000"), SOUND / 32768)
    floats = (SOUND / 32768).astype("<f4")
    np.testing.assert_array_equal(piped(floats.tobytes(), RATE, pcm="16000,1,float32"), floats)
    np.testing.assert_array_equal(piped(SOUND.tobytes(), RATE, pcm="16000,2"), SOUND.reshape(-1, 2).mean(1) / 32768)
    np.testing.assert_array_equal(piped(csv_bytes(ROWS), 50, 3), ROWS)
    lines = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS.tolist())
    np.testing.assert_array_equal(piped(lines, 50, 3), ROWS)


def test_tables(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", ROWS)
    (tmp_path / "x.csv").write_bytes(b"a,b,c\r\n" + csv_bytes(ROWS).rstrip())
    objects = [dict(zip("abc", row, strict=True)) for row in ROWS.tolist()]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in objects))
    for name in ("x.npy", "x.csv", "x.jsonl"):
        np.testing.assert_array_equal(everything(open_source(str(tmp_path / name), 50, 3)), ROWS)


def test_an_array_that_is_cut_while_it_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.tile(ROWS, (100, 1)))
    np.save(tmp_path / "f.npy", np.asfortranarray(ROWS))
    np.testing.assert_array_equal(everything(open_source(str(tmp_path / "f.npy"), 50, 3)), ROWS)
    with open_source(str(tmp_path / "x.npy"), 50, 3) as source:
        blocks = iter(source)
        next(blocks)
        os.truncate(tmp_path / "x.npy", 4096)
        with pytest.raises(BadInput, match=r"x\.npy was cut while it was read"):
            list(blocks)


@pytest.mark.parametrize("follow", [False, True])
def test_a_pipe_with_the_name_of_a_table(follow: bool, tmp_path: Path, said: list[str]) -> None:
    """Each row is there at once; who follows it waits for another writer too."""
    os.mkfifo(path := tmp_path / "x.csv")
    writer = os.open(path, os.O_RDWR)
    with open_source(str(path), 50, 3, follow=follow, say=said.append) as source:
        blocks = iter(source)
        for row in range(2):
            os.write(writer, b"%d,2,3\n" % row)
            assert next(blocks).samples.tolist() == [[row, 2, 3]]
        os.close(writer)
        if follow:
            with path.open("wb") as again:
                again.write(b"4,5,6\n")
            assert next(blocks).samples.tolist() == [[4, 5, 6]]
        else:
            assert list(blocks) == []
    assert not said


def test_a_followed_file(tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgernn.pipelines.sources.files.POLL", 0.001)
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b,c\n1,2,3\n4,5")
    with open_source(str(path), 50, 3, follow=True, say=said.append) as source:
        blocks = iter(source)
        assert next(blocks).samples.tolist() == [[1, 2, 3]]
        with path.open("ab") as file:
            file.write(b",6\n")
        assert next(blocks).samples.tolist() == [[4, 5, 6]]
        (tmp_path / "new.csv").write_bytes(b"a,b,c\n7,8,9\n")
        (tmp_path / "new.csv").rename(path)
        assert next(blocks).samples.tolist() == [[7, 8, 9]]
    assert len(said) == 1 and "replaced" in said[0] and source.tally.refused == 0


NO_SOURCE = {
    "x.png": "no such source",
    "nothing": "udp://HOST:PORT",
    "udp://127.0.0.1": "udp://HOST:PORT expected",
    "tcp://host:port": "tcp://HOST:PORT expected",
    "tcp://host:1?x=2": "tcp://HOST:PORT expected",
    "serial:?baud=9600": "serial:DEVICE",
    "serial:/dev/x?baud=fast": "serial:DEVICE",
    "serial:/dev/x?baud=10000000000": "serial:DEVICE",
    "serial:/dev/x?parity=even": "serial:DEVICE",
    "mqtt://host": "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC expected",
    "mqtt:host/topic": "mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC expected",
}


@pytest.mark.parametrize("text", NO_SOURCE)
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(BadInput) as error:
        open_source(text, RATE)
    assert NO_SOURCE[text] in str(error.value)


@pytest.mark.parametrize("pcm", ["", "fast", "16000,0", "16000,1,int8", "16000,1,int16,2", "0", "-5"])
def test_what_is_no_pcm(pcm: str) -> None:
    with pytest.raises(BadInput, match="PCM"):
        Pcm.parse(pcm)
    assert Pcm.parse("48000,2") == Pcm(48000, 2) and Pcm.parse("8000,1,float32") == Pcm(8000, 1, "float32")


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="followed"):
        open_source("x.wav", RATE, follow=True)
    with pytest.raises(BadInput, match="PCM"):
        open_source("x.csv", RATE, pcm="16000")
    with pytest.raises(BadInput, match="its own speed"):
        open_source("mic", RATE, realtime=True)
    path = write_wav(tmp_path / "x.wav", SOUND, channels=2)
    with pytest.raises(BadInput, match="2 channels, the model takes 3"):
        open_source(str(path), RATE, 3)


MISSING = {"sounddevice": "mic", "paho.mqtt": "mqtt://host/x", "serial": "serial:/dev/x", "soxr": "x.wav"}


@pytest.mark.parametrize("package", MISSING)
def test_missing_packages(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    write_wav(Path("x.wav"), SOUND)
    extra = "sensors" if package in ("paho.mqtt", "serial") else "audio"
    with pytest.raises(BackendUnavailable, match=rf'pip install "edgernn\[{extra}\]"'):
        open_source(MISSING[package], 8000, say=lambda text: None)


def test_which_topics_can_be_subscribed_to() -> None:
    for topic in ("a", "a/b", "+", "#", "a/+/b", "a/#", "+/+/#", "/", "$share/all/a"):
        assert Broker.parse(f"mqtt://host/{topic}").topic == topic
    for topic in ("", "#/a", "a#", "a+/b", "a/##", "a/+b", "a" * 65536, "a\0", "\udce4"):
        with pytest.raises(BadInput, match=r"in a topic \+ stands for any level"):
            Broker.parse(f"mqtt://host/{topic}")
