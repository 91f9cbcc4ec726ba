"""What is measured: each suite takes a Bench and yields (what, system, figures) in rounds, systems by turns.

The systems are native and zookeeper (Confer by its two protocols), peer (Debian's ZooKeeper) and etcd. Suites that look at the servers
themselves call Confer `confer`. `fresh` clusters are a suite's own; the others live through all suites of a round.
"""
import contextlib
import dataclasses
import json
import subprocess
import time

from clusters import KINDS, NAMES, PROTOCOLS


@dataclasses.dataclass
class Bench:
    options: object
    folder: object
    count: int
    alive: dict = dataclasses.field(default_factory=dict)
    made: int = 0

    def kinds(self):
        return list(dict.fromkeys(KINDS[system] for system in self.options.systems))

    def make(self, kind):
        self.made += 1
        cluster = kind(self.options, self.folder / f"{NAMES[kind]}-{self.made}", self.count)
        try:
            cluster.begin()
        except BaseException:
            cluster.end()
            raise
        return cluster

    @contextlib.contextmanager
    def fresh(self, kind):
        cluster = self.make(kind)
        try:
            yield cluster
        finally:
            cluster.end()

    def live(self):
        """(system, cluster, protocol) of each; clusters that were not started yet are, and get warm."""
        for system in self.options.systems:
            kind = KINDS[system]
            if kind not in self.alive:
                self.alive[kind] = self.make(kind)
                seconds = min(3 if kind.protocol == "zookeeper" else 1, self.options.seconds)
                for op in ("set", "get"):
                    self.alive[kind].bench("load", "--op", op, "--seconds", seconds, "--connections", 16, "--pipeline", 4)
            yield system, self.alive[kind], PROTOCOLS[system]

    def end(self):
        for cluster in self.alive.values():
            cluster.end()
        self.alive = {}


def matrix(bench):
    options = bench.options
    for op in options.ops:
        for point in options.points:
            connections, pipeline = point.split("x")
            for system, cluster, protocol in bench.live():
                yield f"{op} {point}", system, cluster.bench(
                    "load", "--op", op, "--connections", connections, "--pipeline", pipeline, "--seconds", options.seconds, "--warmup", min(0.5, options.seconds),
                    protocol=protocol)


def idle(bench):
    """Servers that nobody talks to, once they have settled."""
    seconds = 2 * bench.options.seconds
    for kind in bench.kinds():
        with bench.fresh(kind) as cluster:
            time.sleep(seconds / 2)
            before = cluster.cpu_s()
            time.sleep(seconds)
            yield "idle", NAMES[kind], {"cpu_percent": 100 * (cluster.cpu_s() - before) / seconds, **uses(cluster)}


def uses(cluster):
    return {"resident_mb": cluster.memory_mb("VmRSS"), "anonymous_mb": cluster.memory_mb("RssAnon"), "disk_mb": cluster.disk_mb()}


def populate(bench):
    for nodes in bench.options.nodes:
        for kind in bench.kinds():
            with bench.fresh(kind) as cluster:
                got = cluster.bench("populate", "--nodes-count", nodes)
                yield f"{nodes} nodes", NAMES[kind], {**got, **uses(cluster)}


def restart(bench):
    """All servers are stopped and started: from there to a linearizable read. Cold: the system's cache has nothing of their files."""
    for nodes in bench.options.nodes:
        for kind in bench.kinds():
            with bench.fresh(kind) as cluster:
                cluster.bench("populate", "--nodes-count", nodes)
                cluster.bench("load", "--operations", 1, "--keys", 1)
                for temperature in ("warm", "cold"):
                    cluster.stop()
                    if temperature == "cold":
                        cluster.forget_files()
                    yield f"{nodes} nodes, {temperature}", NAMES[kind], {"serving_ms": start_to_serving_ms(cluster), **uses(cluster)}


def start_to_serving_ms(cluster):
    begin = time.monotonic()
    for number in cluster.addresses:
        cluster.start(number)
    cluster.bench("wait", "--seconds", 120)
    return (time.monotonic() - begin) * 1000


