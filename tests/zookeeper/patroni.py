#!/usr/bin/env python3
"""Patroni keeps a PostgreSQL of two nodes available through Confer: patroni.py SERVER-FOLDER CLI-FOLDER

The leader of three servers of Confer dies, and later the node with the primary, while a client writes. No row that the
client was told of is lost, and never are there two primaries. The last line tells how long nobody could write.
Exit code 77: Patroni or PostgreSQL is not installed."""
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from servers import Confer, confer_programs, free_ports

try:
    import psycopg2
except ImportError:
    psycopg2 = None

DEADLINE_SECONDS = 180
TTL_SECONDS = 20  # the least that Patroni takes
ROWS_BETWEEN = 20
PASSWORD = "test"
BINARIES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
CONFIGURATION = """
scope: confer
name: {name}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
zookeeper:
  hosts: [{hosts}]
bootstrap:
  dcs:
    ttl: {ttl}
    loop_wait: 1
    retry_timeout: 8
    synchronous_mode: true
    postgresql: {{use_pg_rewind: true}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, no-sync]
  pg_hba: ["host all all 127.0.0.1/32 md5", "host replication all 127.0.0.1/32 md5"]
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: {folder}/data
  bin_dir: {binaries}
  pgpass: {folder}/pgpass
  authentication:
    superuser: {{username: postgres, password: {password}}}
    replication: {{username: replicator, password: {password}}}
  parameters: {{unix_socket_directories: {folder}, shared_buffers: 16MB, fsync: "off", max_connections: 20}}
"""


class Node:
    """One machine: Patroni and its PostgreSQL, as the user of PostgreSQL, in a space of processes of their own that
    ends as a whole."""

    def __init__(self, name, hosts, folder):
        self.name = name
        self.port, self.rest = free_ports(2)
        self.folder = folder / name
        self.folder.mkdir()
        self.prefix = ["unshare", "--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] + self.prefix
        quoted = ", ".join(f'"{host}"' for host in hosts)
        (self.folder / "patroni.yml").write_text(CONFIGURATION.format(
            name=name, rest=self.rest, hosts=quoted, ttl=TTL_SECONDS, port=self.port, folder=self.folder,
            binaries=BINARIES[-1].parent, password=PASSWORD))
        self.process = None

    def start(self):
        with open(self.folder.parent / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen([*self.prefix, "patroni", str(self.folder / "patroni.yml")], cwd=self.folder,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def status(self):
        """What Patroni tells of its node; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/patroni", timeout=2) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as answer:
            return json.load(answer)
        except (OSError, ValueError):
            return {}

    def is_primary(self):
        return self.status().get("role") in ("master", "primary") and self.status().get("state") == "running"


class Writer(threading.Thread):
    """Writes number after number to whoever takes writes, and keeps those that were acknowledged."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes = nodes
        self.acknowledged = []
        self.longest_gap = 0.0
        self.is_ended = False

    def connect(self):
        return psycopg2.connect(host=",".join("127.0.0.1" for _ in self.nodes), dbname="postgres", user="postgres",
                                port=",".join(str(node.port) for node in self.nodes), password=PASSWORD,
                                connect_timeout=2, target_session_attrs="read-write")

    def run(self):
        number, connection, last = 0, None, time.monotonic()
        while not self.is_ended:
            number += 1
            try:
                connection = connection or self.connect()
                with connection, connection.cursor() as cursor:
                    cursor.execute("CREATE TABLE IF NOT EXISTS rows (number int)")
                    cursor.execute("INSERT INTO rows VALUES (%s)", (number,))
                self.acknowledged.append(number)
                self.longest_gap = max(self.longest_gap, time.monotonic() - last)
                last = time.monotonic()
            except psycopg2.Error:
                connection = None
            time.sleep(0.05)  # a client's pace

    def rows(self):
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM rows")
            return {row[0] for row in cursor.fetchall()}


def wait_until(what, is_so):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")
        time.sleep(0.1)


def primary_of(nodes):
    primaries = [node for node in nodes if node.is_primary()]
    assert len(primaries) <= 1, f"two primaries: {[node.name for node in primaries]}"
    return primaries[0] if primaries else None


def has_synchronous_replica(nodes):
    primary = primary_of(nodes)
    return primary is not None and any(one.get("sync_state") == "sync"
                                       for one in primary.status().get("replication", []))


def wait_for_rows(writer):
    until = len(writer.acknowledged) + ROWS_BETWEEN
    wait_until(f"{ROWS_BETWEEN} more rows", lambda: len(writer.acknowledged) >= until)


def keep_available(cluster, nodes):
    nodes[0].start()
    wait_until("a primary", lambda: primary_of(nodes) is not None)
    nodes[1].start()
    wait_until("a synchronous replica", lambda: has_synchronous_replica(nodes))
    writer = Writer(nodes)
    writer.start()
    wait_for_rows(writer)

    primary = primary_of(nodes)
    leader = cluster.leader()
    cluster.kill(leader)
    wait_for_rows(writer)
    assert primary_of(nodes) is primary, "the primary changed because a server of Confer died"
    gap_of_confer = writer.longest_gap
    cluster.start(leader)

    primary.kill()
    other = next(node for node in nodes if node is not primary)
    wait_until("the other node is the primary", lambda: primary_of(nodes) is other)
    wait_for_rows(writer)
    primary.start()
    wait_until("the killed node follows", lambda: has_synchronous_replica(nodes))
    wait_for_rows(writer)
    assert primary_of(nodes) is other, "the primary changed when the other node came back"

    writer.is_ended = True
    writer.join()
    lost = set(writer.acknowledged) - writer.rows()
    assert not lost, f"rows that were acknowledged are lost: {sorted(lost)[:10]}"
    print(f"{len(writer.acknowledged)} rows; longest without a write: {gap_of_confer:.1f} s when Confer's leader died, "
          f"{writer.longest_gap:.1f} s when the primary did")


def main(server_folder, cli_folder):
    if psycopg2 is None or not BINARIES or shutil.which("patroni") is None:
        print("patroni or postgresql is not installed (scripts/setup --clients)")
        return 77
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        cluster = Confer(3, folder, confer_programs(server_folder, cli_folder))
        nodes = [Node(name, cluster.addresses, folder) for name in ("alpha", "beta")]
        try:
            keep_available(cluster, nodes)
            return 0
        except AssertionError as reason:
            print(f"FAILED: {reason}")
            for node in nodes:
                print(f"--- {node.name}\n{(folder / f'{node.name}.log').read_text(errors='replace')[-4000:]}")
            return 1
        finally:
            for node in nodes:
                node.kill()
            cluster.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
