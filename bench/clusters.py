"""Clusters on loopback that are started, watched, measured and ended alike: Confer, ZooKeeper, etcd."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "tests/integration"))
from ports import free_ports  # noqa: E402

HOST = "127.0.0.1"
LAST_WORDS_MAX = 2000  # characters


class Ending:
    """SIGTERM ends the program as an exception does, so that clusters and folders go too; but not between the start of a process and its being noted."""

    def __init__(self):
        self.is_held = self.is_told = False

    def tell(self, *_):
        self.is_told = True
        if not self.is_held:
            sys.exit("ended by SIGTERM")

    def __enter__(self):
        self.is_held = True

    def __exit__(self, *_):
        self.is_held = False
        if self.is_told:
            self.tell()


ending = Ending()


def end_when_told():
    signal.signal(signal.SIGTERM, ending.tell)


def leading(modes):
    return next((number for number, mode in modes.items() if mode in ("leader", "standalone")), 0)


class Cluster:
    """`programs` has the paths of confer-server (server) and confer-bench (bench)."""

    protocol = "native"
    begin_s_max = 60

    def __init__(self, programs, folder, count):
        self.programs, self.folder, self.processes, self.benches = programs, folder, {}, []
        folder.mkdir(parents=True)
        self.addresses = {number: f"{HOST}:{port}" for number, port in enumerate(free_ports(count), 1)}

    @staticmethod
    def missing():
        """What has to be installed first; empty when nothing."""
        return ""

    def port(self, number):
        return int(self.addresses[number].split(":")[1])

    # --- Life ---

    def start(self, number):
        with open(self.folder / f"{number}.log", "ab") as out, ending:
            self.processes[number] = subprocess.Popen(self.command(number), stdout=out, stderr=out, start_new_session=True)

    def begin(self):
        """Start all, and return when all serve and one leads."""
        for number in self.addresses:
            self.start(number)
        self.join()
        self.wait_for_all()

    def join(self):
        """What has to be done once to make a cluster of the servers."""

    def wait_for_all(self):
        self.wait_for(lambda modes: all(modes.values()) and leading(modes))

    def leader(self):
        """Who leads; waits until one says so."""
        return leading(self.wait_for(leading))

    def wait_for(self, is_so):
        """Ask all for their mode until it is so; the modes by number."""
        deadline = time.monotonic() + self.begin_s_max
        while True:
            modes = {number: self.mode(number) for number in self.processes}
            if is_so(modes):
                return modes
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes.values()):
                raise SystemExit(f"{type(self).__name__} does not serve{self.last_words()}")
            time.sleep(0.02)

    def kill(self, number):
        self.processes[number].kill()
        self.processes.pop(number).wait()

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = {}

    def end(self):
        for bench in self.benches:
            if bench.poll() is None:
                bench.kill()
            bench.wait()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- The load generator ---

    def arguments(self, command, protocol, more):
        addresses = ",".join(self.addresses[number] for number in self.processes)
        return [str(self.programs.bench), command, "--address", addresses, "--protocol", protocol or self.protocol, *map(str, more)]

    def bench(self, command, *more, protocol=None):
        pids = ",".join(str(process.pid) for process in self.processes.values())
        done = subprocess.run(self.arguments(command, protocol, ("--pids", pids, *more)), capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"confer-bench {command}: {done.stderr.strip()}{self.last_words()}")
        return json.loads(done.stdout)

    def bench_beside(self, command, *more, protocol=None):
        """Start it, and return when it has begun; what it prints comes by finish(). It looks at no server's CPU: servers may be killed meanwhile."""
        with ending:
            process = subprocess.Popen(self.arguments(command, protocol, ("--tell-begin", 1, *more)), stdout=subprocess.PIPE, text=True)
            self.benches.append(process)
        process.stdout.readline()
        return process

    def finish(self, process):
        text = process.communicate()[0]
        self.benches.remove(process)
        if process.returncode != 0:
            raise SystemExit(f"{' '.join(process.args[:2])} ended with {process.returncode}{self.last_words()}")
        return json.loads(text)

    def last_words(self):
        """The end of each server's log: their folder goes with the cluster."""
        return "".join(f"\n--- {log.name}\n{log.read_text(errors='replace')[-LAST_WORDS_MAX:].strip()}" for log in sorted(self.folder.glob("*.log")))

    # --- What it uses ---

    def proc(self, name):
        return [pathlib.Path(f"/proc/{process.pid}/{name}").read_text() for process in self.processes.values()]

    def cpu_s(self):
        """Since they began. The number of a process's clock is made of its id as clock_getcpuclockid(3) does on Linux."""
        return sum(time.clock_gettime(~process.pid << 3 | 2) for process in self.processes.values())

    def memory_mb(self, what):
        """VmRSS, RssAnon or VmHWM of all servers."""
        return sum(int(re.search(rf"{what}:\s+(\d+)", text)[1]) for text in self.proc("status")) / 1024

    def forget_peak(self):
        """VmHWM is the peak from here on."""
        for process in self.processes.values():
            pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def files(self):
        """All but the logs. Servers make, rename and remove some meanwhile."""
        return [pathlib.Path(folder) / name for folder, _, names in os.walk(self.folder) for name in names if not name.endswith(".log")]

    def disk_mb(self):
        def blocks(path):
            try:
                return path.stat().st_blocks
            except FileNotFoundError:
                return 0

        return sum(map(blocks, self.files())) * 512 / 2**20

    def forget_files(self):
        """Let the system's cache go of the data, which nobody has open."""
        for path in self.files():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class SpeaksWords(Cluster):
    """Who answers ZooKeeper's four-letter words."""

    def mode(self, number):
        try:
            with socket.create_connection((HOST, self.port(number)), 1) as one:
                one.sendall(b"srvr")
                match = re.search(rb"Mode: (\w+)", one.makefile("rb").read())
                return match[1].decode() if match else ""
        except OSError:
            return ""