def storage(bench):
    """Commits of the log by themselves, and the disk's floor, in turns."""
    folder = bench.folder / f"storage-{bench.made}"
    bench.made += 1
    folder.mkdir()
    done = subprocess.run([bench.options.parts, "log", folder, str(bench.options.seconds)], check=True, capture_output=True, text=True)
    got = json.loads(done.stdout)
    yield "4 KiB write + fdatasync", "disk", {"p50_us": got["floor_p50_us"], "p99_us": got["floor_p99_us"], "floors": 1, "entry_us": 0}
    for batch in got["batches"]:
        yield f"commit of {batch['entries']}", "confer", {**batch, "floors": batch["p50_us"] / got["floor_p50_us"],
                                                          "entry_us": batch["p50_us"] / batch["entries"]}


def sessions(bench):
    for count in bench.options.sessions:
        for system, cluster, protocol in bench.live():
            yield f"{count} sessions", system, cluster.bench("sessions", "--connections", count, "--seconds", 3 * bench.options.seconds,
                                                             protocol=protocol)


def watch(bench):
    """One write to so many watchers, each on its own connection; and many nodes that are watched over a hundred connections."""
    options = bench.options
    for watchers in options.watchers:
        for system, cluster, protocol in bench.live():
            yield f"1 node, {watchers} watchers", system, cluster.bench("watch", "--connections", watchers, protocol=protocol)
    connections, nodes = options.watch_grid.split("x")
    for system, cluster, protocol in bench.live():
        yield f"{nodes} nodes, {connections} watchers each", system, cluster.bench("watch", "--connections", connections, "--watched", nodes,
                                                                                   protocol=protocol)


def failover(bench):
    """kill -9 of the leader under eight writers; it comes back before the next."""
    if bench.count < 3:
        return
    seconds = bench.options.seconds
    for kind in bench.kinds():
        with bench.fresh(kind) as cluster:
            cluster.bench("load", "--seconds", seconds, "--connections", 16, "--pipeline", 4)
            for _ in range(bench.options.failovers):
                running = cluster.bench_beside("failover", "--connections", 8, "--warmup", 0.1, "--seconds", seconds + 3)
                time.sleep(0.2 + seconds / 2)
                leader = cluster.leader()
                cluster.kill(leader)
                yield "leader killed", NAMES[kind], cluster.finish(running)
                cluster.start(leader)
                cluster.wait_for_all()


def elections(cluster):
    """How often a server of Confer saw the leader change; of others only who leads is known."""
    return sum(path.read_text(errors="replace").count(" leader_changed ") for path in cluster.folder.glob("*.log"))


def saturation(bench):
    """Twice what the cluster can do falls due, come what may, from connections that would have 64,000 requests under way."""
    seconds = bench.options.seconds
    for system in bench.options.systems:
        with bench.fresh(KINDS[system]) as cluster:
            def load(*more):
                return cluster.bench("load", "--op", "set", "--connections", 64, *more, protocol=PROTOCOLS[system])

            rate = max(1, int(2 * load("--pipeline", 16, "--seconds", seconds)["ops_s"]))
            leader, before = cluster.leader(), elections(cluster)
            held = cluster.bench_beside("sessions", "--connections", 100, "--session-timeout-ms", 4000, "--seconds", 0.5 + 2 * seconds,
                                        protocol=PROTOCOLS[system])
            cluster.forget_peak()
            got = load("--pipeline", 1000, "--rate", rate, "--seconds", 2 * seconds)
            peak_mb = cluster.memory_mb("VmHWM")
            sessions_held = cluster.finish(held)
            changes = elections(cluster) - before or int(cluster.leader() != leader)
            yield "set, twice the capacity", system, {**got, "sessions_lost": sessions_held["sessions"] - sessions_held["alive"],
                                                      "leader_changes": changes, "peak_mb": peak_mb}


def neighbours(bench):
    """What others notice of clients that read no answer, and of clients that list everything."""
    options = bench.options
    seconds, settle = options.seconds, min(0.5, options.seconds)
    beside = {"alone": None,
              f"{options.stalled} stalled readers": ("stall", "--connections", options.stalled, "--pipeline", 500),
              f"{options.listers} listing": ("load", "--op", "list", "--connections", options.listers)}
    for system in options.systems:
        protocol = PROTOCOLS[system]
        with bench.fresh(KINDS[system]) as cluster:
            cluster.bench("load", "--value-bytes", 10000, "--keys", options.listed, "--operations", options.listed, "--connections", 8,
                          protocol=protocol)
            for op in ("set", "get"):
                for who, command in beside.items():
                    cluster.forget_peak()
                    running = command and cluster.bench_beside(*command, "--keys", options.listed, "--warmup", settle, "--seconds", 2 * settle + seconds,
                                                                        protocol=protocol)
                    time.sleep(settle if running else 0)
                    got = cluster.bench("load", "--op", op, "--connections", 8, "--warmup", settle, "--seconds", seconds, protocol=protocol)
                    theirs = cluster.finish(running) if running else {}
                    yield f"{op}, {who}", system, {**got, "lists_s": theirs.get("ops_s", 0), "closed": theirs.get("closed", 0),
                                                   "peak_mb": cluster.memory_mb("VmHWM")}


