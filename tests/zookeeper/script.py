"""Scripts of cases: lines that are said, each followed by the answers that are expected.

    # a comment
    == What the case shows
    !not 3.8 who is not asked, and why
    a create /n "x" open 0
        a< create z2 "/n"
      3.8: what is otherwise there
        a< ...
      confer: a deliberate difference, as the table in docs/ZOOKEEPER.md calls it
        a< ...

A line "!servers 3" before the first case says how many servers it takes.

Answers without a heading are those of ZooKeeper 3.9, and of everybody who has none of their own."""
import dataclasses

REFERENCE = "3.9"
ANSWER = "    "
HEADING = "  "


@dataclasses.dataclass
class Step:
    """`answers` by who gives them; `reasons` tell why they are not the reference's."""
    line: str
    number: int
    answers: dict
    reasons: dict

    def expected(self, who):
        return self.answers.get(who, self.answers[REFERENCE])


@dataclasses.dataclass
class Case:
    title: str
    parts: list  # what stands for itself, and steps
    excluded: set  # who is not asked, by a line "!not WHO reason"

    def steps(self):
        return [part for part in self.parts if isinstance(part, Step)]


def server_count(head):
    return next((int(line.split()[1]) for line in head if line.startswith("!servers ")), 1)


def read(text):
    """The lines before the first case, and the cases."""
    head, cases, step, who = [], [], None, None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("== "):
            cases.append(Case(line[3:], [], set()))
            step = None
        elif not cases:
            head.append(line)
        elif line.startswith(ANSWER) and step is not None:
            step.answers[who].append(line[len(ANSWER):])
        elif line.startswith(HEADING) and step is not None:
            who, _, reason = line.strip().partition(":")
            step.answers[who] = []
            step.reasons[who] = reason.strip()
        elif not line or line[0] in "#!":
            cases[-1].parts.append(line)
            cases[-1].excluded.update(line.split()[1:2] if line.startswith("!not ") else [])
        else:
            step, who = Step(line, number, {REFERENCE: []}, {}), REFERENCE
            cases[-1].parts.append(step)
    return head, cases


def write(head, cases):
    lines = list(head)
    for case in cases:
        lines.append(f"== {case.title}")
        for part in case.parts:
            lines += step_lines(part) if isinstance(part, Step) else [part]
    return "\n".join(lines) + "\n"


def step_lines(step):
    yield step.line
    for who, answers in step.answers.items():
        if who != REFERENCE:
            yield f"{HEADING}{who}: {step.reasons[who]}".rstrip()
        for answer in answers:
            yield ANSWER + answer
