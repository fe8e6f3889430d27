"""A TypeScript project of this repository, compiled in a folder that keeps its packages from one run to the next."""

import shutil
import subprocess

import pytest
from conftest import ROOT

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


def compiled(source, name):
    """The folder build/NAME with the compiled project of the folder `source`."""
    folder = ROOT / "build" / name
    lock = (source / "package-lock.json").read_bytes()
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for file in ("package.json", "package-lock.json", ".npmrc", "tsconfig.json"):
        shutil.copy(source / file, folder)
    for part in ("src", "out"):
        shutil.rmtree(folder / part, ignore_errors=True)
    shutil.copytree(source / "src", folder / "src")
    if not stamp.exists():
        run(folder, "npm", "ci", "--no-audit", "--no-fund")
        stamp.write_bytes(lock)
    run(folder, "npm", "run", "build")
    return folder


def run(folder, *command):
    """Standard output of a command that has to succeed there."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
