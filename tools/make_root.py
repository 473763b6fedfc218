"""A folder with the real Python and NumPy of another architecture, of Debian's packages, to be run by QEMU.

    python tools/make_root.py arm64 FOLDER

or armhf, or riscv64; nothing is installed, and nothing outside FOLDER is written. Then, with a copy of what edgernn
depends on and is of no architecture (click, rich) in SITE, and safetensors' wheel for this one:

    export PYTHONPATH=.:SITE:FOLDER/usr/lib/python3/dist-packages
    qemu-aarch64-static -cpu cortex-a72 -L FOLDER FOLDER/usr/bin/python3 -m edgernn demo
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

SOURCE = "deb http://deb.debian.org/debian trixie main\n"  # for tests alone, so that updates are not waited for
PYTHON = ("python3-minimal", "libpython3-stdlib")
PACKAGES = (*PYTHON, "python3-numpy")


def apt(folder: Path, architecture: str, *arguments: str) -> None:
    """apt-get with lists, cache and installed packages (none) of its own."""
    apart = folder / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (apart / name).mkdir(parents=True, exist_ok=True)
    (apart / "status").touch()
    (apart / "sources.list").write_text(SOURCE)
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
        "Dir::Cache": str(apart / "cache"),
        "Dir::State": str(apart / "state"),
        "Dir::Etc::sourcelist": str(apart / "sources.list"),
        "Dir::Etc::sourceparts": str(apart / "none"),
        "Dir::State::status": str(apart / "status"),
    }
    given = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    subprocess.run(["apt-get", "-q", *given, *arguments], check=True, stdout=subprocess.DEVNULL)


def make(folder: Path, architecture: str, packages: tuple[str, ...] = PACKAGES) -> None:
    """Download and unpack these packages and what they need."""
    apt(folder, architecture, "update")
    apt(folder, architecture, "install", "--download-only", "--yes", *packages)
    files = sorted((folder / "apt" / "cache" / "archives").glob("*.deb"))
    for package in files:
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    (folder / "lib").symlink_to("usr/lib")
    for library in (folder / "usr" / "lib").glob("*/*/lib*.so.3"):  # which of several is a choice, made at installation
        (library.parent.parent / library.name).symlink_to(library.relative_to(library.parent.parent))
    print(f"{folder}: {len(files)} packages")


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture", choices=("arm64", "armhf", "riscv64"))
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    make(given.folder.absolute(), given.architecture)


if __name__ == "__main__":
    main()
