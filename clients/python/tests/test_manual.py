"""The shell and Python blocks of the manual's chapter, in their order, in one folder and one Python session."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

CHAPTER = Path(__file__).parents[3] / "docs" / "17-python.md"
BLOCK = re.compile(r"```(sh|python)\n(.*?)```", re.S)


def test_the_chapter(dsn, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("E2I_SERVE_URL", dsn)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    chapter = CHAPTER.read_text()
    blocks = BLOCK.findall(chapter)
    assert len(blocks) == chapter.count("```") // 2 == 15 and "not run" not in chapter
    session = {}
    try:
        for language, code in blocks:
            code = code.replace("8080", port)
            if language == "python":
                exec(compile(code, str(CHAPTER), "exec"), session)
            else:
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True)
                assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
                assert "━" not in done.stdout + done.stderr, "bars are for terminals"
    finally:
        if (tmp_path / "gateway.pid").exists():
            try:
                os.kill(int((tmp_path / "gateway.pid").read_text()), signal.SIGTERM)
            except ProcessLookupError:
                pass
