"""ZooKeeper's record encoding: numbers are big-endian, buffers and vectors begin with their length, -1 is null."""
import struct


class Writer:
    def __init__(self):
        self.bytes = b""

    def raw(self, some):
        self.bytes += some

    def bool(self, value):
        self.bytes += struct.pack(">?", value)

    def int(self, value):
        self.bytes += struct.pack(">i", value)

    def long(self, value):
        self.bytes += struct.pack(">q", value)

    def buffer(self, value):
        if value is None:
            self.int(-1)
        else:
            self.int(len(value))
            self.bytes += value

    def vector(self, items, put):
        self.int(-1 if items is None else len(items))
        for item in items or []:
            put(item)


class Reader:
    """Raises ValueError where the bytes end too early."""

    def __init__(self, some):
        self.rest = some

    def raw(self, count):
        if not 0 <= count <= len(self.rest):
            raise ValueError(f"{count} bytes wanted, {len(self.rest)} left")
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def bool(self):
        return self.raw(1) != b"\0"

    def int(self):
        return struct.unpack(">i", self.raw(4))[0]

    def long(self):
        return struct.unpack(">q", self.raw(8))[0]

    def buffer(self):
        count = self.int()
        return None if count == -1 else self.raw(count)

    def vector(self, take):
        count = self.int()
        if count > len(self.rest):
            raise ValueError(f"{count} items wanted, {len(self.rest)} bytes left")
        return None if count == -1 else [take() for _ in range(count)]