@dataclasses.dataclass
class Suite:
    function: object
    # (heading, figure, format); the ratio to the reference follows the headings in `ratios`.
    columns: list
    ratios: tuple = ()


LOAD = [("ops/s", "ops_s", ".0f"), ("p50 us", "p50_us", ".0f"), ("p99 us", "p99_us", ".0f"), ("CPU s/1000", "server_cpu_s_per_kop", ".5f"),
        ("errors", "errors", ".0f"), ("lost", "lost", ".0f")]
USES = [("resident MB", "resident_mb", ".1f"), ("anonymous MB", "anonymous_mb", ".1f"), ("disk MB", "disk_mb", ".1f")]
SUITES = {
    "matrix": Suite(matrix, LOAD, ("ops_s", "p50_us", "p99_us", "server_cpu_s_per_kop")),
    "idle": Suite(idle, [("CPU %", "cpu_percent", ".2f"), *USES], ("cpu_percent", "resident_mb", "anonymous_mb", "disk_mb")),
    "populate": Suite(populate, [("nodes/s", "nodes_s", ".0f"), ("CPU s/1000", "server_cpu_s_per_kop", ".5f"), *USES],
                      ("nodes_s", "server_cpu_s_per_kop", "resident_mb", "anonymous_mb", "disk_mb")),
    "restart": Suite(restart, [("serving ms", "serving_ms", ".1f"), *USES[:2]], ("serving_ms", "resident_mb")),
    "storage": Suite(storage, [("p50 us", "p50_us", ".0f"), ("p99 us", "p99_us", ".0f"), ("floors", "floors", ".2f"), ("us/entry", "entry_us", ".2f")]),
    "sessions": Suite(sessions, [("opened/s", "opened_s", ".0f"), ("open CPU us", "open_cpu_us", ".0f"), ("idle CPU s/s", "idle_cpu_s_per_s", ".4f"),
                                 ("KiB each", "kib_per_session", ".1f"), ("alive", "alive", ".0f")],
                      ("opened_s", "open_cpu_us", "idle_cpu_s_per_s", "kib_per_session")),
    "watch": Suite(watch, [("last ms", "last_ms", ".2f"), ("events/s", "events_s", ".0f"), ("CPU us/event", "server_cpu_us_per_event", ".2f"),
                           ("armed/s", "arms_s", ".0f"), ("KiB each", "kib_per_watch", ".2f")],
                   ("last_ms", "server_cpu_us_per_event", "kib_per_watch")),
    "failover": Suite(failover, [("gap ms", "longest_gap_ms", ".1f"), ("ops/s", "ops_s", ".0f"), ("errors", "errors", ".0f"), ("lost", "lost", ".0f")],
                      ("longest_gap_ms",)),
    "saturation": Suite(saturation, [("due/s", "rate", ".0f"), ("ops/s", "ops_s", ".0f"), ("p50 us", "p50_us", ".0f"), ("max us", "max_us", ".0f"),
                                     ("busy", "busy", ".0f"), ("errors", "errors", ".0f"), ("lost", "lost", ".0f"),
                                     ("unanswered", "unanswered", ".0f"), ("sessions lost", "sessions_lost", ".0f"),
                                     ("elections", "leader_changes", ".0f"), ("peak MB", "peak_mb", ".0f")]),
    "neighbours": Suite(neighbours, [("ops/s", "ops_s", ".0f"), ("p50 us", "p50_us", ".0f"), ("p99 us", "p99_us", ".0f"), ("max us", "max_us", ".0f"),
                                     ("errors", "errors", ".0f"), ("lists/s", "lists_s", ".0f"), ("closed", "closed", ".0f"),
                                     ("peak MB", "peak_mb", ".0f")]),
}
