// SIGINT and run(): RUN-10 to RUN-14. Each case runs in a process of its own: this program again, with one of the
// skipped test cases below, which says by its exit status how the run ended.

#include <magpie/runtime/runtime.hpp>

#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

extern char** environ;

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

enum ending : int {
    ended_interrupted = 10,
    ended_cancelled = 11,
    ended_with_value = 12,
    ended_with_error = 13,
    handler_ran = 14,
    handler_lost = 15,
};

// How the child ended: its exit status, or 128 + the signal that killed it.
int in_child(char const* test_case) {
    std::string program = "/proc/self/exe";
    std::string filter = std::string("--test-case=") + test_case;
    std::string no_skip = "--no-skip";
    char* arguments[] = {program.data(), filter.data(), no_skip.data(), nullptr};
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1 /* O_WRONLY */, 0);
    pid_t child = 0;
    int const failed = posix_spawn(&child, program.c_str(), &quiet, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&quiet);
    REQUIRE(failed == 0);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Runs a main task and leaves the process with how that ended; doctest would catch the signal and the exceptions.
template <class Body>
[[noreturn]] void run_and_leave(Body body, config c) {
    signal(SIGINT, SIG_DFL);  // doctest handles it otherwise
    int how = ended_with_value;
    try {
        run(body(), std::move(c));
    } catch (interrupted const&) {
        how = ended_interrupted;
    } catch (child_cancelled const&) {
        how = ended_cancelled;
    } catch (...) {
        how = ended_with_error;
    }
    _exit(how);
}

task<> waits() {
    ::kill(::getpid(), SIGINT);
    co_await sleep(1h);
}

TEST_CASE("child: SIGINT while main waits" * doctest::skip()) {
    run_and_leave(waits, threads(2));
}

TEST_CASE("child: SIGINT on the simulated clock" * doctest::skip()) {
    run_and_leave(waits, simulated());
}

TEST_CASE("child: SIGINT delivered to a worker" * doctest::skip()) {
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGINT);
    config const c = threads(2);
    auto const body = [&only]() -> task<> {
        pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
        raise(SIGINT);  // delivered to this worker's thread
        co_await sleep(1h);
    };
    pthread_sigmask(SIG_BLOCK, &only, nullptr);
    run_and_leave(body, c);
}

TEST_CASE("child: SIGINT while main never parks" * doctest::skip()) {
    auto const body = []() -> task<> {
        ::kill(::getpid(), SIGINT);
        for (;;) {
            co_await this_task::yield();
        }
    };
    run_and_leave(body, threads(1));
}

TEST_CASE("RUN-10: SIGINT cancels main, and run throws interrupted") {
    CHECK(in_child("child: SIGINT while main waits") == ended_interrupted);
    CHECK(in_child("child: SIGINT on the simulated clock") == ended_interrupted);
    CHECK(in_child("child: SIGINT delivered to a worker") == ended_interrupted);
    CHECK(in_child("child: SIGINT while main never parks") == ended_interrupted);
}

TEST_CASE("child: SIGINT with leftovers and cleanup" * doctest::skip()) {
    static std::atomic<int> cleaned{0};
    auto const body = []() -> task<> {
        auto const leftover = []() -> task<> {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
                ++cleaned;
                throw;
            }
        };
        spawn_detached(leftover);
        auto awaited = spawn(leftover);
        co_await this_task::yield();
        ::kill(::getpid(), SIGINT);
        co_await std::move(awaited);
    };
    signal(SIGINT, SIG_DFL);
    try {
        run(body(), threads(1));
    } catch (interrupted const&) {
        _exit(cleaned == 2 ? ended_interrupted : ended_with_error);
    }
    _exit(ended_with_value);
}

TEST_CASE("RUN-10: cleanup of main, of what it awaits and of leftovers runs before run throws") {
    CHECK(in_child("child: SIGINT with leftovers and cleanup") == ended_interrupted);
}

TEST_CASE("child: SIGINT after main cancelled itself" * doctest::skip()) {
    auto const body = []() -> task<> {
        this_task::cancel();
        ::kill(::getpid(), SIGINT);
        until([] { return this_task::cancelling() == 2; });
        co_await sleep(1h);
    };
    run_and_leave(body, threads(1));
}

