"""Ports for servers that a test starts."""
import random
import socket

# As tests/support/cluster.c has them: below those that the kernel gives to outgoing connections.
LOWEST, COUNT, TRIES = 12000, 20000, 1000

reserved = []  # held until this program ends


def reserve(port):
    """An abstract socket named after the port: no other test takes it. Whether nobody had it."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0confer-test-port-{port}")
    except OSError:
        lock.close()
        return False
    reserved.append(lock)
    return True


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count):
    """Ports of 127.0.0.1 that nobody uses now, and no other test will while this program runs."""
    ports = []
    for _ in range(TRIES):
        if len(ports) == count:
            return ports
        port = LOWEST + random.SystemRandom().randrange(COUNT)
        if is_free(port) and reserve(port):
            ports.append(port)
    raise RuntimeError("no free port was found")
