"""The other Pythons on this machine, each made ready to run this very source."""

import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import msgspec

import quorate

VERSIONS = ("3.11", "3.12", "3.13")


class Interpreter(msgspec.Struct, frozen=True):
    """A Python that can import `quorate` with this PYTHONPATH, or why there is none."""

    version: str
    python: str = ""
    path: str = ""
    absent: str = ""


def this() -> Interpreter:
    """The Python that runs this."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Interpreter(version, sys.executable, str(Path(quorate.__file__).parents[1]))


def others(folder: Path) -> list[Interpreter]:
    """The supported versions but this one. What they need is installed in `folder`."""
    source = folder / "source"
    shutil.copytree(
        Path(quorate.__file__).parent,
        source / "quorate",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    mine = this().version
    return [_prepare(version, folder, source) for version in VERSIONS if version != mine]


def _prepare(version: str, folder: Path, source: Path) -> Interpreter:
    base = _find(version)
    if base is None:
        return Interpreter(version, absent=f"no python{version} was found")
    home = folder / version
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    needs = [need for need in requires("quorate") or () if "extra" not in need]
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([base, "-m", "venv", str(home)], [*install, *needs]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            return Interpreter(version, absent=f"python{version} cannot be made ready: {last}")
    return Interpreter(version, str(python), str(source))


def _find(version: str) -> str | None:
    """A Python of that version: on the PATH, or where pyenv and uv keep theirs."""
    name = f"python{version}"
    home = Path.home()
    candidates = [shutil.which(name)]
    candidates += map(str, sorted(home.glob(f".pyenv/versions/{version}*/bin/{name}")))
    candidates += map(str, sorted(home.glob(f".local/share/uv/python/*-{version}*/bin/{name}")))
    return next((found for found in candidates if found and _is(found, version)), None)


def _is(python: str, version: str) -> bool:
    """Whether it runs, and is of that version: a launcher may stand for none."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.stdout.strip() == version
