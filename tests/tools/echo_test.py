"""magpie serve --protocol echo."""

import os
import socket
import threading
import unittest

from _magpie import Server, main, receive_all


class Echo(unittest.TestCase):
    def test_bytes_come_back(self):
        data = os.urandom(3_000_000)
        with Server("--protocol", "echo") as server, server.connect() as connection:
            self.assertEqual(server.ready["protocol"], "echo")

            def send():
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send)
            sender.start()
            received = bytearray()
            while part := connection.recv(1 << 16):
                received += part
            sender.join()
            report = server.stop()
        self.assertTrue(bytes(received) == data)
        self.assertEqual(report["bytes_received"], len(data))
        self.assertEqual(report["bytes_sent"], len(data))
        self.assertGreater(report["requests"], 0)

    def test_messages_that_burn(self):
        with Server("--protocol", "echo", "--burn-on", "x:300ms") as server, server.connect() as connection:
            def exchange(message):
                before = server.cpu_ticks()
                connection.sendall(message)
                self.assertEqual(connection.recv(100), message)
                return server.cpu_ticks() - before

            self.assertGreaterEqual(exchange(b"xyz"), 25)
            self.assertLess(exchange(b"abc"), 20)

    def test_a_byte_by_number(self):
        with Server("--protocol", "echo", "--burn-on", "0x00:1ms") as server, server.connect() as connection:
            connection.sendall(b"\0abc")
            self.assertEqual(connection.recv(100), b"\0abc")

    def test_messages_that_block(self):
        import time
        with Server("--protocol", "echo", "--block-on", "x:300ms") as server, server.connect() as connection:
            begun, ticks = time.monotonic(), server.cpu_ticks()
            connection.sendall(b"xyz")
            self.assertEqual(connection.recv(100), b"xyz")
            self.assertGreaterEqual(time.monotonic() - begun, 0.3)
            self.assertLess(server.cpu_ticks() - ticks, 20)

    def test_long_answers(self):
        with Server("--protocol", "echo", "--message-size", "4", "--reply-on", "L:1MiB") as server, \
                server.connect() as connection:
            connection.sendall(b"abcdL...efghijkl")
            received = receive_exactly(connection, 4 + (1 << 20) + 8)
            report = server.stop()
        self.assertTrue(received == b"abcd" + b"L" * (1 << 20) + b"efghijkl")
        self.assertEqual(report["requests"], 4)

    def test_a_message_in_pieces(self):
        with Server("--protocol", "echo", "--message-size", "4", "--burn-on", "x:1ms") as server, \
                server.connect() as connection:
            for piece in (b"ab", b"cde", b"fghx", b"xxxy"):
                connection.sendall(piece)
            self.assertEqual(receive_exactly(connection, 12), b"abcdefghxxxx")
            connection.sendall(b"zzz")
            self.assertEqual(receive_exactly(connection, 4), b"yzzz")

    def test_the_end_in_the_midst_of_a_message_is_counted(self):
        with Server("--protocol", "echo", "--message-size", "4") as server:
            with server.connect() as connection:
                connection.sendall(b"abcdef")
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(receive_all(connection), b"abcd")
            report = server.stop()
        self.assertEqual(report["requests"], 1)
        self.assertEqual(report["broken"], 1)


def receive_exactly(connection, size):
    received = b""
    while len(received) < size:
        part = connection.recv(1 << 16)
        if not part:
            raise AssertionError(f"the connection ended after {len(received)} of {size} bytes")
        received += part
    return received


if __name__ == "__main__":
    main()
