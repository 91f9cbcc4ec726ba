#!/usr/bin/env python3
"""Start clusters on loopback, drive them with confer-bench, print a table.

    bench/run.py --server build/release/server/confer-server --bench build/release/bench/confer-bench \\
        [--dir FOLDER-ON-A-REAL-DISK] [--seconds 5] [--rounds 1] [--servers 1,3] [--points 1x1,16x1,64x16] \\
        [--ops set,get,lget] [--systems native,zookeeper,peer] [--watchers 1000,10000] [--sessions 10000] [--failover 5]
        [--nodes 1000000]

native and zookeeper are Confer's two protocols on one cluster; peer is Debian's ZooKeeper, driven by the same generator. With several systems they
take turns within each round, the medians of all rounds are printed, and each row tells how it compares with the peer in the same run.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

HOST = "127.0.0.1"


def free_ports(count):
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """Processes that are started, watched and ended alike."""

    def __init__(self, options, folder, count):
        self.options, self.folder, self.processes = options, folder, {}
        self.addresses = {number: f"{HOST}:{port}" for number, port in enumerate(free_ports(count), 1)}

    def start(self, number):
        with open(self.folder / f"{number}.log", "ab") as out:
            self.processes[number] = subprocess.Popen(self.command(number), stdout=out, stderr=out)
        self.wait(number)

    def wait(self, number):
        host, port = self.addresses[number].split(":")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.001)
        raise SystemExit(f"server {number} does not listen; its log: {self.folder}/{number}.log")

    def bench(self, command, *more):
        pids = ",".join(str(process.pid) for process in self.processes.values())
        done = subprocess.run([self.options.bench, command, "--address", ",".join(self.addresses.values()), "--pids", pids,
                               *more], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"confer-bench {command}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def resident_mb(self):
        total = 0
        for process in self.processes.values():
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            total += int(re.search(r"VmRSS:\s+(\d+)", status)[1])
        return total / 1024

    def kill(self, number):
        self.processes[number].kill()
        self.processes[number].wait()
        del self.processes[number]

    def stop(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Confer(Cluster):
    def command(self, number):
        return [self.options.server, "--id", str(number), "--server", self.addresses[number], "--data",
                str(self.folder / str(number)), "--log-level", "info", "--max-connections", "30000", "--max-connections-per-address", "30000"]

    def begin(self):
        for number in self.addresses:
            self.start(number)
        nodes = ",".join(f"{number}={address}" for number, address in self.addresses.items())
        subprocess.run([self.options.bench, "init", "--address", self.addresses[1], "--nodes", nodes], check=True)
        self.bench("load", "--seconds", "0.3", "--warmup", "0.5")

    def leader(self):
        found = 0
        for number in self.addresses:
            for line in (self.folder / f"{number}.log").read_text().splitlines():
                match = re.search(r" leader_changed .*leader=(\d+)", line)
                if match and int(match[1]):
                    found = int(match[1])
        return found


class ZooKeeper(Cluster):
    """As Debian packages it, with its own defaults; its log on the same disk as everybody's."""

    JAR = pathlib.Path("/usr/share/java/zookeeper.jar")

    def __init__(self, options, folder, count):
        super().__init__(options, folder, count)
        peers = free_ports(2 * count)
        members = [f"server.{number}={HOST}:{peers[2 * number - 2]}:{peers[2 * number - 1]}" for number in self.addresses]
        for number, address in self.addresses.items():
            data = folder / str(number)
            data.mkdir()
            (data / "myid").write_text(f"{number}\n")
            lines = ["tickTime=2000", "initLimit=10", "syncLimit=5", "maxClientCnxns=0", "admin.enableServer=false",
                     "4lw.commands.whitelist=srvr", f"dataDir={data}", f"clientPort={address.split(':')[1]}",
                     f"clientPortAddress={HOST}"]
            (folder / f"{number}.cfg").write_text("\n".join(lines + (members if count > 1 else [])) + "\n")

    def command(self, number):
        jars = [self.JAR] + [self.JAR.parent / name for name in ("slf4j-nop.jar", "slf4j-api.jar")]
        return ["java", "-Xmx1g", "-Dzookeeper.jmx.log4j.disable=true", "-cp", ":".join(str(jar) for jar in jars),
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.folder / f"{number}.cfg")]

    def mode(self, number):
        host, port = self.addresses[number].split(":")
        try:
            with socket.create_connection((host, int(port)), 1) as one:
                one.sendall(b"srvr")
                match = re.search(rb"Mode: (\w+)", one.makefile("rb").read())
                return match[1].decode() if match else ""
        except OSError:
            return ""

    def leader(self):
        return next((number for number in self.processes if self.mode(number) in ("leader", "standalone")), 0)

    def begin(self):
        for number in self.addresses:
            with open(self.folder / f"{number}.log", "ab") as out:
                self.processes[number] = subprocess.Popen(self.command(number), stdout=out, stderr=out)
        deadline = time.monotonic() + 60
        while not all(self.mode(number) for number in self.addresses):
            if time.monotonic() > deadline:
                raise SystemExit(f"ZooKeeper does not start; its logs: {self.folder}")
            time.sleep(0.1)
        # Java gets fast by being used.
        self.bench("load", "--protocol", "zookeeper", "--seconds", "3", "--connections", "16", "--pipeline", "4")


