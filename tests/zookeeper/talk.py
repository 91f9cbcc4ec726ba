"""Connections of ZooKeeper's protocol that are told what to send in words, and tell in words what they got."""
import re
import socket
import struct
import time

from jute import Reader, Writer
from reports import Reports
from words import EVENTS, VERBS, XIDS, Decoder, Encoder, Names, parse

DEADLINE_SECONDS = 30
MEMBER = re.compile(r"@(\d+):(\w+)")
NO_PASSWORD = b"\0" * 16


class Violation(Exception):
    """What no server may do, whatever the script expects."""


class Connection:
    """One connection. `lines` collects what came, as words."""

    def __init__(self, name, address, names):
        host, port = address.split(":")
        self.name = name
        self.names = names
        self.socket = socket.create_connection((host, int(port)), DEADLINE_SECONDS)
        self.received = b""
        self.unsent = b""
        self.is_open = True
        self.is_connected = False
        self.session = 0
        self.has_closed_session = False
        self.next_xid = 1
        self.waiting = {}  # verbs by xid
        self.last_zxid = 0
        self.hides_zxid = False

    # --- Bytes ---

    def send(self):
        sent, self.unsent = self.unsent, b""
        try:
            self.socket.sendall(sent)
        except OSError:
            pass  # closed; reading tells

    def read_frame(self):
        """None: the server closed the connection."""
        if not self.is_open:
            return None
        while len(self.received) < 4 or len(self.received) < 4 + struct.unpack(">i", self.received[:4])[0]:
            try:
                some = self.socket.recv(1 << 20)
            except ConnectionResetError:
                some = b""
            except TimeoutError:
                raise Violation(f"{self.name} waits for an answer since {DEADLINE_SECONDS} s") from None
            if not some:
                self.is_open = False
                self.socket.close()
                return None
            self.received += some
        size = 4 + struct.unpack(">i", self.received[:4])[0]
        frame, self.received = self.received[4:size], self.received[size:]
        return frame

    def put_frame(self, frame):
        self.unsent += struct.pack(">i", len(frame)) + frame

    # --- Connecting ---

    def put_connect(self, options):
        session = self.names.number(options.get("session", "0"))
        password = {"null": None, "wrong": b"p" * 16, "short": b"p" * 8, "long": b"p" * 32, "zero": NO_PASSWORD}.get(
            options.get("password"), self.names.passwords.get(session, NO_PASSWORD))
        writer = Writer()
        writer.int(int(options.get("version", "0")))
        writer.long(self.names.number(options.get("zxid", "0")))
        writer.int(int(options.get("timeout", "30000")))
        writer.long(session)
        writer.buffer(password)
        if options.get("readonly", "no") != "absent":
            writer.bool(options.get("readonly") == "yes")
        cut = int(options.get("cut", "0"))
        self.put_frame(writer.bytes[:len(writer.bytes) - cut] + bytes.fromhex(options.get("more", "")))

    def take_connected(self):
        frame = self.read_frame()
        if frame is None:
            return "closed"
        reader = Reader(frame)
        version, timeout, session, password = reader.int(), reader.int(), reader.long(), reader.buffer()
        read_only = "absent" if not reader.rest else "yes" if reader.bool() else "no"
        if (timeout, session, password) == (0, 0, NO_PASSWORD):
            return f"refused readonly={read_only}"
        self.is_connected = True
        self.session = session
        known = self.names.passwords.setdefault(session, password)
        shown = f"{len(password)} bytes" if password == known else "another"
        return (f"connected version={version} timeout={timeout} session={self.names.session(session)}"
                f" password={shown} readonly={read_only}")

    # --- Requests ---

    def put_request(self, verb, words, options):
        encoder = Encoder(self.names)
        xid = int(options.get("xid", XIDS.get(verb, self.next_xid)))
        self.next_xid += xid == self.next_xid
        encoder.writer.int(xid)
        encoder.writer.int(int(options.get("type", VERBS[verb][0] or 0)))
        encoder.fields(verb, words)
        frame = encoder.writer.bytes
        self.put_frame(frame[:len(frame) - int(options.get("cut", "0"))] + bytes.fromhex(options.get("more", "")))
        # A ping is answered with its own xid, whatever it came with.
        self.waiting.setdefault(XIDS[verb] if verb == "ping" else xid, []).append(verb)
        self.has_closed_session |= verb == "close"

    def take(self):
        """The next thing from the server: its words, and whether it answers a request."""
        frame = self.read_frame()
        if frame is None:
            return "closed", True
        decoder = Decoder(self.names, frame)
        xid, zxid, error = decoder.reader.int(), decoder.reader.long(), decoder.reader.int()
        if xid == -1:
            self.see(zxid, [])
            return self.event(decoder, zxid, error), False
        verbs = self.waiting.get(xid)
        if not verbs:
            return f"xid={xid} error {error}", True
        verb = verbs.pop(0)
        words = [verb]
        if error != 0:
            words.append(f"error {error}")
            words += [f"zxid={zxid}"] if zxid <= 0 else []
            words += [f"and {decoder.reader.rest.hex()}"] if decoder.reader.rest else []
        else:
            words += ["z?" if self.hides_zxid else self.names.zxid(zxid), *decoder.fields(verb), *decoder.end()]
            self.see(zxid, decoder.zxids)
        return " ".join(words), True

    def event(self, decoder, zxid, error):
        kind, state, path = decoder.reader.int(), decoder.reader.int(), decoder.text()
        odd = [f"error {error}"] * (error != 0) + [f"state {state}"] * (state != 3) + decoder.end()
        return " ".join([EVENTS.get(kind, str(kind)), path, *odd, self.names.zxid(zxid)])

    def see(self, zxid, shown):
        """Time does not go back on a connection, and no answer shows what is later than it says."""
        if 0 < zxid < self.last_zxid or any(one > zxid for one in shown):
            raise Violation(f"{self.name} is told zxid {zxid:#x} with {shown} after {self.last_zxid:#x}")
        self.last_zxid = max(self.last_zxid, zxid)

    def is_waiting(self):
        return any(self.waiting.values())


