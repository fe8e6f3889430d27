"""Programs that drive the page in a real browser: web/e2e, one for each scenario."""

import json
import os
import pathlib
import shutil
import subprocess

from conftest import ROOT

WEB = ROOT / "web"
SCREENSHOTS = pathlib.Path(os.environ.get("MUSTER_SCREENSHOTS", ROOT / "build" / "screenshots"))


def install():
    """What npm has to bring: playwright-core and axe-core, without a browser."""
    lock = WEB / "package-lock.json"
    done = WEB / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci"], cwd=WEB, check=True, capture_output=True, timeout=300)


def start(scenario, url, folder, given):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    output = SCREENSHOTS / folder
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    return subprocess.Popen(
        ["node", WEB / "e2e" / f"{scenario}.mjs", url, output, json.dumps(given)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """What the scenario saw. No scenario may see an error or ask another server."""
    try:
        output, errors = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    saw = json.loads(output.splitlines()[-1])
    assert saw["errors"] == [], saw["errors"]
    assert saw["foreign"] == [], saw["foreign"]
    return saw


def see(scenario, url, folder=None, **given):
    return finish(start(scenario, url, folder or scenario, given))