def failover(cluster, protocol, seconds):
    arguments = [cluster.options.bench, "failover", "--address", ",".join(cluster.addresses.values()), "--protocol", protocol,
                 "--connections", "8", "--warmup", "0.5", "--seconds", str(seconds)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as running:
        time.sleep(0.5 + seconds / 2)
        leader = cluster.leader()
        cluster.kill(leader)
        got = json.loads(running.communicate()[0])
    return leader, got


def populated(cluster, nodes):
    got = cluster.bench("populate", "--nodes-count", str(nodes))
    print(f"{nodes} nodes of 100 bytes: {got['nodes_s']} nodes/s, {cluster.resident_mb():.0f} MB resident", flush=True)
    for number in list(cluster.processes):
        cluster.processes[number].send_signal(signal.SIGTERM)
        cluster.processes[number].wait()
        start = time.monotonic()
        cluster.start(number)
        print(f"start to listening with {nodes} nodes: {(time.monotonic() - start) * 1000:.0f} ms, "
              f"{cluster.resident_mb():.0f} MB resident", flush=True)


NUMBERS = ("ops_s", "p50_us", "p99_us", "server_cpu_s_per_kop")


def median(rounds):
    got = {name: statistics.median(one[name] for one in rounds) for name in NUMBERS}
    got["failed"] = sum(one["errors"] + one["lost"] for one in rounds)
    return got


def show(name, system, got, peer):
    def ratio(number):
        if peer is None or system == "peer" or not peer[number] or not got[number]:
            return ""
        return f"{got[number] / peer[number]:.2f}"

    print(f"{name:12} {system:10} {got['ops_s']:>9.0f} {ratio('ops_s'):>6} {got['p50_us']:>8.0f} {ratio('p50_us'):>6} "
          f"{got['p99_us']:>8.0f} {ratio('p99_us'):>6} {got['server_cpu_s_per_kop']:>11.5f} {ratio('server_cpu_s_per_kop'):>6} "
          f"{got['failed']:>7.0f}", flush=True)


def measure(options, clusters):
    print(f"{'':12} {'':10} {'ops/s':>9} {'':>6} {'p50 us':>8} {'':>6} {'p99 us':>8} {'':>6} {'CPU s/1000':>11} {'':>6} {'failed':>7}")
    for op in options.ops.split(","):
        for point in options.points.split(","):
            connections, pipeline = point.split("x")
            rounds = {system: [] for system in clusters}
            for _ in range(options.rounds):
                for system, (cluster, protocol) in clusters.items():
                    rounds[system].append(cluster.bench(
                        "load", "--op", op, "--protocol", protocol, "--connections", connections, "--pipeline", pipeline,
                        "--seconds", options.seconds))
            medians = {system: median(done) for system, done in rounds.items()}
            for system, got in medians.items():
                show(f"{op} {point}", system, got, medians.get("peer"))


def crowds(options, clusters):
    """One write to many watchers, and sessions that do nothing: medians of the rounds are the program's own."""
    for watchers in options.watchers:
        for system, (cluster, protocol) in clusters.items():
            got = cluster.bench("watch", "--protocol", protocol, "--connections", str(watchers))
            print(f"{watchers} watchers of a node, {system}: the last is told after {got['last_ms']} ms, "
                  f"{got['server_cpu_us_per_event']} us of CPU an event", flush=True)
    for sessions in options.sessions:
        for system, (cluster, protocol) in clusters.items():
            got = cluster.bench("sessions", "--protocol", protocol, "--connections", str(sessions), "--seconds", "20")
            print(f"{sessions} sessions, {system}: {got['opened_s']} opened a second for {got['open_cpu_us']} us of CPU each, "
                  f"{got['kib_per_session']} KiB each, idle {got['idle_cpu_s_per_s']} CPU s a second", flush=True)


def numbers(text):
    return [int(part) for part in text.split(",") if part]


def make_clusters(options, folder, count):
    """By system: its cluster, and the protocol to speak with it."""
    systems = options.systems.split(",")
    clusters = {}
    if "native" in systems or "zookeeper" in systems:
        (folder / "confer").mkdir()
        confer = Confer(options, folder / "confer", count)
        clusters.update({system: (confer, system) for system in systems if system != "peer"})
    if "peer" in systems:
        if not ZooKeeper.JAR.exists() or shutil.which("java") is None:
            raise SystemExit("the peer is not installed: apt-get install zookeeper")
        (folder / "peer").mkdir()
        clusters["peer"] = (ZooKeeper(options, folder / "peer", count), "zookeeper")
    return clusters


def run(options, folder, count):
    clusters = make_clusters(options, folder, count)
    different = {id(cluster): cluster for cluster, _ in clusters.values()}.values()
    try:
        for cluster in different:
            cluster.begin()
        floor = json.loads(subprocess.run([options.bench, "floor", "--dir", str(folder), "--seconds", options.seconds],
                                          check=True, capture_output=True, text=True).stdout)
        print(f"\n{count} server(s); 4 KiB write + fdatasync here: p50 {floor['p50_us']} us, p99 {floor['p99_us']} us")
        measure(options, clusters)
        crowds(options, clusters)
        for cluster in different:
            print(f"resident memory of all servers ({type(cluster).__name__}): {cluster.resident_mb():.1f} MB")
        first = next(iter(clusters.values()))[0]
        if options.nodes and count == 1:
            populated(first, options.nodes)
        if options.failover and count > 1:
            for cluster in different:
                protocol = next(protocol for one, protocol in clusters.values() if one is cluster)
                leader, got = failover(cluster, protocol, options.failover)
                print(f"{type(cluster).__name__}: leader {leader} killed: longest gap in acknowledged writes "
                      f"{got['longest_gap_ms']} ms, {got['errors']} unknown, {got['lost']} lost with their connection", flush=True)
    finally:
        for cluster in different:
            cluster.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--dir")
    parser.add_argument("--seconds", default="5")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--servers", default="1,3")
    parser.add_argument("--points", default="1x1,16x1,64x16")
    parser.add_argument("--ops", default="set,get,lget")
    parser.add_argument("--systems", default="native")
    parser.add_argument("--watchers", type=numbers, default=[])
    parser.add_argument("--sessions", type=numbers, default=[])
    parser.add_argument("--failover", type=float, default=0)
    parser.add_argument("--nodes", type=int, default=0)
    options = parser.parse_args()
    for count in [int(text) for text in options.servers.split(",")]:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="confer-bench-", dir=options.dir))
        try:
            run(options, folder, count)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
