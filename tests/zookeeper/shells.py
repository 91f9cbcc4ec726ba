#!/usr/bin/env python3
"""ZooKeeper's two command lines: cli_mt (of its C client) and zkCli.sh (of its Java client). Run by with_servers.py.

Exit code 77: one of them is not installed."""
import os
import pathlib
import subprocess
import sys

CLI_MT = pathlib.Path("/usr/lib/zookeeper/bin/cli_mt")
ZK_CLI = pathlib.Path("/usr/share/zookeeper/bin/zkCli.sh")
DEADLINE_SECONDS = 120
FAULTS = []


def run(words, said=""):
    return subprocess.run([str(word) for word in words], input=said, text=True, timeout=DEADLINE_SECONDS,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False).stdout


def expect(output, *parts):
    """The parts, in this order."""
    position = 0
    for part in parts:
        position = output.find(part, position)
        if position < 0:
            FAULTS.append(f"no {part!r}, or not in its place, in:\n{output}")
            return
        position += len(part)


def cli_mt(hosts):
    for command, parts in (("create /c-shell", ["rc = 0"]), ("set /c-shell abc", []), ("get /c-shell", ["abc"]),
                           ("ls /", ["c-shell"]), ("delete /c-shell", []), ("get /c-shell", ["rc = -101"])):
        expect(run([CLI_MT, "-h", hosts, "-c", command]), *parts)


def zk_cli(hosts):
    said = ["create /k v", "addWatch -m PERSISTENT /k", "set /k z", "get /k", "create -s -e /k/e", "ls /k", "getAcl /k",
            "stat /k", "get -w /k", "addauth digest u:p", "whoami", "setAcl /k auth::cdrwa", "getAcl /k", "set -v 7 /k x",
            "sync /k", "deleteall /k", "get /k", "quit"]
    output = run([ZK_CLI, "-server", hosts], "\n".join(said) + "\n")
    expect(output, "Created /k\n", "NodeDataChanged path:/k", "z\n", "Created /k/e0000000000", "[e0000000000]",
           "'world,'anyone\n: cdrwa", "dataVersion = 1", "digest: u", "'digest,'u:Jq7wMyA/w2Vd5WIDAKdu4OIIFEQ=\n: cdrwa",
           "version No is not valid : /k", "Sync is OK", "NodeDeleted path:/k", "Node does not exist: /k")


def zk_cli_members(hosts):
    """A member leaves and comes again, named with the three ports of ZooKeeper's documents."""
    first, _, third = hosts.split(",")
    host, port = third.split(":")
    member = f"server.3={host}:{port}:{port}:participant;{host}:{port}"
    said = ["reconfig -remove 3", "addauth digest super:test", "reconfig -remove 3", "reconfig -remove 2 -v 1",
            f"reconfig -add server.3={host}:2888:3888:participant;{port}", "config", "quit"]
    output = run([ZK_CLI, "-server", first], "\n".join(said) + "\n")
    expect(output, "Insufficient permission", "Committed new configuration:\nserver.1=", "\nserver.2=", "\nversion=",
           "version No is not valid", f"Committed new configuration:\nserver.1=", f"\n{member}\nversion=",
           f"\n{member}\nversion=")


missing = [str(shell) for shell in (CLI_MT, ZK_CLI) if not shell.exists()]
if missing:
    print(f"not installed: {', '.join(missing)} (scripts/setup --clients)")
    sys.exit(77)
cli_mt(os.environ["ZOOKEEPER_HOSTS"])
zk_cli(os.environ["ZOOKEEPER_HOSTS"])
zk_cli_members(os.environ["ZOOKEEPER_HOSTS"])
print("\n".join(FAULTS))
sys.exit(1 if FAULTS else 0)
