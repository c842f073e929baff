#include <magpie/io/loop/wakeup.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <poll.h>
#include <runtime/support/kit.hpp>
#include <unistd.h>

namespace {

using magpie::detail::wakeup;

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