class Talk:
    """One case: its connections and what they are told. A line is NAME VERB WORD..., or NAME+ VERB WORD..., which is
    sent with the connection's next line. With at=N before the verb it is about server N; @N:ROLE is what a
    server is called among the members."""

    def __init__(self, server):
        self.server = server
        self.names = Names()
        self.connections = {}
        self.reports = Reports()

    def step(self, line):
        """What was received because of the line, as words."""
        name, *rest = line.split(None, 1)
        words = parse(MEMBER.sub(lambda one: self.server.member(int(one[1]), one[2]), rest[0])) if rest else []
        is_held = name.endswith("+")
        name = name.rstrip("+")
        options = {}
        while words and isinstance(words[0], bytes) and b"=" in words[0]:
            option, value = words.pop(0).decode().split("=", 1)
            options[option] = value
        verb = words.pop(0).decode()
        place = int(options.pop("at", "1")) - 1
        is_alone = options.pop("alone", "no") == "yes"
        hides_zxid = options.pop("zxid", "shown") == "hidden" if verb != "connect" else False
        received = []
        if name == "servers":
            return self.order(verb, [int(word) - 1 for word in words])
        if verb == "word" or verb == "until":
            return [f"{name}< {line}" for line in self.ask(verb, place, *[word.decode() for word in words])]
        if verb == "connect" or verb == "open":
            self.connections[name] = Connection(name, self.server.addresses[place], self.names)
        connection = self.connections[name]
        connection.hides_zxid = hides_zxid
        if verb == "connect":
            options.update(word.decode().split("=", 1) for word in words)
            connection.put_connect(options)
        elif verb == "drop":
            connection.socket.close()
            connection.is_open = False
            return received
        elif verb == "bytes":
            connection.unsent += words[0]
        elif verb == "frame":
            connection.put_frame(words[0])
        elif verb == "await":
            return self.await_events(connection)
        elif verb != "open" and verb != "hear":
            connection.put_request(verb, words, options)
        if not is_held:
            connection.send()
            self.hear(connection, verb, received)
        if not is_held and not is_alone:
            self.hear_others(connection, received)
        return received

    def order(self, verb, places):
        """What happens to servers; those that start serve when this ends."""
        if verb == "kill":
            self.server.kill(*places)
            return []
        for place in places:
            self.server.start(place)
        for place in places:
            self.ask("until", place, "isro", "rw")
        return []

    def ask(self, verb, place, word, *more):
        """A report as lines; `until` it is this one."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            told = self.server.ask(place, word.encode(), DEADLINE_SECONDS if verb == "word" else 1).decode()
            if verb == "word":
                return self.reports.lines(f"{word} of {place}", told, more)
            if told == more[0]:
                return [told]
            if time.monotonic() > deadline:
                raise Violation(f"{word} of server {place + 1} is {told!r}")
            time.sleep(0.02)

    @staticmethod
    def hear(connection, verb, received):
        """All answers that are due."""
        if not connection.is_connected and verb in ("connect", "hear"):
            received.append(f"{connection.name}< {connection.take_connected()}")
        is_due = verb in ("bytes", "frame")
        while connection.is_open and (connection.is_waiting() or is_due or connection.has_closed_session):
            words, is_answer = connection.take()
            is_due = is_due and not is_answer
            received.append(f"{connection.name}{'<' if is_answer else '!'} {words}")

    def hear_others(self, speaker, received):
        """What they were told because of it is there before the answer to a ping that is sent now."""
        for connection in self.connections.values():
            if connection is speaker or not connection.is_connected or not connection.is_open:
                continue
            held, connection.unsent = connection.unsent, b""
            connection.put_request("ping", [], {})
            connection.send()
            connection.unsent = held
            while connection.is_open:
                words, is_answer = connection.take()
                if is_answer and words.startswith("ping"):
                    break
                received.append(f"{connection.name}{'<' if is_answer else '!'} {words}")

    @staticmethod
    def await_events(connection):
        """The next event, and those that came with it."""
        words, is_answer = connection.take()
        return [f"{connection.name}{'<' if is_answer else '!'} {words}"]

    def close(self):
        """End every session, so that none ends while another case runs."""
        open_sessions = set(self.names.passwords)
        for connection in self.connections.values():
            if connection.has_closed_session:
                open_sessions.discard(connection.session)
            if connection.is_open:
                connection.socket.close()
        for session in open_sessions:
            last = Connection("last", self.server.addresses[0], self.names)
            last.put_connect({"session": str(session)})
            last.put_request("close", [], {})
            last.send()
            if last.take_connected().startswith("connected"):
                while last.is_open:
                    last.take()
            last.socket.close()
