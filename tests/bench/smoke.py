#!/usr/bin/env python3
"""The benchmarks run and measure something: smoke.py SOURCES BUILD. Prints each claim that does not hold; exits 1 if there is any."""
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

SOURCES, BUILD = map(pathlib.Path, sys.argv[1:3])
SHORT = ["--seconds", "0.1", "--points", "2x2", "--nodes", "200", "--sessions", "20", "--watchers", "20", "--watch-grid", "4x5", "--failovers", "1",
         "--stalled", "5", "--listers", "5", "--listed", "50"]
sys.path.insert(0, str(SOURCES / "bench"))
from clusters import KINDS, Confer  # noqa: E402
from instructions import dearer_natives  # noqa: E402

failures = []


def expect(what, is_so, seen):
    if not is_so:
        failures.append(f"{what}: {seen}")


def run(folder, name, *more):
    """The measurements of run.py, and what it printed."""
    lines = folder / f"{name}.json"
    done = subprocess.run([sys.executable, SOURCES / "bench/run.py", "--build", BUILD, "--dir", folder, "--json", lines, *SHORT, *more],
                          capture_output=True, text=True)
    if done.returncode != 0:  # and what it measured before says nothing
        raise RuntimeError(f"{name} failed: {done.stderr[-500:]}")
    return [json.loads(line) for line in lines.read_text().splitlines()], done.stdout


def every_suite_measures_something(folder):
    rows, text = run(folder, "one", "--suites", "all", "--servers", "1", "--ops", "set,get,lget,create,list,mixed")
    of = {}
    for row in rows:
        of.setdefault(row["suite"], []).append(row)
        for name in ("errors", "lost", "unanswered", "sessions_lost"):
            expect(f"{row['suite']} has no {name}", row.get(name, 0) == 0, row)
    expect("one server has no failover", "failover" not in of, text)
    expect("all operations are measured", [row["what"].split()[0] for row in of["matrix"]] == "set get lget create list mixed".split(), of["matrix"])
    for suite in ("matrix", "saturation", "neighbours"):
        for row in of[suite]:
            expect(f"{suite} does something", row["ops_s"] > 0 and row["max_us"] > 0, row)
    for suite in ("idle", "populate", "restart"):
        for row in of[suite]:
            expect(f"{suite} sees memory", row["resident_mb"] > row["anonymous_mb"] > 0, row)
    expect("a restart is measured warm and cold", [row["what"] for row in of["restart"]] == ["200 nodes, warm", "200 nodes, cold"], of["restart"])
    expect("all sessions live", [row["alive"] for row in of["sessions"]] == [20], of["sessions"])
    expect("all watches are counted", [row["watches"] for row in of["watch"]] == [20, 20], of["watch"])
    expect("batches lie beside the floor", [row.get("entries") for row in of["storage"]] == [None, 1, 10, 100, 1000], of["storage"])
    expect("saturation is twice the capacity", of["saturation"][0]["rate"] > 0, of["saturation"])
    expect("the disturbance is told", "of the processors" in text, text)


def systems_are_measured_alike(folder):
    installed = [system for system in KINDS if not KINDS[system].missing()]
    rows, text = run(folder, "systems", "--suites", "matrix,watch,sessions", "--servers", "1", "--systems", ",".join(KINDS), "--ops", "set,lget")
    for system in installed:
        operations = [row["what"] for row in rows if row["system"] == system and row["suite"] == "matrix" and row["ops_s"] > 0]
        expect(f"{system} reads and writes", operations == ["set 2x2", "lget 2x2"], (operations, text))
        crowds = [row for row in rows if row["system"] == system and row["suite"] in ("watch", "sessions")]
        expect(f"{system} has watches and sessions", len(crowds) == 3, crowds)
    if "peer" in installed or "etcd" in installed:
        expect("ratios are told", "(" in next(line for line in text.splitlines() if line.startswith("set 2x2") and " native " in line), text)


def a_leader_is_missed(folder):
    rows, _ = run(folder, "three", "--suites", "failover", "--servers", "3")
    expect("a leader's death is a gap", [row["longest_gap_ms"] > 0 for row in rows] == [True], rows)


def loads_end_and_fall_due(folder):
    class Programs:
        server, bench = BUILD / "server/confer-server", BUILD / "bench/confer-bench"

    cluster = Confer(Programs, folder / "loads", 1)
    try:
        cluster.begin()
        counted = cluster.bench("load", "--op", "get", "--operations", 500, "--connections", 3, "--pipeline", 7)
        expect("it ends after so many", counted["operations"] == 500, counted)
        slow = cluster.bench("load", "--op", "get", "--rate", 100, "--seconds", 0.5, "--warmup", 0)
        expect("no more are put than fall due", 0 < slow["operations"] <= 51, slow)
        flood = cluster.bench("load", "--op", "set", "--rate", 10000000, "--seconds", 0.2, "--warmup", 0)
        expect("what finds no room is told", flood["unsent"] > 1000000 and flood["unanswered"] == 0, flood)
        expect("latency counts from when it was due", flood["max_us"] > 100000, flood)
        counted = cluster.finish(cluster.bench_beside("load", "--op", "get", "--operations", 500))
        expect("what runs beside is counted", counted["operations"] == 500, counted)
        endless = cluster.bench_beside("load", "--op", "get", "--seconds", 3600)
        expect("it is told of when it begins, not at its end", endless.poll() is None, endless.returncode)
    finally:
        cluster.end()


