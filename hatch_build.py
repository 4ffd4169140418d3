"""Compiles the hot modules by mypyc, if QUORATE_COMPILE=1; else the package is pure Python."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "QUORATE_COMPILE"
LIBRARY = "quorate"
"""The code of all modules is in one library beside the package, `quorate__mypyc`."""


class CompileHook(BuildHookInterface[Any]):
    """Puts machine code beside the sources, which stay: tracebacks and tools read them."""

    def dependencies(self) -> list[str]:
        """What compiling needs: mypy also looks at the types of what we depend on."""
        if not _is_wanted():
            return []
        return ["mypy[mypyc]>=2.4", *self.metadata.core.dependencies]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile. An editable install stays pure, so that no stale code lies among sources."""
        if not _is_wanted() or version == "editable":
            return
        self._made = TemporaryDirectory()
        built = _compile([f"src/{module}" for module in self.config["modules"]], self._made.name)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for file in built:
            name = file.relative_to(Path(self._made.name, "lib"))
            build_data["force_include"][str(file)] = name.as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Nothing is left behind."""
        if hasattr(self, "_made"):
            self._made.cleanup()


def _is_wanted() -> bool:
    return os.environ.get(VARIABLE, "0") == "1"


def _compile(sources: list[str], folder: str) -> list[Path]:
    """Compile these files; the extension modules, laid out as in the package."""
    from mypyc.build import mypycify
    from setuptools import Distribution

    options = ["--follow-imports=silent", *sources]
    extensions = mypycify(options, group_name=LIBRARY, target_dir=f"{folder}/c", debug_level="0")
    command = Distribution({"name": LIBRARY, "ext_modules": extensions}).get_command_obj(
        "build_ext"
    )
    command.build_lib, command.build_temp = f"{folder}/lib", f"{folder}/temp"
    command.ensure_finalized()
    command.run()
    return [Path(folder, "lib", name) for name in command.get_outputs()]
