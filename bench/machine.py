"""What the machine does meanwhile: the disk's floor, and the processors' time that is nobody's of ours."""
import json
import os
import resource
import subprocess
import time

TICKS_S = os.sysconf("SC_CLK_TCK")


def floor(programs, folder, seconds=0.3):
    done = subprocess.run([programs.bench, "floor", "--dir", folder, "--seconds", str(seconds)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def busy_s():
    with open("/proc/stat") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields[:3]) + sum(fields[5:])) / TICKS_S


def own_s():
    """Of this program and of what it started that has ended."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


class Disturbance:
    """The share of all processors that others use, from here on. `alive` are clusters that live throughout."""

    def __init__(self, alive):
        self.alive = alive
        self.start = (time.monotonic(), busy_s(), self.ours())

    def ours(self):
        return own_s() + sum(cluster.cpu_s() for cluster in self.alive)

    def percent(self):
        start, busy, ours = self.start
        others = (busy_s() - busy) - (self.ours() - ours)
        return max(0.0, 100 * others / (time.monotonic() - start) / os.cpu_count())
