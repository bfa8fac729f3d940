#!/usr/bin/env python3
"""Prints the licences of the Rust packages that the library has inside, with their texts, as those must go with it.

Stops when a package has neither a text nor a licence expression. Run where the packages are fetched (`cargo fetch`).
"""

import json
import subprocess
import sys
from pathlib import Path

metadata = json.loads(
    subprocess.check_output(
        ["cargo", "metadata", "--format-version=1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"], text=True
    )
)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

inside, waiting = set(), [id for id, package in packages.items() if package["name"] == "e2i_serve"]
while waiting:
    id = waiting.pop()
    if id in inside:
        continue
    inside.add(id)
    for dependency in nodes[id]["deps"]:
        if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
            waiting.append(dependency["pkg"])

for package in sorted((packages[id] for id in inside), key=lambda package: (package["name"], package["version"])):
    if package["source"] is None:
        continue
    if not package["license"] and not package["license_file"]:
        sys.exit(f"error: {package['name']} {package['version']} names no licence")
    print("=" * 78)
    print(package["name"], package["version"], package["license"] or "", package["repository"] or "", sep="\n")
    folder = Path(package["manifest_path"]).parent
    for text in sorted(folder.glob("*")):
        if text.is_file() and text.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE")):
            print("-" * 78, text.read_text(errors="replace").strip(), sep="\n")
