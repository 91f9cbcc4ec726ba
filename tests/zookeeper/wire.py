#!/usr/bin/env python3
"""ZooKeeper's protocol byte by byte: runs the scripts of wire/ against a server and compares its answers.

    wire.py confer SERVER-FOLDER CLI-FOLDER [SCRIPT]...         Confer
    wire.py zookeeper [SCRIPT]...                               the installed ZooKeeper
    wire.py record [SCRIPT]...                                  write down what the installed ZooKeeper answers

Exit code 77: no ZooKeeper is installed."""
import pathlib
import re
import sys
import tempfile

import script
from servers import Confer, ZooKeeper, confer_programs, zookeeper_classpath
from talk import Talk, Violation

HERE = pathlib.Path(__file__).resolve().parent
# What is on in the ZooKeeper beside it, where only an ensemble takes reconfig.
OPTIONS = ("--read-only-mode", "--four-letter-words", "all")
DIFFERENCES = HERE.parents[1] / "docs/ZOOKEEPER.md"
# Before 3.9 an event told no zxid.
EVENT_ZXID = re.compile(r"^(\w+! .*) (z\d+|-1)$")


def table_of_differences():
    section = DIFFERENCES.read_text().split("## Deliberate differences")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def comparable(lines, who):
    return [EVENT_ZXID.sub(r"\1", line) for line in lines] if who == "3.8" else lines


def run_case(case, server, who, on_answers):
    if who in case.excluded:
        return
    talk = Talk(server)
    try:
        for step in case.steps():
            try:
                answers = talk.step(step.line)
            except (Violation, ValueError, KeyError, IndexError) as reason:
                answers = [f"{type(reason).__name__}: {reason}"]
                on_answers(step, answers)
                return
            on_answers(step, answers)
    finally:
        talk.close()


def check(path, server, who, faults):
    head, cases = script.read(path.read_text())
    for case in cases:
        def compare(step, answers, case=case):
            expected = step.expected(who)
            if comparable(answers, who) != comparable(expected, who):
                faults.append("\n".join([f"{path.name}:{step.number}: {case.title}", f"  {step.line}",
                                         *(f"    expected {line}" for line in expected),
                                         *(f"    received {line}" for line in answers)]))
        run_case(case, server, who, compare)
    return sum(len(case.steps()) for case in cases)


def record(path, server, who):
    """The reference's answers are everybody's, those of another version as long as there are none; it stands where
    it gives other ones."""
    head, cases = script.read(path.read_text())

    def keep(step, answers):
        if who == script.REFERENCE or not step.answers[script.REFERENCE]:
            step.answers[script.REFERENCE] = answers
        elif comparable(answers, who) == comparable(step.answers[script.REFERENCE], who):
            step.answers.pop(who, None)
        else:
            step.answers[who] = answers
            step.reasons.setdefault(who, "")

    for case in cases:
        run_case(case, server, who, keep)
    path.write_text(script.write(head, cases))


def needless(path, known):
    """What is listed as a difference and is none, or is not in the document."""
    _, cases = script.read(path.read_text())
    for step in [step for case in cases for step in case.steps()]:
        for who, answers in step.answers.items():
            if who != script.REFERENCE and comparable(answers, who) == comparable(step.answers[script.REFERENCE], who):
                yield f"{path.name}:{step.number}: {who} does not differ"
        if "confer" in step.answers and step.reasons["confer"] not in known:
            yield f"{path.name}:{step.number}: '{step.reasons['confer']}' is no deliberate difference of {DIFFERENCES}"


def by_server_count(paths):
    """The scripts for one server, for three, and so on."""
    groups = {}
    for path in paths:
        groups.setdefault(script.server_count(script.read(path.read_text())[0]), []).append(path)
    return sorted(groups.items())


def with_servers(mode, count, programs, task):
    """Call `task` with as many servers as it takes, and who they are."""
    with tempfile.TemporaryDirectory() as folder:
        options = OPTIONS + (("--zookeeper-reconfig",) if count > 1 else ())
        server = Confer(count, folder, programs, *options) if mode == "confer" else ZooKeeper(count, folder)
        try:
            return task(server, "confer" if mode == "confer" else server.version)
        finally:
            server.close()


def run(paths, mode, programs):
    faults = [fault for path in paths for fault in needless(path, table_of_differences())]
    steps = 0
    for count, group in by_server_count(paths):
        steps += with_servers(mode, count, programs,
                              lambda server, who: sum(check(path, server, who, faults) for path in group))
    print("\n".join(faults), end="\n" if faults else "")
    print(f"{len(paths)} scripts, {steps} steps, {len(faults)} unlike what is expected of {mode}")
    return 1 if faults or steps == 0 else 0


def main(mode, *arguments):
    programs = None
    if mode == "confer":
        programs, arguments = confer_programs(*arguments[:2]), arguments[2:]
    elif zookeeper_classpath() is None:
        print("no ZooKeeper is installed (Debian: libzookeeper-java and a Java runtime)")
        return 77
    paths = [pathlib.Path(one) for one in arguments] or sorted((HERE / "wire").glob("*.txt"))
    if mode != "record":
        return run(paths, mode, programs)
    for count, group in by_server_count(paths):
        with_servers(mode, count, programs, lambda server, who: [record(path, server, who) for path in group])
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
