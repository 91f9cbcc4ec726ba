#!/usr/bin/env python3
"""Run a program beside servers of Confer: with_servers.py SERVER-FOLDER CLI-FOLDER COUNT PROGRAM ARGUMENT...

The program finds the servers in ZOOKEEPER_HOSTS. It may print "@kill-leader" (of one server: kill it and start it
again) and "@start-killed" as lines of their own, and reads "done" when that is so. Exits as the program does."""
import os
import signal
import subprocess
import sys
import tempfile

from servers import Confer, confer_programs

PROGRAM_SECONDS = 200


class Operator:
    """Does to the servers what the program asks for."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.killed = []

    def kill_leader(self):
        leader = self.cluster.leader()
        self.cluster.kill(leader)
        self.killed.append(leader)
        if len(self.cluster.addresses) == 1:
            self.start_killed()
        else:
            self.cluster.leader()

    def start_killed(self):
        for place in self.killed:
            self.cluster.start(place)
        self.killed.clear()
        self.cluster.leader()


def converse(program, operator):
    commands = {"@kill-leader": operator.kill_leader, "@start-killed": operator.start_killed}
    for line in program.stdout:
        if line.strip() in commands:
            commands[line.strip()]()
            program.stdin.write("done\n")
            program.stdin.flush()
        else:
            print(line, end="", flush=True)


def main(server_folder, cli_folder, count, *words):
    with tempfile.TemporaryDirectory() as folder:
        cluster = Confer(int(count), folder, confer_programs(server_folder, cli_folder), "--zookeeper-reconfig")
        try:
            return run(words, Operator(cluster))
        finally:
            cluster.close()


def run(words, operator):
    """The program, and what it started, ends with this or after PROGRAM_SECONDS."""
    program = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
                               env={**os.environ, "ZOOKEEPER_HOSTS": operator.cluster.hosts})
    signal.signal(signal.SIGALRM, lambda number, frame: os.killpg(program.pid, signal.SIGKILL))
    signal.alarm(PROGRAM_SECONDS)
    try:
        converse(program, operator)
        code = program.wait()
        return code if code >= 0 else 1
    finally:
        signal.alarm(0)
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
