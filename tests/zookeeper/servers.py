"""Servers as child processes on loopback, with ports and a folder of their own: Confer's, and a real ZooKeeper."""
import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from ports import free_ports  # noqa: E402

DEADLINE_SECONDS = 30
SWEEP_MS = 100  # how often containers and nodes with a time to live are looked through
SUPER_DIGEST = "super:D/InIHSb7yEEbrWz8b9l71RjZJU="  # super:test
JAVA_FOLDER = pathlib.Path("/usr/share/java")


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """For preexec_fn: however this test ends, the process ends with it."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_listening(address):
    host, port = address.split(":")
    with socket.socket() as one:
        return one.connect_ex((host, int(port))) == 0


class Servers:
    """What both kinds share: `addresses`, `processes`, and how a server is started and ended."""

    def __init__(self, count, folder):
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self.folder = pathlib.Path(folder)
        self.processes = [None] * count

    def member(self, number, role):
        """A server as reconfig and /zookeeper/config name it."""
        return f"server.{number}={self.peers[number - 1]}:{role};{self.addresses[number - 1]}"

    @property
    def hosts(self):
        return ",".join(self.addresses)

    def launch(self, place, words):
        with open(self.folder / f"{place + 1}.log", "ab") as log:
            self.processes[place] = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL,
                                                     stdout=log, stderr=log, preexec_fn=die_with_parent)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not is_listening(self.addresses[place]):
            if time.monotonic() > deadline or self.processes[place].poll() is not None:
                raise RuntimeError(f"{words[0]} does not start:\n{self.log(place)}")
            time.sleep(0.01)

    def log(self, place):
        return (self.folder / f"{place + 1}.log").read_text(errors="replace")

    def ask(self, place, word, seconds=DEADLINE_SECONDS):
        """A four-letter word's answer. A server that starts may give none: who asks again waits for less."""
        host, port = self.addresses[place].split(":")
        try:
            with socket.create_connection((host, int(port)), timeout=seconds) as one:
                one.sendall(word)
                return one.makefile("rb").read()
        except OSError:
            return b""

    def kill(self, *places):
        """At one moment, so that the others hold no election in between."""
        there = [self.processes[place] for place in places if self.processes[place] is not None]
        for process in there:
            process.kill()
        for process in there:
            process.wait()

    def close(self):
        self.kill(*range(len(self.processes)))


class Confer(Servers):
    """A cluster of Confer's servers, formed. `programs` tells where confer-server and confer-cli are."""

    def __init__(self, count, folder, programs, *options):
        super().__init__(count, folder)
        self.programs = programs
        self.options = options
        self.peers = [f"{address}:{address.split(':')[1]}" for address in self.addresses]
        for place in range(count):
            self.start(place)
        self.cli("init", "--nodes", ",".join(f"{place + 1}={one}" for place, one in enumerate(self.addresses)))

    def start(self, place):
        self.launch(place, [self.programs["server"], "--id", place + 1, "--server", self.addresses[place],
                            "--data", self.folder / str(place + 1), "--zookeeper-super-digest", SUPER_DIGEST,
                            "--container-check-interval", f"{SWEEP_MS}ms", *self.options])

    def cli(self, *arguments):
        return subprocess.run([self.programs["cli"], "--address", self.hosts, *arguments], check=True,
                              capture_output=True, text=True, timeout=DEADLINE_SECONDS).stdout

    def leader(self):
        """Its place; waits while an election is under way."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            try:
                lines = [line for line in self.cli("status").splitlines() if " leader " in line]
            except subprocess.CalledProcessError:
                lines = []
            if lines:
                return int(lines[0].split()[0]) - 1
            time.sleep(0.05)
        raise AssertionError("nobody leads")


def confer_programs(server_folder, cli_folder):
    return {"server": str(pathlib.Path(server_folder) / "confer-server"),
            "cli": str(pathlib.Path(cli_folder) / "confer-cli")}


def zookeeper_classpath():
    """Of the installed ZooKeeper, or what ZOOKEEPER_CLASSPATH says; None if there is none, or no Java."""
    if shutil.which("java") is None:
        return None
    if os.environ.get("ZOOKEEPER_CLASSPATH"):
        return os.environ["ZOOKEEPER_CLASSPATH"]
    jar = JAVA_FOLDER / "zookeeper.jar"
    # The jar names what it needs, but for the binding of its log.
    return f"{jar}:{JAVA_FOLDER}/slf4j-simple.jar" if jar.exists() else None


class ZooKeeper(Servers):
    """Real ZooKeepers, one standalone or an ensemble, with everything on that Confer has always on."""

    def __init__(self, count, folder):
        super().__init__(count, folder)
        self.peers = [f"127.0.0.1:{quorum}:{election}" for quorum, election in zip(*[iter(free_ports(2 * count))] * 2)]
        (self.folder / "members.cfg").write_text(
            "".join(f"{self.member(place + 1, 'participant')}\n" for place in range(count)))
        for place in range(count):
            self.configure(place)
        # The last of an ensemble comes to one that has its leader, and so does not lead: scripts remove it.
        first = range(max(count - 1, 1))
        for places in (first, range(len(first), count)):
            for place in places:
                self.start(place)
            self.version = self.wait_for_version(range(places.stop))

    def configure(self, place):
        host, port = self.addresses[place].split(":")
        data = self.folder / f"data{place + 1}"
        data.mkdir()
        (data / "myid").write_text(f"{place + 1}\n")
        members = self.folder / f"members{place + 1}.cfg"  # it writes to it
        shutil.copy(self.folder / "members.cfg", members)
        peers = f"initLimit=10\nsyncLimit=5\nreconfigEnabled=true\ndynamicConfigFile={members}\n"
        own = f"clientPort={port}\nclientPortAddress={host}\n"
        (self.folder / f"{place + 1}.cfg").write_text(
            f"tickTime=2000\nmaxClientCnxns=0\n4lw.commands.whitelist=*\nadmin.enableServer=false\n"
            f"dataDir={data}\n" + (own if len(self.addresses) == 1 else peers))

    def start(self, place):
        properties = {"extendedTypesEnabled": "true", "DigestAuthenticationProvider.superDigest": SUPER_DIGEST,
                      "forceSync": "no", "jmx.log4j.disable": "true"}
        self.launch(place, ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                            *(f"-Dzookeeper.{name}={value}" for name, value in properties.items()),
                            f"-Dznode.container.checkIntervalMs={SWEEP_MS}", "-Dreadonlymode.enabled=true",
                            "-cp", zookeeper_classpath(), "org.apache.zookeeper.server.quorum.QuorumPeerMain",
                            self.folder / f"{place + 1}.cfg"])

    def wait_for_version(self, places):
        """As "3.9": told as soon as all of these serve."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            told = [re.match(rb"Zookeeper version: (\d+\.\d+)[^\n]*\nLatency", self.ask(place, b"srvr", 1))
                    for place in places]
            if all(told):
                return told[0][1].decode()
            if time.monotonic() > deadline:
                raise RuntimeError(f"ZooKeeper does not serve:\n{self.log(0)}")
            time.sleep(0.05)
