"""magpie serve --protocol echo."""

import os
import socket
import threading
import unittest

from _magpie import Server, main


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


if __name__ == "__main__":
    main()
