"""What the README shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from jobledger.adapters.embedded.start import stop_server

ROOT = Path(__file__).resolve().parents[1]


def test_the_first_job_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    program = tmp_path / "first_job.py"
    program.write_text(blocks[0])
    environment = os.environ | {"JOBLEDGER_HOME": str(tmp_path / "home")}
    try:
        done = subprocess.run(
            [sys.executable, str(program)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        stop_server(tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert 'counted path="README.md"' in done.stdout
    assert "JobState.COMPLETED" in done.stdout
    assert "✓ Report" in done.stdout
