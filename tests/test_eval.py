"""Commands on models that decide: convert with settings, run on sound of any rate, evaluate."""

from __future__ import annotations

import json
import re
import tomllib
import wave
from pathlib import Path

import numpy as np
import pytest
from cases import Net
from commands import EXPORTS, GOLDEN, SEQUENCE, STATEFUL, bad, call, good, write_wav

import edgernn
from edgernn.layers import Affine
from edgernn.layers.deciding import Deciding
from edgernn.layers.frontend import FrontEnd
from edgernn.layers.model import Model
from edgernn.pipelines.features import Extractor
from edgernn.pipelines.scoring import NONE, Outcome, quantiles
from edgernn.pipelines.tracks import Decision
from edgernn.pipelines.truth import Recording, Stretch, read_truth

RATE = 16000


@pytest.fixture(scope="module")
def beeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that hears beeps: "low" ones of 500 Hz and "high" ones of 3000 Hz."""
    front = FrontEnd.from_settings({"kind": "logmel", "preset": "kaldi", "rate": RATE, "bands": 20})
    bands = [Extractor(front).feed(beep(hertz, 0.5) / 32768).mean(axis=0) for hertz in (500, 3000)]
    rows = np.zeros((3, 20), np.float32)
    for row, band in zip(rows, bands, strict=False):
        row[band.argmax()] = 1
    net = Net(20)
    model = net.model(y=(net.add(Affine(rows, np.array([-15, -15, 0], np.float32)), "x"), 3))
    table = {"labels": ["low", "high", "noise"], "activation": "softmax", "ignored": ["noise"], "smoothing": 0.05}
    deciding = Deciding.from_settings({**table, "minimum_duration": 0.1, "refractory": 0.2, "release": 0.3})
    path = tmp_path_factory.mktemp("beeps") / "beeps.edgernn"
    Model(model.inputs, model.outputs, (), model.nodes, frontend=front, deciding=deciding).save(path)
    return path


def beep(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """A tone in 16 bits."""
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def song(rate: int = RATE) -> np.ndarray:
    """Silence, low at 1.0-1.5 s, silence, high at 2.0-2.5 s, silence until 4 s."""
    silence = np.zeros(rate // 2, np.int16)
    low, high = beep(500, 0.5, rate), beep(3000, 0.5, rate)
    return np.concatenate([silence, silence, low, silence, high, silence, silence, silence])


def test_run_prints_decisions(beeps: Path, tmp_path: Path) -> None:
    path = write_wav(tmp_path / "song.wav", song())
    found = [json.loads(line) for line in good("run", beeps, path, "--json").splitlines()]
    assert [one["label"] for one in found] == ["low", "high"]
    assert [one["start"] for one in found] == pytest.approx([1, 2], abs=0.06)
    shown = good("run", beeps, path).splitlines()
    assert len(shown) == 2 and "low" in shown[0] and "high" in shown[1]
    answers = good("run", beeps, path, "--answers").splitlines()
    assert answers[0] == "y.0,y.1,y.2" and len(answers) == 1 + 398
    result = call("run", beeps, write_wav(tmp_path / "quiet.wav", np.zeros(RATE, np.int16)))
    assert result.stdout == "" and "no decision in 1.00 s" in result.stderr
    result = call("run", beeps, write_wav(tmp_path / "short.wav", np.zeros(99, np.int16)), "--answers")
    assert result.stdout == "y.0,y.1,y.2\n" and "no answer in 0.01 s" in result.stderr
    assert "no such source" in bad("run", beeps, tmp_path / "song.txt")


def test_sound_of_another_rate_and_of_two_channels(beeps: Path, tmp_path: Path) -> None:
    stereo = write_wav(tmp_path / "stereo.wav", np.stack([song(), song()], axis=1), channels=2)
    result = call("run", beeps, stereo, "--json")
    assert [json.loads(line)["label"] for line in result.stdout.splitlines()] == ["low", "high"]
    assert len(result.stderr.splitlines()) == 1 and "2 channels, mixed to one" in result.stderr
    pytest.importorskip("soxr", reason='resampling needs soxr: pip install "edgernn[audio]"')
    with wave.open(str(tmp_path / "cd.wav"), "wb") as file:
        file.setparams((1, 2, 44100, 0, "NONE", ""))
        file.writeframes(song(44100).tobytes())
    result = call("run", beeps, tmp_path / "cd.wav", "--json")
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [one["start"] for one in found] == pytest.approx([1, 2], abs=0.06)
    assert "44100 samples a second, resampled to 16000" in result.stderr


def test_eval_of_clips(beeps: Path, tmp_path: Path) -> None:
    for folder, tone in {"low": 500, "high": 3000, "other": 1200}.items():
        (tmp_path / folder).mkdir()
        for i in range(2):
            write_wav(tmp_path / folder / f"{i}.wav", beep(tone, 0.5 + i / 10))
    write_wav(tmp_path / "low" / "wrong.wav", np.repeat(beep(3000, 0.5), 2), channels=2)
    write_wav(tmp_path / "low" / "short.wav", beep(500, 0.05))
    result = call("eval", beeps, tmp_path, "--json")
    assert result.exit_code == 0 and "background, as the model does not decide on it: other" in result.stderr
    assert result.stderr.splitlines()[-1] == "1 recording: 2 channels, mixed to one"
    found = json.loads(result.stdout)
    expected = {"high": {"high": 2}, "low": {NONE: 1, "high": 1, "low": 2}, NONE: {NONE: 2}}
    assert found["confusion"] == expected and found["recordings"] == 8
    assert found["accuracy"] == 6 / 8 and (found["stretches"], found["false_rejects"]) == (6, 2)
    assert found["false_accepts"] == 1
    assert found["false_accepts_an_hour"] == pytest.approx(3600 / found["seconds"])
    assert 0.1 < found["latency"]["median"] < 0.2 and found["latency_from_end"] == {}
    shown = good("eval", beeps, tmp_path)
    assert "75.00 %" in shown and "2 of 6" in shown and "is \\ decided" in shown


def test_eval_of_long_recordings(beeps: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "song.wav", song())
    write_wav(tmp_path / "left.wav", song())
    write_wav(tmp_path / "quiet.wav", np.zeros(RATE, np.int16))
    lines = [
        "file,start,end,label",
        "song.wav,1.0,1.5,low",
        "song.wav,3,3.5,low",
        "quiet.wav",
        "",
        "song.wav,3,3.1,cough",
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    result = call("eval", beeps, tmp_path, "--json")
    assert "does not decide on it: cough" in result.stderr and "does not name them: left.wav" in result.stderr
    found = json.loads(result.stdout)
    assert found["confusion"] == {"low": {"low": 1, NONE: 1}, NONE: {"high": 1}}
    assert (found["recordings"], found["seconds"], found["false_accepts"]) == (2, 5.0, 1)
    assert found["latency_from_end"]["median"] == pytest.approx(found["latency"]["median"] - 0.5)


def test_a_stretch_after_the_end_of_its_recording_is_an_error(beeps: Path, tmp_path: Path) -> None:
    """As where the list is in milliseconds."""
    path = write_wav(tmp_path / "song.wav", song())
    (tmp_path / "labels.csv").write_text("file,start,end,label\nsong.wav,1000,1500,low\n")
    message = f"error: {path}: 'low' is to begin at 1000 s, and the recording ends at 4 s\n"
    assert bad("eval", beeps, tmp_path) == message


def test_a_det_curve(beeps: Path, tmp_path: Path) -> None:
    assert "ends with .png" in bad("eval", beeps, tmp_path, "--det", tmp_path / "det.jpg")
    pytest.importorskip("matplotlib", reason='drawing needs matplotlib: pip install "edgernn[plot]"')
    (tmp_path / "low").mkdir()
    write_wav(tmp_path / "low" / "a.wav", beep(500, 0.5))
    found = json.loads(good("eval", beeps, tmp_path, "--det", tmp_path / "det.png", "--json"))
    assert (tmp_path / "det.png").read_bytes().startswith(b"\x89PNG")
    rejects = [point["false_reject_rate"] for point in found["det"]]
    assert rejects == sorted(rejects) and len(rejects) > 5


def test_thresholds_trade_rejects_for_accepts(beeps: Path, tmp_path: Path) -> None:
    from edgernn.pipelines.evaluation import Evaluation

    evaluation = Evaluation(edgernn.load(beeps))
    recording = Recording(write_wav(tmp_path / "song.wav", song()), (Stretch("low", 1.0, 1.5),), False)
    heard = [evaluation.listen(recording, print)]
    points = [evaluation.point(heard, threshold) for threshold in (0.01, 0.5, 1.5)]
    assert [point.false_reject_rate for point in points] == [0, 0, 1]
    assert [point.false_accepts_an_hour for point in points] == [900, 900, 0]
    assert evaluation.own_point(evaluation.outcome(heard)).false_accepts_an_hour == 900


def test_bad_folders(beeps: Path, tmp_path: Path) -> None:
    assert "there is no folder" in bad("eval", beeps, tmp_path / "missing")
    assert "holds no recordings" in bad("eval", beeps, tmp_path)
    (tmp_path / "cough").mkdir()
    write_wav(tmp_path / "cough" / "a.wav", beep(500, 0.4))
    result = call("eval", beeps, tmp_path, "--json")
    assert "is one of low, high: all of it is background" in result.stderr
    assert json.loads(result.stdout)["false_accepts"] == 1
    assert "no decisions to judge" in bad("eval", GOLDEN / "small.edgernn", tmp_path)
    wrong = {
        "begins with 'a,b'": "a,b\n",
        "line 2: start and end are 'x' and '1'": "file,start,end,label\na.wav,x,1,low\n",
        "line 2: file,start,end,label with": "file,start,end,label\na.wav,2,1,low\n",
        "names a.wav, which is not in": "label,end,start,file\nlow,2,1,a.wav\n",
    }
    for message, text in wrong.items():
        (tmp_path / "labels.csv").write_text(text)
        assert message in bad("eval", beeps, tmp_path)


def test_what_counts_for_what(tmp_path: Path) -> None:
    long = Recording(tmp_path, (Stretch("a", 1, 2), Stretch("b", 4, 5)), False)
    outcome = Outcome()
    told = [
        Decision("a", 1, 0.2, 0.9),  # too early
        Decision("a", 1, 2.3, 2.5),  # within what is allowed after the end
        Decision("a", 1, 1.5, 1.6),  # once more
        Decision("a", 1, 4.1, 4.2),  # in a stretch of the other
    ]
    outcome.add(long, told, 1800, 0.1)
    assert (outcome.stretches, outcome.heard, outcome.false_accepts, outcome.false_accepts_an_hour) == (2, 1, 2, 4)
    assert dict(outcome.confusion) == {("a", "a"): 1, ("b", "a"): 1, (NONE, "a"): 1}
    assert outcome.latencies == pytest.approx([0.7]) and outcome.from_end == pytest.approx([-0.3])
    assert quantiles([1.0, 2.0, 3.0]) == {"median": 2, "p90": pytest.approx(2.8)} and quantiles([]) == {}
    (tmp_path / "a").mkdir()
    write_wav(tmp_path / "a" / "x.wav", np.zeros(10, np.int16))
    assert [one.clip for one in read_truth(tmp_path, ["a"], print)] == [True]


FEATURES = '[features]\nkind = "raw"\nrate = 16000\nframe_length = {}\nhop_length = {}\n'


def test_convert_with_features_and_decisions(tmp_path: Path) -> None:
    size = edgernn.convert(STATEFUL).inputs[0].size
    outputs = edgernn.convert(STATEFUL).outputs[0].size
    both = tmp_path / "both.toml"
    labels = ", ".join(f'"label {i}"' for i in range(outputs))
    both.write_text(FEATURES.format(size, size) + f"[decisions]\nlabels = [{labels}]\nthreshold = 0.9\n")
    target = tmp_path / "m.edgernn"
    sound = write_wav(tmp_path / "sound.wav", beep(500, 0.1))
    arguments = ("convert", STATEFUL, "-o", target, "--features", both, "--quantize", "int8", "--calibrate", sound)
    shown = call(*arguments)
    assert shown.exit_code == 0, shown.stderr
    loaded = edgernn.load(target)
    assert loaded.frontend and loaded.deciding and loaded.frontend.rate == 16000
    assert "kind raw" in " ".join(good("inspect", target).split())
    described = json.loads(good("inspect", target, "--json"))
    assert described["features"]["frame_length"] == size and described["decisions"]["top"] == 1


def test_the_settings_in_the_readme() -> None:
    (text,) = re.findall(
        r"```toml\n(.*?)```", (EXPORTS.parents[1] / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    tables = tomllib.loads(text)
    assert FrontEnd.from_settings(tables["features"]).size == 40
    deciding = Deciding.from_settings(tables["decisions"])
    by_label = {**tables["decisions"], "threshold": {"yes": 0.7, "no": 0.8}}
    assert Deciding.from_settings(by_label).threshold[:2] == (0.7, 0.8) and len(deciding.labels) == 3


def test_settings_files_that_do_not_fit(tmp_path: Path) -> None:
    path, target = tmp_path / "logmel.toml", tmp_path / "m.edgernn"
    size = edgernn.convert(SEQUENCE).inputs[0].size
    wrong = {
        f"[features] make {size + 1} numbers a frame, the model takes {size}": FEATURES.format(size + 1, 1),
        "[features] has no setting 'n_mels': write bands": '[features]\nkind = "raw"\nn_mels = 3\n',
        "has no [features]: the tables [features] and [decisions] expected": "",
        "has 'feature': the tables": "[feature]\n",
        "is not TOML": "[features",
    }
    for message, text in wrong.items():
        path.write_text(text)
        assert message in bad("convert", SEQUENCE, "-o", target, "--features", path)
    assert not target.exists() and "No such file" in bad(
        "convert", SEQUENCE, "-o", target, "--features", tmp_path / "x"
    )
    path.write_text("[decisions]\nlabels = ['a']")
    assert "[decisions] need [features]" in bad("convert", SEQUENCE, "-o", target, "--decisions", path)
    with pytest.raises(edgernn.BadInput, match="a table of settings"):
        edgernn.convert(EXPORTS / "gru_batch_first_torchscript.onnx", features=3)  # type: ignore[arg-type]
