"""Requests of ZooKeeper's protocol from words, and its answers as words. Nothing here knows a connection.

What differs from run to run is named by the order in which it shows up: zxids are z1, z2, ..., sessions s1, s2, ..."""
import ast
import re
import time

from jute import Reader, Writer

TOKEN = re.compile(r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")(?:\*(?P<times>\d+))?|(?P<mark>[\[\],])|(?P<word>[^\s\[\],"]+))""")
ACLS = {"open": [[b"31", b"world", b"anyone"]], "read": [[b"1", b"world", b"anyone"]]}
# Of /zookeeper/config: the ports are other ones in each run, and in each kind of server.
MEMBER = re.compile(r"(server\.\d+)=[\d.]+:\d+:\d+:(\w+);[\d.]+:\d+\n")
EVENTS = {1: "NodeCreated", 2: "NodeDeleted", 3: "NodeDataChanged", 4: "NodeChildrenChanged"}
# Of each verb the type, the fields of the request and those of the answer.
VERBS = {
    "create": (1, "text buffer acl int", "text"),
    "delete": (2, "text int", ""),
    "exists": (3, "text watch", "stat"),
    "get": (4, "text watch", "buffer stat"),
    "set": (5, "text buffer int", "stat"),
    "getacl": (6, "text", "acl stat"),
    "setacl": (7, "text acl int", "stat"),
    "ls": (8, "text watch", "children"),
    "sync": (9, "text", "text"),
    "ping": (11, "", ""),
    "ls2": (12, "text watch", "children stat"),
    "check": (13, "text int", ""),
    "multi": (14, "multi", "results"),
    "create2": (15, "text buffer acl int", "text stat"),
    "reconfig": (16, "text text text zxid", "buffer stat"),
    "checkwatches": (17, "text int", ""),
    "removewatches": (18, "text int", ""),
    "container": (19, "text buffer acl int", "text stat"),
    "deletecontainer": (20, "text", ""),
    "ttl": (21, "text buffer acl int long", "text stat"),
    "multiread": (22, "multi", "results"),
    "auth": (100, "zero text buffer", ""),
    "setwatches": (101, "zxid paths paths paths", ""),
    "sasl": (102, "buffer", "buffer"),
    "ephemerals": (103, "text", "children"),
    "descendants": (104, "text", "int"),
    "setwatches2": (105, "zxid paths paths paths paths paths", ""),
    "addwatch": (106, "text int", "int"),
    "whoami": (107, "", "clients"),
    "close": (-11, "", ""),
    "unknown": (None, "", ""),  # of a type=
}
XIDS = {"ping": -2, "auth": -4, "setwatches": -8, "setwatches2": -8}
RESULTS = {1: "create", 2: "delete", 4: "get", 5: "set", 8: "ls", 13: "check", 15: "create2"}


def parse(line):
    """Words as bytes, null as None, lists as lists of such."""
    stack, position = [[]], 0
    while position < len(line.rstrip()):
        match = TOKEN.match(line, position)
        if match is None:
            raise ValueError(f"unreadable from {line[position:]!r}")
        position = match.end()
        if match["text"] is not None:
            stack[-1].append(ast.literal_eval("b" + match["text"]) * int(match["times"] or 1))
        elif match["word"] is not None:
            stack[-1].append(None if match["word"] == "null" else match["word"].encode())
        elif match["mark"] == "[":
            stack += [[], []]
        else:
            item = stack.pop()
            if item or match["mark"] == ",":
                stack[-1].append(item)
            if match["mark"] == ",":
                stack.append([])
            else:
                whole = stack.pop()
                stack[-1].append(whole)
    return stack[0]


def quote(some):
    if some is None:
        return "null"
    if len(some) > 20 and some == some[:1] * len(some):
        return f"{quote(some[:1])}*{len(some)}"
    shown = re.sub(r"[^ -!#-\[\]-~]", lambda one: f"\\x{ord(one[0]):02x}", some.decode("latin-1"))
    return f'"{shown}"'


class Names:
    """What the zxids and sessions of one case are called."""

    def __init__(self):
        self.zxids, self.sessions, self.passwords = {}, {}, {}

    @staticmethod
    def name(table, prefix, value):
        return str(value) if value in (0, -1) else table.setdefault(value, f"{prefix}{len(table) + 1}")

    def zxid(self, value):
        return self.name(self.zxids, "z", value)

    def session(self, value):
        return self.name(self.sessions, "s", value)

    def number(self, word):
        """What a name stands for, or the number itself."""
        for table in (self.zxids, self.sessions):
            for value, name in table.items():
                if name == word:
                    return value
        return int(word, 0)


class Encoder:
    """One request from its words."""

    def __init__(self, names):
        self.names = names
        self.writer = Writer()

    def fields(self, verb, words):
        kinds, words = VERBS[verb][1].split(), list(words)
        for kind in kinds:
            getattr(self, kind)(words)
        if words:
            raise ValueError(f"{verb} takes {kinds}; left over: {words}")

    def text(self, words):
        self.writer.buffer(words.pop(0))

    buffer = text

    def int(self, words):
        self.writer.int(int(words.pop(0)))

    def long(self, words):
        self.writer.long(int(words.pop(0)))

    def zxid(self, words):
        self.writer.long(self.names.number(words.pop(0).decode()))

    def zero(self, words):
        self.writer.int(0)

    def watch(self, words):
        is_watch = words[:1] == [b"watch"]
        del words[:is_watch]
        self.writer.bool(is_watch)

    def acl(self, words):
        given = words.pop(0)
        entries = ACLS[given.decode()] if isinstance(given, bytes) else given
        self.writer.vector(entries, self.acl_entry)

    def acl_entry(self, words):
        self.writer.int(int(words[0]))
        self.writer.buffer(words[1])
        self.writer.buffer(words[2])

    def paths(self, words):
        given = words.pop(0)
        self.writer.vector(None if given is None else [one[0] for one in given], self.writer.buffer)

    def multi(self, words):
        for operation in words.pop(0):
            verb = operation[0].decode()
            self.header(VERBS[verb][0], False)
            self.fields(verb, operation[1:])
        self.header(-1, True)

    def header(self, kind, done):
        self.writer.int(kind)
        self.writer.bool(done)
        self.writer.int(-1)


class Decoder:
    """One answer's record as words. `zxids` are those that it showed."""

    def __init__(self, names, some):
        self.names = names
        self.reader = Reader(some)
        self.zxids = []
        self.tells_members = False

    def fields(self, verb):
        return [getattr(self, kind)() for kind in VERBS[verb][2].split()]

    def text(self):
        return quote(self.reader.buffer())

    def buffer(self):
        some = self.reader.buffer()
        members, _, version = (some or b"").decode("latin-1").partition("version=")
        self.tells_members = MEMBER.match(members) is not None
        if not self.tells_members:
            return quote(some)
        return f"[{MEMBER.sub(lambda one: f'{one[1]} {one[2]}, ', members)}version {self.names.zxid(int(version, 16))}]"

    def int(self):
        return str(self.reader.int())

    def list(self, take, order=list):
        taken = self.reader.vector(take)
        return "null" if taken is None else f"[{', '.join(order(taken))}]"

    def children(self):
        return self.list(self.text, sorted)

    def clients(self):
        return self.list(lambda: f"{self.text()} {self.text()}", sorted)

    def acl(self):
        return self.list(lambda: f"{self.int()} {self.text()} {self.text()}")

    def stat(self):
        czxid, mzxid, ctime, mtime = [self.reader.long() for _ in range(4)]
        versions = "/".join(str(self.reader.int()) for _ in range(3))
        owner, size, children, pzxid = (self.reader.long(), self.reader.int(), self.reader.int(), self.reader.long())
        self.zxids += [czxid, mzxid, pzxid]
        size = "members" if self.tells_members else size
        return (f"{{czxid={self.names.zxid(czxid)} mzxid={self.names.zxid(mzxid)} pzxid={self.names.zxid(pzxid)}"
                f" versions={versions} owner={self.names.session(owner)} bytes={size} children={children}"
                f" times={times(ctime, mtime, czxid == mzxid)}}}")

    def results(self):
        shown = []
        while True:
            kind, done, error = self.reader.int(), self.reader.bool(), self.reader.int()
            if done:
                return "[" + ", ".join(shown) + "]" + ("" if (kind, error) == (-1, -1) else f" end={kind}/{error}")
            if kind == -1:
                code = self.reader.int()
                shown.append(f"error {code}" + ("" if code == error else f" in a header of {error}"))
            else:
                shown.append(" ".join([RESULTS[kind], *self.fields(RESULTS[kind])]) +
                             ("" if error == 0 else f" in a header of {error}"))

    def end(self):
        return [f"and {self.reader.rest.hex()}"] if self.reader.rest else []


def times(ctime_ms, mtime_ms, is_untouched):
    """"now" for both, or what else they are."""
    now_ms = time.time() * 1000
    if is_untouched and ctime_ms != mtime_ms or ctime_ms > mtime_ms:
        return f"{ctime_ms},{mtime_ms}"
    shown = ["now" if abs(now_ms - one) < 3600e3 else str(one) for one in (ctime_ms, mtime_ms)]
    return shown[0] if shown[0] == shown[1] else ",".join(shown)
