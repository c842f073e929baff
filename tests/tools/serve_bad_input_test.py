"""magpie serve and clients that do not behave: an answer or a close, and a server that lives on in bounded memory."""

import random
import socket
import time
import unittest

from _magpie import PATIENCE, SANITIZED, Server, main, receive_all, receive_until, wait_until

GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        with cls.server:
            pass

    def tearDown(self):
        self.assertEqual(status_of(self.server.exchange(LAST)), 200, "the server must have survived")

    def refused(self, request, status):
        answer = self.server.exchange(request)
        self.assertEqual(status_of(answer), status, request[:80])
        self.assertIn(b"Connection: close", answer)

    def test_garbage(self):
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"GET /\r\n\r\n",
                        b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
                        b"GET / HTTP/1.1\nHost: x\n\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
                        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
            self.refused(garbage, 400)

    def test_a_header_of_a_megabyte(self):
        self.refused(b"GET / HTTP/1.1\r\nHost: x\r\nBig: " + b"a" * (1 << 20) + b"\r\n\r\n", 431)

    def test_a_header_of_a_megabyte_in_many_fields(self):
        fields = b"".join(b"Field-%d: %s\r\n" % (i, b"b" * 1000) for i in range(1000))
        self.refused(b"GET / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n", 431)

    def test_too_many_fields(self):
        self.refused(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n", 431)

    def test_too_long_a_target(self):
        self.refused(b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414)

    def test_too_large_a_body(self):
        self.refused(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413)

    def test_another_version(self):
        self.refused(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505)

    def test_another_coding(self):
        self.refused(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501)

    def test_what_came_before_the_error_is_answered(self):
        answer = self.server.exchange(GOOD + b"nonsense\r\n\r\n")
        self.assertEqual([part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]], [b"200", b"400"])

    def test_half_a_request_then_close(self):
        for length in range(1, len(GOOD)):
            self.server.exchange(GOOD[:length], half_close=True)

    def test_half_a_request_then_reset(self):
        for length in (0, 5, len(GOOD) - 1):
            connection = self.server.connect()
            connection.sendall(GOOD[:length])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()

    def test_random_bytes(self):
        seed = random.randrange(1 << 32)
        print(f"seed: {seed}")
        source = random.Random(seed)
        for _ in range(100):
            data = bytearray(GOOD * source.randrange(1, 20))
            for _ in range(source.randrange(1, 10)):
                data[source.randrange(len(data))] = source.randrange(256)
            self.server.exchange(bytes(data), half_close=True)

    def test_nothing_is_left_open(self):
        before = self.server.descriptors()
        self.test_half_a_request_then_reset()
        self.test_garbage()
        wait_until(lambda: self.server.descriptors() <= before, "all connections closed")


class Slow(unittest.TestCase):
    @unittest.skipIf(SANITIZED, "a sanitizer keeps what is freed for a while")
    def test_a_client_that_does_not_read_costs_no_memory(self):
        with Server("--workers", 2) as server:
            self.assertEqual(status_of(server.exchange(LAST)), 200)
            before = server.status_field("VmRSS")
            connections = [server.connect() for _ in range(20)]
            requests = GOOD.replace(b"GET / ", b"GET /metrics ") * 200
            for connection in connections:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.setblocking(False)
            sent, idle_rounds = 0, 0
            while idle_rounds < 20 and sent < (64 << 20):
                moved = 0
                for connection in connections:
                    try:
                        moved += connection.send(requests)
                    except BlockingIOError:
                        pass
                sent += moved
                idle_rounds = 0 if moved else idle_rounds + 1
                time.sleep(0 if moved else 0.01)
            self.assertEqual(status_of(server.exchange(LAST)), 200, "others are served meanwhile")
            grown_kib = server.status_field("VmRSS") - before
            self.assertLess(grown_kib, 20 * 1024, f"after {sent} bytes of requests")
            for connection in connections:
                connection.close()

    def test_slow_requests_keep_no_buffer_from_others(self):
        with Server("--workers", 1, environment={"MAGPIE_IO_BUFFER_RING_COUNT": "8"}) as server:
            sleepers = [server.connect() for _ in range(40)]
            for connection in sleepers:
                connection.sendall(b"GET /sleep?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
            for _ in range(20):
                self.assertEqual(status_of(server.exchange(LAST)), 200)
            for connection in sleepers:
                connection.close()
            server.process.kill()
            server.process.communicate()

    def test_an_idle_connection_is_closed(self):
        with Server("--idle-timeout", "200ms") as server:
            with server.connect() as connection:
                self.assertEqual(connection.recv(100), b"")
            with server.connect() as connection:
                connection.sendall(GOOD)
                receive_until(connection, b"magpie\n")
                self.assertEqual(connection.recv(100), b"")
            report = server.stop()
        self.assertEqual(report["timed_out"], 2)
        self.assertEqual(report["broken"], 0)

    def test_a_request_that_does_not_end_is_told_so(self):
        with Server("--idle-timeout", "200ms") as server, server.connect() as connection:
            connection.sendall(GOOD[:-2])
            self.assertEqual(status_of(receive_all(connection)), 408)

    def test_a_request_that_drips_is_told_so(self):
        with Server("--idle-timeout", "300ms") as server, server.connect(timeout=0.05) as connection:
            answer = b""
            for _ in range(PATIENCE * 20):
                connection.sendall(b"G")
                try:
                    answer = connection.recv(1000)
                    break
                except TimeoutError:
                    pass
            self.assertEqual(status_of(answer), 408)

    def test_a_client_that_does_not_read_is_closed(self):
        with Server("--idle-timeout", "200ms") as server, server.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            requests = GOOD.replace(b"GET / ", b"GET /metrics ") * 5000
            try:
                while True:
                    connection.sendall(requests)
            except OSError:
                pass
            self.assertEqual(server.stop()["timed_out"], 1)

    def test_a_sleep_longer_than_the_timeout_is_no_idle_time(self):
        with Server("--idle-timeout", "100ms") as server:
            answer = server.exchange(LAST.replace(b"GET / ", b"GET /sleep?ms=1000 "))
            self.assertEqual(status_of(answer), 200)


if __name__ == "__main__":
    main()
