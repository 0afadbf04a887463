"""What was produced to a topic, and whether what was read is the same."""

import threading
from collections import Counter
from itertools import cycle

from talk import Failed, expect

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
FILLER = "interop " * 12


def key_of(number):
    """Every tenth record has no key."""
    return None if number % 10 == 0 else f"k{number}"


def value_of(number):
    return f"value {number} {FILLER}"


class Topic:
    """A topic to which records with rising numbers are written."""

    def __init__(self, name, partitions=4):
        self.name = name
        self.partitions = partitions
        self.codecs = []  # of record 0, 1, 2, …: the codec it was produced with

    def __len__(self):
        return len(self.codecs)

    def produce(self, session, codec, count, acks="all"):
        """Has a client write the next `count` records."""
        first = len(self)
        self.codecs += [codec] * count
        expect(session("produce", self.name, codec, acks, first, count), [(str(count),)], "acknowledged")

    def produce_on(self, session, codec, count):
        """The same with the producer that the session keeps open from the first time on."""
        first = len(self)
        self.codecs += [codec] * count
        expect(session("produce-on", self.name, codec, first, count), [(str(count),)], "acknowledged")

    def lines(self, codec, count, line):
        """The next `count` records as text; `line` makes one of key (or None) and value."""
        first = len(self)
        self.codecs += [codec] * count
        return "".join(line(key_of(n), value_of(n)) + "\n" for n in range(first, first + count))

    def check(self, reads, first=0):
        """Each record from number `first` on was read once, as it was produced."""
        twice = [place for place, times in Counter(r.place for r in reads).items() if times > 1]
        if twice:
            raise Failed(f"{len(twice)} records read twice, the first at partition and offset {min(twice)}")
        numbers = Counter()
        for read in reads:
            number = read.number
            numbers[number] += 1
            expect(read.value, value_of(number), "value")
            expect(read.key if read.key not in ("null", "") else None, key_of(number), f"key of {read.value[:12]!r}")
            if read.codec is not None:
                expect(read.codec, self.codecs[number], f"header of {read.value[:12]!r}")
        missing = sorted(set(range(first, len(self))) - set(numbers))
        if missing:
            raise Failed(f"{len(missing)} of {len(self) - first} records missing, the first is number {missing[0]}")
        more = {n: times for n, times in numbers.items() if times > 1 or n < first}
        if more:
            raise Failed(f"{len(more)} records stored twice or read again, the first is number {min(more)}")


class Writer:
    """Writes to a topic all the time, so that whatever happens to a group happens while there is something to read; each codec and
    each session has its turn."""

    def __init__(self, topic, sessions, count):
        self.topic = topic
        self.turns = zip(cycle(sessions), cycle(CODECS))
        self.count = count
        self.failure = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.write, daemon=True)
        self.thread.start()

    def write(self):
        while not self.stopped.wait(0.1):
            try:
                self.topic.produce(*next(self.turns), self.count)
            except Failed as failure:
                self.failure = failure
                return

    def stop(self):
        """All that was begun is written then."""
        self.stopped.set()
        self.thread.join()
        if self.failure:
            raise self.failure
