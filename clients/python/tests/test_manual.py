"""The shell and Python blocks of the manual's chapter, in their order, in one folder and one Python session."""

import os
import re
import subprocess
import sys
from pathlib import Path

CHAPTER = Path(__file__).parents[3] / "docs" / "17-python.md"
BLOCK = re.compile(r"(<!-- not run: .*-->\n)?```(sh|python)\n(.*?)```", re.S)


def test_the_chapter(dsn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("E2I_SERVE_URL", dsn)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    session, ran = {}, {"sh": 0, "python": 0}
    for skipped, language, code in BLOCK.findall(CHAPTER.read_text()):
        if skipped:
            continue
        ran[language] += 1
        if language == "python":
            exec(compile(code, str(CHAPTER), "exec"), session)
        else:
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True)
            assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
    assert ran == {"sh": 4, "python": 5}