class Confer(SpeaksWords):
    def command(self, number):
        return [self.programs.server, "--id", str(number), "--server", self.addresses[number], "--data",
                str(self.folder / str(number)), "--log-level", "info", "--max-connections", "30000",
                "--max-connections-per-address", "30000"]

    def join(self):
        for number in self.addresses:
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection((HOST, self.port(number)), 1).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or self.processes[number].poll() is not None:
                        raise SystemExit(f"server {number} does not listen{self.last_words()}") from None
                    time.sleep(0.002)
        nodes = ",".join(f"{number}={address}" for number, address in self.addresses.items())
        subprocess.run([self.programs.bench, "init", "--address", self.addresses[1], "--nodes", nodes], check=True)


class ZooKeeper(SpeaksWords):
    """As Debian packages it, with its own defaults; its log on the same disk as everybody's."""

    protocol = "zookeeper"
    JAR = pathlib.Path("/usr/share/java/zookeeper.jar")

    def __init__(self, programs, folder, count):
        super().__init__(programs, folder, count)
        peers = free_ports(2 * count)
        members = [f"server.{number}={HOST}:{peers[2 * number - 2]}:{peers[2 * number - 1]}" for number in self.addresses]
        for number in self.addresses:
            data = folder / str(number)
            data.mkdir()
            (data / "myid").write_text(f"{number}\n")
            lines = ["tickTime=2000", "initLimit=10", "syncLimit=5", "maxClientCnxns=0", "admin.enableServer=false",
                     "4lw.commands.whitelist=srvr", f"dataDir={data}", f"clientPort={self.port(number)}",
                     f"clientPortAddress={HOST}"]
            (folder / f"{number}.cfg").write_text("\n".join(lines + (members if count > 1 else [])) + "\n")

    @staticmethod
    def missing():
        return "" if ZooKeeper.JAR.exists() and shutil.which("java") else "zookeeper"

    def command(self, number):
        jars = [self.JAR] + [self.JAR.parent / name for name in ("slf4j-nop.jar", "slf4j-api.jar")]
        return ["java", "-Xmx2g", "-Dzookeeper.jmx.log4j.disable=true", "-cp", ":".join(str(jar) for jar in jars),
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.folder / f"{number}.cfg")]


class Etcd(Cluster):
    """As Debian packages it, with its own defaults but for the quota, which long runs would reach."""

    protocol = "etcd"

    def __init__(self, programs, folder, count):
        super().__init__(programs, folder, count)
        self.peers = dict(zip(self.addresses, free_ports(count)))

    @staticmethod
    def missing():
        return "" if shutil.which("etcd") else "etcd-server"

    def command(self, number):
        client, peer = f"http://{self.addresses[number]}", f"http://{HOST}:{self.peers[number]}"
        members = ",".join(f"n{other}=http://{HOST}:{port}" for other, port in self.peers.items())
        return ["etcd", "--name", f"n{number}", "--data-dir", str(self.folder / str(number)), "--logger", "zap", "--log-level", "warn",
                "--log-outputs", "stderr", "--listen-client-urls", client, "--advertise-client-urls", client,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", members,
                "--initial-cluster-token", str(self.folder), "--quota-backend-bytes", str(8 << 30)]

    def mode(self, number):
        try:
            request = urllib.request.Request(f"http://{self.addresses[number]}/v3/maintenance/status", data=b"{}")
            with urllib.request.urlopen(request, timeout=1) as answer:
                status = json.load(answer)
        except (OSError, ValueError):
            return ""
        if int(status.get("leader", 0)) == 0:
            return ""
        return "leader" if status["leader"] == status["header"]["member_id"] else "follower"


KINDS = {"native": Confer, "zookeeper": Confer, "peer": ZooKeeper, "etcd": Etcd}
PROTOCOLS = {"native": "native", "zookeeper": "zookeeper", "peer": "zookeeper", "etcd": "etcd"}
# What the programs are called where the protocol makes no difference.
NAMES = {Confer: "confer", ZooKeeper: "peer", Etcd: "etcd"}
