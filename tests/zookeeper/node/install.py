#!/usr/bin/env python3
"""Install the packages of package-lock.json into a folder outside of the sources: install.py FOLDER

Exit code 77: there is no npm, or it cannot reach its registry."""
import pathlib
import shutil
import subprocess
import sys

INSTALL_SECONDS = 120
here = pathlib.Path(__file__).resolve().parent
folder = pathlib.Path(sys.argv[1])
lock = folder / "package-lock.json"

if (folder / "node_modules").is_dir() and lock.exists() and lock.read_text() == (here / lock.name).read_text():
    sys.exit(0)
if shutil.which("npm") is None:
    print("npm is not installed (scripts/setup --clients)")
    sys.exit(77)
folder.mkdir(parents=True, exist_ok=True)
shutil.copy(here / "package.json", folder)
shutil.copy(here / lock.name, folder)
try:
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True,
                   timeout=INSTALL_SECONDS)
except (subprocess.SubprocessError, OSError) as reason:
    lock.unlink()
    print(f"the packages cannot be installed: {reason}")
    sys.exit(77)
