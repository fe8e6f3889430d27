#!/usr/bin/env python3
"""Builds the page and writes it as a C++ source.

    embed_page.py --npm NPM --work FOLDER web OUT.cc     npm ci, npm run build in FOLDER
    embed_page.py --html FILE OUT.cc                     a page that is built already

FOLDER is a copy of web/: the checkout is not written to. Where web/node_modules has
what package-lock.json asks for, that is used, and no network is needed.
"""

import argparse
import base64
import gzip
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys

WITHOUT = "-DMUSTER_WEB=OFF builds musterd without the page"
ELEMENT = r"<{0}(?:\s[^>]*)?>(.*?)</{0}>"


def fail(message: str) -> None:
    sys.exit(f"embed_page: {message}; {WITHOUT}")


def copy_sources(web: pathlib.Path, work: pathlib.Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    for item in work.iterdir():
        if item.name not in ("node_modules", "installed"):
            shutil.rmtree(item) if item.is_dir() else item.unlink()
    for item in web.iterdir():
        if item.name in ("node_modules", "dist", "build"):
            continue
        if item.is_dir():
            shutil.copytree(item, work / item.name)
        else:
            shutil.copy(item, work / item.name)


def is_installed(web: pathlib.Path) -> bool:
    """Whether web/node_modules has the versions of package-lock.json that we ask for."""
    wanted = json.loads((web / "package-lock.json").read_text())["packages"]
    try:
        found = json.loads((web / "node_modules/.package-lock.json").read_text())["packages"]
    except OSError:
        return False
    asked = {**wanted[""].get("dependencies", {}), **wanted[""].get("devDependencies", {})}
    names = [f"node_modules/{name}" for name in asked]
    return all(found.get(name, {}).get("version") == wanted[name]["version"] for name in names)


def run(npm: str, work: pathlib.Path, *words: str) -> None:
    log = work / "npm.log"
    with log.open("w") as out:
        done = subprocess.run([npm, *words], cwd=work, stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        hint = " (it needs the network, or web/node_modules)" if words[0] == "ci" else ""
        fail(f"'npm {' '.join(words)}' failed{hint}, see {log}")


def build(npm: str, web: pathlib.Path, work: pathlib.Path) -> pathlib.Path:
    copy_sources(web, work)
    modules, stamp = work / "node_modules", work / "installed"
    lock = hashlib.sha256((web / "package-lock.json").read_bytes()).hexdigest()
    if is_installed(web):
        if modules.is_symlink():
            modules.unlink()
        elif modules.exists():
            shutil.rmtree(modules)
        stamp.unlink(missing_ok=True)
        modules.symlink_to((web / "node_modules").resolve())
    elif modules.is_symlink() or not stamp.exists() or stamp.read_text() != lock:
        if modules.is_symlink():
            modules.unlink()
        run(npm, work, "ci")
        stamp.write_text(lock)
    run(npm, work, "run", "build")
    return work / "dist/index.html"


def hashes(html: str, name: str) -> str:
    """Of the elements' contents, as a source list: no such element, nothing allowed."""
    found = re.findall(ELEMENT.format(name), html, re.DOTALL | re.IGNORECASE)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found]
    return " ".join(f"'sha256-{digest}'" for digest in dict.fromkeys(digests)) or "'none'"


def policy(html: str) -> str:
    return "; ".join([
        "default-src 'none'",
        f"script-src {hashes(html, 'script')}",
        f"style-src {hashes(html, 'style')}",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ])


def source(page: bytes) -> str:
    packed = gzip.compress(page, compresslevel=9, mtime=0)
    lines = [", ".join(str(byte) for byte in packed[i:i + 24]) for i in range(0, len(packed), 24)]
    array = ",\n    ".join(lines)
    return f"""// Made by cmake/embed_page.py.
#include "daemon/page/page.h"

namespace muster::page {{
namespace {{

constexpr unsigned char kGzip[] = {{
    {array}}};

constexpr char kPolicy[] =
    "{policy(page.decode())}";

}}  // namespace

const Page* Embedded() {{
  static const Page page = {{
      {{reinterpret_cast<const char*>(kGzip), sizeof(kGzip)}},
      {len(page)},
      "{hashlib.sha256(page).hexdigest()[:16]}",
      kPolicy}};
  return &page;
}}

}}  // namespace muster::page
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--npm")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--html", type=pathlib.Path)
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    arguments = parser.parse_args()
    html = arguments.html or build(arguments.npm, arguments.paths[0], arguments.work)
    try:
        page = html.read_bytes()
    except OSError as error:
        fail(f"the page's build left no {error.filename}")
    arguments.paths[-1].write_text(source(page))


if __name__ == "__main__":
    main()
