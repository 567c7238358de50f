"""Microsoft's libraries alone are enough for a New web service."""

from __future__ import annotations

import subprocess
import sys


def test_the_azure_libraries_alone_sign_in_list_get_patch_and_delete(start_studio, script, tmp_path):
    studio = start_studio(timings={"provisioning": "0.1s"})
    done = subprocess.run(
        # Isolated: neither this directory nor PYTHONPATH leads to our own code.
        [sys.executable, "-I", "-W", "error", str(script), str(studio.cloud_file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    size, status = said[2].split()[1], said[3].split()[-1]
    assert said == [
        "listed BreastCancer BreastCancerTraining",
        "got Breast Cancer [trained model]",
        f"read {size} bytes of initial/breast-cancer.ilearner",
        f"without its SAS: refused with {status}",
        "patched True",
        "deleted WebServiceNotFound",
        "of our own:",
    ]
    assert int(size) > 1000
    assert status in {"403", "404", "409"}
