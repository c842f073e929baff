#include <magpie/io/signals.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <io/support/kit.hpp>
#include <signal.h>

namespace {

using namespace magpie;
using namespace magpie::tests;

int handled = 0;
void count(int) {
    ++handled;
}

void raise_in_process(int signal) {
    REQUIRE(::raise(signal) == 0);  // to this thread: delivered when it returns, and never later
}

TEST_CASE("LOOP-11: a signal reaches the task that waits for it, and one that came before counts") {
    run_on_each_backend(1, []() -> task<> {
        io::signal_stream stream({SIGUSR1, SIGTERM});
        auto waiting = spawn(stream.next());
        co_await let_others_run();
        CHECK(!waiting.done());
        raise_in_process(SIGTERM);
        CHECK((co_await std::move(waiting)).value() == SIGTERM);
        raise_in_process(SIGUSR1);
        CHECK((co_await stream.next()).value() == SIGUSR1);
    });
}

TEST_CASE("different signals that came are all told, one that came twice is told once") {
    run_on_each_backend(1, []() -> task<> {
        io::signal_stream stream({SIGUSR1, SIGUSR2});
        raise_in_process(SIGUSR2);
        raise_in_process(SIGUSR1);
        raise_in_process(SIGUSR2);
        std::vector<int> told;
        told.push_back((co_await stream.next()).value());
        told.push_back((co_await stream.next()).value());
        std::ranges::sort(told);
        CHECK(told == std::vector{SIGUSR1, SIGUSR2});
        auto more = spawn(stream.next());
        co_await let_others_run();
        CHECK(!more.done());
        more.cancel();
        CHECK_THROWS_AS((void)co_await std::move(more), child_cancelled);
    });
}

TEST_CASE("several streams may want one signal: each gets it") {
    run_on_each_backend(1, []() -> task<> {
        io::signal_stream first({SIGUSR1});
        io::signal_stream second({SIGUSR1, SIGUSR2});
        raise_in_process(SIGUSR1);
        CHECK((co_await first.next()).value() == SIGUSR1);
        CHECK((co_await second.next()).value() == SIGUSR1);
    });
}

TEST_CASE("when the last stream is gone, a signal does what it did before") {
    struct sigaction ours{};
    struct sigaction before{};
    ours.sa_handler = &count;
    REQUIRE(::sigaction(SIGUSR1, &ours, &before) == 0);
    handled = 0;
    {
        auto first = std::make_unique<io::signal_stream>(std::initializer_list<int>{SIGUSR1});
        io::signal_stream const second({SIGUSR1});
        raise_in_process(SIGUSR1);
        CHECK(handled == 0);
        first.reset();
        raise_in_process(SIGUSR1);
        CHECK(handled == 0);
    }
    raise_in_process(SIGUSR1);
    CHECK(handled == 1);
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_CASE("a wait that is cancelled takes no signal away") {
    run_on_each_backend(1, []() -> task<> {
        io::signal_stream stream({SIGUSR1});
        auto waiting = spawn(stream.next());
        co_await let_others_run();
        waiting.cancel();
        CHECK_THROWS_AS((void)co_await std::move(waiting), child_cancelled);
        raise_in_process(SIGUSR1);
        CHECK((co_await stream.next()).value() == SIGUSR1);
    });
}

TEST_CASE("what cannot be waited for is refused, and leaves nothing behind") {
    auto const before = open_descriptors();
    for (int const signal : {0, -1, 65, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
        CAPTURE(signal);
        CHECK_THROWS_AS(io::signal_stream({SIGUSR1, signal}), std::invalid_argument);
    }
    CHECK(open_descriptors() == before);
    struct sigaction present{};
    ::sigaction(SIGUSR1, nullptr, &present);
    bool const untouched = present.sa_handler == SIG_DFL;
    CHECK(untouched);
}

TEST_CASE("there is room for thirty-two streams") {
    std::vector<io::signal_stream> streams;
    for (int i = 0; i < 32; ++i) {
        streams.emplace_back(std::initializer_list<int>{SIGUSR1});
    }
    CHECK_THROWS_AS(io::signal_stream({SIGUSR1}), limit_exceeded);
    streams.pop_back();
    CHECK_NOTHROW(io::signal_stream({SIGUSR1}));
}

TEST_CASE("signals from other threads while streams come and go") {
    run_on_each_backend(2, []() -> task<> {
        io::signal_stream keeps_the_handler({SIGUSR2});
        std::atomic<bool> over{false};
        std::thread sender([&] {
            while (!over.load()) {
                ::raise(SIGUSR2);
            }
        });
        for (unsigned i = 0; i < rounds(300); ++i) {
            io::signal_stream stream({SIGUSR2});
            CHECK((co_await stream.next()).value() == SIGUSR2);
        }
        over.store(true);
        sender.join();
    });
}

}  // namespace
