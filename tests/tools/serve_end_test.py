"""How magpie serve ends: requests in progress go on, idle connections are closed, the second signal kills."""

import signal
import subprocess
import threading
import unittest

from _magpie import PATIENCE, PROGRAM, Server, main, receive_all, receive_until, wait_until

GOOD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def sleep_request(milliseconds):
    return b"GET /sleep?ms=%d HTTP/1.1\r\nHost: x\r\n\r\n" % milliseconds


class End(unittest.TestCase):
    def drains(self, number):
        with Server() as server, server.connect() as busy, server.connect() as idle:
            idle.sendall(GOOD)
            receive_until(idle, b"magpie\n")
            busy.sendall(sleep_request(1000))
            # Another connection's answer shows that the server works on the first request by now.
            idle.sendall(GOOD)
            receive_until(idle, b"magpie\n")
            server.ask_to_end(number)
            self.assertEqual(receive_all(idle), b"", "an idle connection is closed")
            answer = receive_all(busy)
            self.assertIn(b"HTTP/1.1 200 OK", answer)
            self.assertIn(b"Connection: close", answer)
            self.assertTrue(answer.endswith(b"slept 1000 ms\n"))
            report = server.end()
        self.assertEqual(report["statuses"], {"200": 3})
        self.assertEqual(report["broken"], 0)

    def test_sigterm_drains(self):
        self.drains(signal.SIGTERM)

    def test_ctrl_c_drains(self):
        self.drains(signal.SIGINT)

    def test_no_connection_is_accepted_any_more(self):
        with Server() as server, server.connect() as busy:
            busy.sendall(sleep_request(60_000))
            wait_until(lambda: server.descriptors() > 0, "a start")
            server.ask_to_end()

            def refused():
                try:
                    with server.connect() as late:
                        late.settimeout(0.05)
                        late.sendall(GOOD)
                        try:
                            return late.recv(10) == b""
                        except TimeoutError:
                            return True  # in the backlog, where nobody takes it from
                except (ConnectionRefusedError, ConnectionResetError):
                    return True

            wait_until(refused, "an end of accepting")
            server.process.kill()
            server.process.communicate()

    def test_the_second_signal_kills(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Server("--drain", "60s") as server, server.connect() as busy:
                busy.sendall(sleep_request(60_000))
                server.ask_to_end(number)
                self.assertIn("draining", server.process.stderr.readline())
                server.ask_to_end(number)
                server.process.communicate()
                self.assertEqual(server.process.returncode, -number)

    def test_the_drain_has_a_limit(self):
        with Server("--drain", "100ms") as server, server.connect() as busy:
            busy.sendall(sleep_request(60_000))
            ended = threading.Event()
            threading.Thread(target=lambda: (receive_all(busy), ended.set()), daemon=True).start()
            wait_until(lambda: server.status_field("Threads") > 0, "a start")
            server.stop()
            wait_until(ended.is_set, "the end of the connection")

    def test_half_a_request_does_not_hold_it_up_for_ever(self):
        with Server("--drain", "100ms") as server, server.connect() as half:
            half.sendall(GOOD[:-2])
            server.stop()

    def test_a_report_for_people(self):
        process = subprocess.Popen([PROGRAM, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True)
        self.assertRegex(process.stdout.readline(), r"^listening on 127\.0\.0\.1:[1-9]\d* \(http, ")
        process.terminate()
        report = process.communicate(timeout=PATIENCE)[0]
        self.assertEqual(process.returncode, 0)
        for word in ("requests", "connections", "worker"):
            self.assertIn(word, report)


if __name__ == "__main__":
    main()
