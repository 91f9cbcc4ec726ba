"""The reports of four-letter words as lines that do not differ from run to run."""
import re

NUMBER = re.compile(r"\d+(\.\d+)?")
# What differs between servers too, and is no number.
NAMES = [(re.compile(r"(Zookeeper version: |zk_version\t|zookeeper.version=)(\d+\.\d+).*"), r"\1VERSION"),
         (re.compile(r"/127\.0\.0\.1:\d+"), "/CLIENT"),
         (re.compile(r"0x[0-9a-f]+"), "HEX"),
         (re.compile(r"^(version=)[0-9a-f]+"), r"\1HEX"),
         (re.compile(r"(expire at ).*:$"), r"\1DATE:"),
         (re.compile(r"^(Mode: |zk_server_state\t)(leader|follower)$"), r"\1ROLE"),
         (re.compile(r"^(zk_peer_state\t)(leading|following)( - broadcast)$"), r"\1ROLE\3"),
         (re.compile(r"^((?:data(?:Log)?Dir|(?:host|os|user)\.\w+)=).+"), r"\1TEXT")]


class Reports:
    """Remembers numbers of one case: asked again, they are told by how much they changed."""

    def __init__(self):
        self.seen = {}

    def lines(self, word, told, wanted):
        """Those lines that begin with one of `wanted`, or all; of wanted ones with a single number, the change."""
        *lines, last = told.split("\n")
        lines += [f"{last} (no end of line)"] if last else []
        shown = [self.line(word, line, bool(wanted)) for line in lines if not wanted or line.startswith(wanted)]
        return sorted(shown) if word.startswith("cons") else shown  # which has no order

    def line(self, word, line, counts):
        if not line:
            return "(empty)"
        for pattern, name in NAMES:
            line = pattern.sub(name, line)
        numbers = NUMBER.findall(line)
        key = (word, NUMBER.sub("N", line))
        if not counts or len(numbers) != 1:
            return key[1].replace("\t", " ").rstrip()
        now = float(NUMBER.search(line)[0])
        before = self.seen.setdefault(key, now)
        self.seen[key] = now
        change = "" if now == before else f"{now - before:+g}"
        return (key[1] + change).replace("\t", " ")