TEST_CASE("RUN-11: SIGINT while main was already cancelled otherwise: cancellation, not interrupted") {
    CHECK(in_child("child: SIGINT after main cancelled itself") == ended_cancelled);
}

TEST_CASE("child: second SIGINT" * doctest::skip()) {
    auto const body = []() -> task<> {
        ::kill(::getpid(), SIGINT);
        until([] { return this_task::cancelling() == 1; });
        ::kill(::getpid(), SIGINT);
        for (;;) {
            try {
                co_await sleep(1h);
            } catch (task_cancelled const&) {
            }
        }
    };
    run_and_leave(body, threads(1));
}

TEST_CASE("RUN-12: a second SIGINT kills") {
    CHECK(in_child("child: second SIGINT") == 128 + SIGINT);
}

TEST_CASE("child: main swallows the request" * doctest::skip()) {
    auto const body = []() -> task<> {
        ::kill(::getpid(), SIGINT);
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
        }
    };
    run_and_leave(body, threads(2));
}

TEST_CASE("child: main fails in its cleanup" * doctest::skip()) {
    auto const body = []() -> task<> {
        ::kill(::getpid(), SIGINT);
        try {
            co_await sleep(1h);
        } catch (task_cancelled const&) {
            throw std::runtime_error("cleanup");
        }
    };
    run_and_leave(body, threads(2));
}

TEST_CASE("RUN-14: if main returns a value all the same, or fails, that is the result") {
    CHECK(in_child("child: main swallows the request") == ended_with_value);
    CHECK(in_child("child: main fails in its cleanup") == ended_with_error);
}

std::atomic<int> own_handler_calls{0};

void own_handler(int) {
    ++own_handler_calls;
}

TEST_CASE("child: a handler installed before" * doctest::skip()) {
    signal(SIGINT, &own_handler);
    auto const body = []() -> task<> {
        raise(SIGINT);
        co_await sleep(1us);
    };
    run(body(), threads(1));
    raise(SIGINT);
    _exit(own_handler_calls == 2 ? handler_ran : handler_lost);
}

TEST_CASE("child: a handler installed while run goes on" * doctest::skip()) {
    signal(SIGINT, SIG_DFL);
    auto const body = []() -> task<> {
        signal(SIGINT, &own_handler);
        co_return;
    };
    run(body(), threads(1));
    raise(SIGINT);
    _exit(own_handler_calls == 1 ? handler_ran : handler_lost);
}

TEST_CASE("child: SIGINT ignored" * doctest::skip()) {
    signal(SIGINT, SIG_IGN);
    auto const body = []() -> task<> {
        raise(SIGINT);
        co_await sleep(1us);
    };
    run(body(), threads(1));
    _exit(signal(SIGINT, SIG_DFL) == SIG_IGN ? handler_ran : handler_lost);
}

TEST_CASE("RUN-13: a disposition that the program chose is never replaced") {
    CHECK(in_child("child: a handler installed before") == handler_ran);
    CHECK(in_child("child: a handler installed while run goes on") == handler_ran);
    CHECK(in_child("child: SIGINT ignored") == handler_ran);
}

TEST_CASE("child: handle_sigint = false" * doctest::skip()) {
    config c = threads(1);
    c.handle_sigint = false;
    run_and_leave(waits, c);
}

TEST_CASE("child: block_on leaves signals alone" * doctest::skip()) {
    signal(SIGINT, SIG_DFL);
    runtime rt(threads(1));
    rt.block_on(waits());
    _exit(ended_with_value);
}

TEST_CASE("child: the default again after run" * doctest::skip()) {
    signal(SIGINT, SIG_DFL);
    auto const nothing = []() -> task<> { co_return; };
    run(nothing(), threads(1));
    try {
        run(waits(), threads(1));
    } catch (interrupted const&) {
    }
    raise(SIGINT);
    _exit(ended_with_value);
}

TEST_CASE("RUN-13: config.handle_sigint = false, block_on, and what follows a run leave SIGINT to its default") {
    CHECK(in_child("child: handle_sigint = false") == 128 + SIGINT);
    CHECK(in_child("child: block_on leaves signals alone") == 128 + SIGINT);
    CHECK(in_child("child: the default again after run") == 128 + SIGINT);
}

}  // namespace
