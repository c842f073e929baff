"""magpie serve, as curl and other well-behaved clients see it."""

import json
import shutil
import subprocess
import unittest

from _magpie import Server, main, receive_until, skip

if shutil.which("curl") is None:
    skip("there is no curl")

BODY = "hello from magpie\n"


def curl(*arguments):
    done = subprocess.run(["curl", "-sS", "--max-time", "30", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        with cls.server:
            pass

    def test_get(self):
        self.assertEqual(curl(self.server.url), BODY)

    def test_head_has_the_length_and_no_body(self):
        head = curl("-I", self.server.url)
        self.assertIn("HTTP/1.1 200 OK", head)
        self.assertIn(f"Content-Length: {len(BODY)}", head)
        self.assertNotIn("hello", head)

    def test_not_found(self):
        self.assertIn("404", curl("-o", "/dev/null", "-w", "%{http_code}", self.server.url + "/nothing"))

    def test_method_not_allowed_names_those_that_are(self):
        answer = curl("-i", "-X", "DELETE", self.server.url)
        self.assertIn("405", answer.splitlines()[0])
        self.assertIn("Allow: GET, HEAD", answer)

    def test_a_body_is_skipped(self):
        answer = curl("-i", "-d", "x" * 5000, self.server.url, "--next", "-sS", self.server.url)
        self.assertIn("405", answer.splitlines()[0])
        self.assertTrue(answer.endswith(BODY))

    def test_sleep(self):
        self.assertEqual(curl(self.server.url + "/sleep?ms=20"), "slept 20 ms\n")

    def test_cpu_burns_cpu(self):
        before = self.server.cpu_ticks()
        self.assertEqual(curl(self.server.url + "/cpu?ms=300"), "computed 300 ms\n")
        ticks_of_a_quarter_second = 25
        self.assertGreaterEqual(self.server.cpu_ticks() - before, ticks_of_a_quarter_second)

    def test_times_out_of_range_are_refused(self):
        for query in ("", "?ms=-1", "?ms=abc", "?ms=99999999", "?ms=1&ms=2"):
            answer = curl("-i", self.server.url + "/sleep" + query)
            self.assertIn("400", answer.splitlines()[0], query)
            self.assertIn("ms must be", answer)

    def test_metrics_count_requests_and_loops(self):
        curl(self.server.url)
        text = curl(self.server.url + "/metrics")
        self.assertRegex(text, r'magpie_server_requests_total\{worker="\d+",status="200"\} [1-9]')
        self.assertIn("# TYPE magpie_server_connections_total counter", text)
        self.assertRegex(text, r'(?m)^magpie_[a-z_]+\{worker="0"\} \d+$')

    def test_a_connection_is_kept(self):
        used = curl("-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", self.server.url, self.server.url)
        self.assertEqual(used.split(), ["1", "0"])

    def test_http_1_0_closes_unless_asked(self):
        self.assertTrue(self.server.exchange(b"GET / HTTP/1.0\r\n\r\n").endswith(BODY.encode()))
        with self.server.connect() as connection:
            for _ in range(2):
                connection.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                answer = receive_until(connection, BODY.encode())
                self.assertIn(b"Connection: keep-alive", answer)

    def test_pipelined_requests_are_answered_in_order(self):
        paths = ["/", "/nothing", "/sleep?ms=5", "/", "/sleep?ms=0", "/cpu?ms=1", "/nothing"]
        requests = "".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n" for path in paths)
        last = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = self.server.exchange((requests + last).encode()).decode()
        statuses = [part.split()[0] for part in answer.split("HTTP/1.1 ")[1:]]
        self.assertEqual(statuses, ["200", "404", "200", "200", "200", "200", "404", "200"])
        self.assertEqual(answer.count("slept"), 2)

    def test_many_pipelined_requests(self):
        count = 5000
        request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.server.connect() as connection:
            connection.sendall(request * (count - 1) + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            data = b""
            while part := connection.recv(1 << 20):
                data += part
        self.assertEqual(data.count(b"HTTP/1.1 200 OK"), count)
        self.assertEqual(data.count(BODY.encode()), count)

    def test_a_request_a_byte_at_a_time(self):
        with self.server.connect() as connection:
            for byte in b"GET / HTTP/1.1\r\nHost: x\r\n\r\n":
                connection.sendall(bytes([byte]))
            receive_until(connection, BODY.encode())

    def test_expect_continue(self):
        with self.server.connect() as connection:
            connection.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            first = receive_until(connection, b"\r\n\r\n")
            self.assertIn(b"100 Continue", first)
            connection.sendall(b"abc")
            receive_until(connection, b"405", first.split(b"\r\n\r\n", 1)[1])


class Start(unittest.TestCase):
    def test_the_ready_line(self):
        with Server("--workers", 1) as server:
            self.assertEqual(server.ready["event"], "listening")
            self.assertEqual(server.ready["address"], f"127.0.0.1:{server.port}")
            self.assertEqual(server.ready["workers"], 1)
            self.assertIn(server.ready["backend"], ("io_uring", "poll"))

    def test_the_report_counts(self):
        server = Server()
        with server:
            for path in ("/", "/", "/nothing"):
                curl("-o", "/dev/null", server.url + path)
            report = server.stop()
        self.assertEqual(report["event"], "report")
        self.assertEqual(report["requests"], 3)
        self.assertEqual(report["statuses"], {"200": 2, "404": 1})
        self.assertEqual(report["connections"], 3)
        self.assertEqual(sum(worker["requests"] for worker in report["workers"]), 3)
        self.assertEqual(json.dumps(report["broken"]), "0")


if __name__ == "__main__":
    main()
