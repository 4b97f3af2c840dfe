"""Manifests and bundles, written as the contract says."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

ARGUMENTS = ("--manifest", "m.jsonl", "--numwords", "9")


def write_manifest(folder: Path, *entries: dict[str, Any]) -> None:
    """Write a manifest as the contract says."""
    (folder / "m.jsonl").write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))


def bundle(folder: Path, members: dict[str, bytes]) -> None:
    """Write an archive."""
    with tarfile.open(folder / "b.tar", "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