def growth_has_tables_and_plots(folder):
    plots = folder / "plots"
    done = subprocess.run([sys.executable, SOURCES / "bench/growth.py", "--build", BUILD, "--dir", folder, "--out", plots, "--first", "1",
                           "--seconds", "0.1"], capture_output=True, text=True)
    expect("growth is measured", done.returncode == 0, done.stderr[-500:])
    names = ("servers", "nodes", "children", "values", "connections", "watches")
    text = (plots / "README.md").read_text() if done.returncode == 0 else ""
    for name in names:
        expect(f"{name} have a table of one point", len([line for line in text.splitlines() if line.startswith(f"| {name} ")]) == 1, text)
        plot = plots / f"{name}.svg"
        expect(f"{name} have a plot", shutil.which("gnuplot") is None or plot.exists() and "</svg>" in plot.read_text(), plot)


def more_instructions_are_a_finding(folder):
    if shutil.which("valgrind") is None or "-fsanitize" in (BUILD / "build.ninja").read_text():
        return

    def count(*more):
        return subprocess.run([sys.executable, SOURCES / "bench/instructions.py", "--build", BUILD, "--only", "codec unpack", "--operations", "200",
                               "--file", record, *more], capture_output=True, text=True)

    record = folder / "instructions.txt"
    expect("what is not recorded is a finding", count().returncode == 1, record)
    expect("counts are recorded", count("--record").returncode == 0, record)
    again = count()
    expect("the same code has the same counts", again.returncode == 0 and "1 counts, 0 over" in again.stdout, again.stdout + again.stderr)
    number = int(record.read_text().split()[-1])
    record.write_text(f"codec unpack {int(number / 1.1)}\n")
    more = count()
    expect("a tenth more is a finding", more.returncode == 1 and "codec unpack" in more.stdout.splitlines()[-1], more.stdout)


def the_native_protocol_costs_no_more():
    counted = {"state get": 9, "native get": 104, "zookeeper get": 100, "native set": 101, "zookeeper set": 100, "native list": 1000}
    expect("what takes more by the native protocol is a finding", dearer_natives(counted) == ["native get"], dearer_natives(counted))


def nothing_stays_when_it_is_told_to_end(folder):
    place = folder / "ended"
    place.mkdir()
    said = folder / "ended.txt"
    with open(said, "w") as out:
        running = subprocess.Popen([sys.executable, SOURCES / "bench/run.py", "--build", BUILD, "--dir", place, "--suites", "idle", "--seconds", "60"],
                                   stdout=out, stderr=out)
    deadline = time.monotonic() + 60
    while not list(place.glob("*/*/*.log")) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    expect("it is under way", running.poll() is None, running.returncode)
    running.terminate()
    expect("it fails", running.wait(60) != 0, running.returncode)
    expect("its folder and servers are gone", not list(place.iterdir()),
           [*map(str, place.rglob("*")), said.read_text()])


def a_server_that_ends_is_quoted(folder):
    build = folder / "broken"
    for part in ("server", "bench"):
        (build / part).mkdir(parents=True)
    (build / "bench/confer-bench").symlink_to(BUILD / "bench/confer-bench")
    (build / "server/confer-server").write_text("#!/bin/sh\necho there is no such disk\nexit 1\n")
    (build / "server/confer-server").chmod(0o755)
    done = subprocess.run([sys.executable, SOURCES / "bench/run.py", "--build", build, "--dir", folder, "--suites", "idle", "--servers", "1"],
                          capture_output=True, text=True)
    expect("what the server said is told", done.returncode != 0 and "1.log\nthere is no such disk" in done.stderr, done.stderr)


def mistakes_are_told():
    for words, told in ((["--suites", "nonsense"], "no nonsense"), (["--build", "/nowhere"], "not built")):
        done = subprocess.run([sys.executable, SOURCES / "bench/run.py", "--build", BUILD, *words], capture_output=True, text=True)
        expect(f"{words} is refused", done.returncode == 2 and told in done.stderr, done.stderr)


with tempfile.TemporaryDirectory(prefix="bench-smoke-") as name:
    place = pathlib.Path(name)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        tasks = [pool.submit(task, place) for task in (every_suite_measures_something, systems_are_measured_alike, a_leader_is_missed, loads_end_and_fall_due,
                                                        more_instructions_are_a_finding, growth_has_tables_and_plots,
                                                        nothing_stays_when_it_is_told_to_end, a_server_that_ends_is_quoted)]
        mistakes_are_told()
        the_native_protocol_costs_no_more()
        for task in tasks:
            task.result()
print("\n".join(failures) or "all claims hold")
sys.exit(1 if failures else 0)
