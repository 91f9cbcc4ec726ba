#!/usr/bin/env python3
"""Start clusters of confer-server on loopback, drive them with confer-bench, print a table.

    bench/run.py --server build/release/server/confer-server --bench build/release/bench/confer-bench \\
        [--dir FOLDER-ON-A-REAL-DISK] [--seconds 5] [--servers 1,3] [--points 1x1,16x1,64x16] [--failover 5] [--nodes 1000000]
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time


class Cluster:
    def __init__(self, options, folder, count):
        self.options, self.folder, self.processes = options, folder, {}
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        self.addresses = {number: f"127.0.0.1:{one.getsockname()[1]}" for number, one in enumerate(sockets, 1)}
        for one in sockets:
            one.close()

    def start(self, number):
        log = self.folder / f"{number}.log"
        with open(log, "ab") as out:
            self.processes[number] = subprocess.Popen(
                [self.options.server, "--id", str(number), "--server", self.addresses[number], "--data",
                 str(self.folder / str(number)), "--log-level", "info"], stderr=out)
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

    def init(self):
        for number in self.addresses:
            self.start(number)
        nodes = ",".join(f"{number}={address}" for number, address in self.addresses.items())
        subprocess.run([self.options.bench, "init", "--address", self.addresses[1], "--nodes", nodes], check=True)
        self.bench("load", "--seconds", "0.3", "--warmup", "0.5")

    def bench(self, command, *more):
        pids = ",".join(str(process.pid) for process in self.processes.values())
        out = subprocess.run([self.options.bench, command, "--address", ",".join(self.addresses.values()), "--pids", pids,
                              *more], check=True, capture_output=True, text=True).stdout
        return json.loads(out)

    def leader(self):
        found = 0
        for number in self.addresses:
            text = (self.folder / f"{number}.log").read_text()
            for line in text.splitlines():
                match = re.search(r" leader_changed .*leader=(\d+)", line)
                if match and int(match[1]):
                    found = int(match[1])
        return found

    def resident_mb(self):
        total = 0
        for process in self.processes.values():
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            total += int(re.search(r"VmRSS:\s+(\d+)", status)[1])
        return total / 1024

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


def row(name, got):
    print(f"{name:24} {got['ops_s']:>9} {got['p50_us']:>9} {got['p99_us']:>9} {got['server_cpu_s_per_kop']:>12.5f} "
          f"{got['errors'] + got['lost']:>7}", flush=True)


def failover(cluster, seconds):
    arguments = [cluster.options.bench, "failover", "--address", ",".join(cluster.addresses.values()), "--connections", "8",
                 "--warmup", "0.5", "--seconds", str(seconds)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as running:
        time.sleep(0.5 + seconds / 2)
        leader = cluster.leader()
        cluster.processes[leader].kill()
        cluster.processes[leader].wait()
        del cluster.processes[leader]
        got = json.loads(running.communicate()[0])
    print(f"leader {leader} killed: longest gap in acknowledged writes {got['longest_gap_ms']} ms, "
          f"{got['errors']} unknown, {got['lost']} lost with their connection", flush=True)


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", required=True)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--dir")
    parser.add_argument("--seconds", default="5")
    parser.add_argument("--servers", default="1,3")
    parser.add_argument("--points", default="1x1,16x1,64x16")
    parser.add_argument("--failover", type=float, default=0)
    parser.add_argument("--nodes", type=int, default=0)
    options = parser.parse_args()
    for count in [int(text) for text in options.servers.split(",")]:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="confer-bench-", dir=options.dir))
        cluster = Cluster(options, folder, count)
        try:
            cluster.init()
            floor = json.loads(subprocess.run([options.bench, "floor", "--dir", str(folder), "--seconds", options.seconds],
                                              check=True, capture_output=True, text=True).stdout)
            print(f"\n{count} server(s); 4 KiB write + fdatasync here: p50 {floor['p50_us']} us, p99 {floor['p99_us']} us")
            print(f"{'':24} {'ops/s':>9} {'p50 us':>9} {'p99 us':>9} {'CPU s/1000':>12} {'failed':>7}")
            for op in ["set", "get", "lget"]:
                for point in options.points.split(","):
                    connections, pipeline = point.split("x")
                    row(f"{op} {point}", cluster.bench("load", "--op", op, "--connections", connections, "--pipeline",
                                                       pipeline, "--seconds", options.seconds))
            print(f"resident memory of all servers: {cluster.resident_mb():.1f} MB")
            if options.nodes and count == 1:
                populated(cluster, options.nodes)
            if options.failover and count > 1:
                failover(cluster, options.failover)
        finally:
            cluster.stop()
            shutil.rmtree(folder, ignore_errors=True)


main()
