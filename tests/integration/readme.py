#!/usr/bin/env python3
"""Run the ```sh blocks of README.md, as a reader would: python3 readme.py README.md FOLDER-OF-PROGRAMS...

All blocks run in one shell, in an empty folder, with the built programs on PATH; the first command that fails ends it.
Ports 10001 to 10099 are replaced by free ones. What the blocks leave running is ended. Exit code 77: there is nothing
to run."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

from ports import free_ports

DEADLINE_SECONDS = 180
SERVER = re.compile(r"^(confer-server .*--server (?:http://)?([^: ]+):(\d+).*&)$", re.MULTILINE)
# A reader types the next command when the server has said that it is ready.
READY = r"\1\nuntil (exec 3<>/dev/tcp/\2/\3) 2>/dev/null; do sleep 0.05; done"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script_of(text):
    script = "".join(f"echo '--- block {number}'\n{block}" for number, block in enumerate(BLOCK.findall(text), 1))
    named = sorted(set(re.findall(r"\b100\d\d\b", script)))
    ports = dict(zip(named, map(str, free_ports(len(named)))))
    return SERVER.sub(READY, re.sub(r"\b100\d\d\b", lambda found: ports[found[0]], script))


def main():
    readme = pathlib.Path(sys.argv[1])
    script = script_of(readme.read_text()) if readme.exists() else ""
    if not script:
        print("README.md has no sh block")
        return 77
    environment = {**os.environ, "PATH": ":".join([*sys.argv[2:], os.environ["PATH"]])}
    with tempfile.TemporaryDirectory() as folder:
        shell = subprocess.Popen(["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=environment,
                                 stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            code = shell.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"the blocks did not end within {DEADLINE_SECONDS} seconds")
            code = 1
        finally:
            try:
                os.killpg(shell.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            shell.wait()
    return 1 if code else 0


sys.exit(main())
