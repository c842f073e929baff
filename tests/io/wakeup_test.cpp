#include <magpie/io/loop/wakeup.hpp>

#include <magpie/combinators/gather.hpp>
#include <magpie/io/loop/ring.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <io/support/refused_calls.hpp>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using namespace magpie;
using magpie::detail::wakeup;

constexpr tests::refused_call send_messages{.number = SYS_io_uring_register, .second_argument = 31};

bool readable(wakeup const& w) {
    pollfd look{.fd = w.descriptor(), .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
}

void drain(wakeup const& w) {
    std::uint64_t value = 0;
    REQUIRE(::read(w.descriptor(), &value, sizeof value) == sizeof value);
}

TEST_CASE("notifying an owner that is awake costs no system call, and is not lost") {
    wakeup w;
    w.notify();
    w.notify();
    CHECK(!readable(w));
    CHECK(!w.prepare_sleep());  // it must look around first
    CHECK(w.prepare_sleep());
    w.end_sleep();
}

TEST_CASE("notifying a sleeper makes the descriptor readable, once a sleep") {
    wakeup w;
    REQUIRE(w.prepare_sleep());
    CHECK(!readable(w));
    w.notify();
    w.notify();
    CHECK(readable(w));
    drain(w);
    CHECK(!readable(w));
    w.end_sleep();
    REQUIRE(w.prepare_sleep());
    w.notify();
    CHECK(readable(w));
}

TEST_CASE("a sleep that ended for another reason leaves nothing behind") {
    wakeup w;
    REQUIRE(w.prepare_sleep());
    w.end_sleep();
    w.notify();
    CHECK(!readable(w));
    CHECK(!w.prepare_sleep());
}

TEST_CASE("of a ring that takes messages, notifying a sleeper completes something, once a sleep") {
    detail::ring r(8, 16, false);
    if (detail::ring::send_message(r.descriptor()) != 0) {
        MESSAGE("this kernel has no messages to rings");
        return;
    }
    r.consume(1);
    wakeup w;
    w.use_ring(r.descriptor());
    CHECK(w.uses_ring());
    w.notify();
    CHECK(!r.has_completions());  // awake
    CHECK(!w.prepare_sleep());
    REQUIRE(w.prepare_sleep());
    w.notify();
    w.notify();
    REQUIRE(r.completions() == 1);
    CHECK(r.completion(0).user_data == detail::ring::message_tag);
    CHECK(!readable(w));
}

TEST_CASE("a message that is refused is not all: the eventfd ends the sleep") {
    wakeup w;
    w.use_ring(w.descriptor());  // no ring
    REQUIRE(w.prepare_sleep());
    w.notify();
    CHECK(readable(w));
}

// Runs a task, and waits until the worker that had it has gone to sleep.
template <class T>
void run_and_let_sleep(runtime& rt, task<T> body) {
    auto const parks = [&] { return rt.snapshot().totals().parks; };
    auto const before = parks();
    (void)rt.spawn(std::move(body)).blocking_wait();
    tests::until([&] { return parks() > before; });
}

// Foreign threads and other workers wake a worker that has I/O under way, or none.
void wake_up_in_many_ways() {
    tests::on_each_backend(3, [](config const& c) {
        runtime rt(c);
        auto const ends = tests::make_pipe();
        auto const reads = [](int fd) -> task<> {
            std::byte byte{};
            (void)co_await io::op({.code = io::opcode::read,
                                   .fd = fd,
                                   .offset = ~std::uint64_t{0},
                                   .address = reinterpret_cast<std::uintptr_t>(&byte),
                                   .length = 1});
        };
        auto reader = rt.spawn(reads(ends.read.get()));
        auto const fans_out = []() -> task<int> {
            auto const one = []() -> task<int> {
                co_await this_task::yield();
                co_return 1;
            };
            co_return std::get<0>(co_await gather(one(), one(), one(), one()));
        };
        for (unsigned i = 0; i < tests::rounds(500); ++i) {
            CHECK(rt.block_on(fans_out()) == 1);
            if (i % 16 == 0) {
                run_and_let_sleep(rt, fans_out());
            }
        }
        tests::put(ends.write, "x");
        reader.blocking_wait();
    });
}

TEST_CASE("a worker is woken, whatever the kernel has for it") {
    wake_up_in_many_ways();
}

TEST_CASE("inside a process without messages to rings" * doctest::skip()) {
    detail::ring r(8, 16, false);
    REQUIRE(detail::ring::send_message(r.descriptor()) != 0);
    wake_up_in_many_ways();
}

// As in a program that shuts itself in once it has begun.
TEST_CASE("inside a process that will refuse messages to rings" * doctest::skip()) {
    tests::on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto const nothing = []() -> task<> { co_return; };
        run_and_let_sleep(rt, nothing());
        if (!tests::refuse(send_messages)) {
            MESSAGE("no seccomp filter can be set here");
            return;
        }
        for (int i = 0; i < 20; ++i) {
            run_and_let_sleep(rt, nothing());
        }
    });
}

TEST_CASE("where messages to rings are refused, as before Linux 6.13, an eventfd does it") {
    tests::check_without(send_messages, {"--no-skip", "--test-case=inside a process without messages to rings"});
    tests::check_without(send_messages, {"--source-file=*/tests/io/event_loop_test.cpp,*/tests/io/take_over_test.cpp,"
                                         "*/tests/io/uring_loop_test.cpp"});
}

TEST_CASE("where messages to rings are refused from some moment on, an eventfd does it from then on") {
    tests::check_without({}, {"--no-skip", "--test-case=inside a process that will refuse messages to rings"});
}

TEST_CASE("no notification is lost, and what was written before it is seen") {
    constexpr int notifiers = 3;
    unsigned const each = magpie::tests::rounds(20'000);
    wakeup w;
    std::atomic<unsigned> posted{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < notifiers; ++i) {
        threads.emplace_back([&] {
            for (unsigned n = 0; n < each; ++n) {
                posted.fetch_add(1, std::memory_order_relaxed);
                w.notify();
            }
        });
    }
    // An owner that sleeps for good whenever it may: a lost notification hangs the test.
    while (posted.load(std::memory_order_relaxed) < notifiers * each) {
        if (w.prepare_sleep()) {
            if (posted.load(std::memory_order_relaxed) < notifiers * each) {
                drain(w);
            }
            w.end_sleep();
        }
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(posted.load() == notifiers * each);
}

}  // namespace
