// What befalls a thread that is stuck: it forks, something stops it, a completion interrupts its system calls.

#include <magpie/io/op.hpp>
#include <magpie/runtime/driver.hpp>
#include <magpie/runtime/join_handle.hpp>
#include <magpie/runtime/sleep.hpp>
#include <magpie/runtime/spawn.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <errno.h>
#include <io/support/kit.hpp>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace magpie;
using namespace magpie::tests;
using namespace std::chrono_literals;

task<> naps(std::atomic<unsigned>& woken) {
    co_await sleep(1ms);
    woken.fetch_add(1);
}

TEST_CASE("fork() in a task that is stuck: the child has no runtime, and the parent's worker is taken over from as before") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        auto const forks = []() -> task<> {
            auto const ends = make_pipe();
            auto const until_then = make_pipe();
            std::byte byte{};
            std::atomic<unsigned> ended{0};
            auto one = spawn(reads_one(ends.read, byte, ended), {.eager = true});
            submit_what_was_begun();
            auto other = spawn(naps(ended), {.eager = true});
            pid_t const child = ::fork();
            if (child == 0) {  // keeps its copies of all descriptors for as long as the parent is at work
                char end = 0;
                ::close(until_then.write.get());
                ::_exit(::read(until_then.read.get(), &end, 1) == 1 ? 7 : 8);
            }
            REQUIRE(child > 0);
            put(ends.write, "x");
            until([&] { return ended == 2; });
            put(until_then.write, "x");
            int status = 0;
            CHECK(::waitpid(child, &status, 0) == child);
            CHECK(status == 7 << 8);
            CHECK(co_await std::move(one) == 1);
            co_await std::move(other);
        };
        rt.block_on(forks());
        rt.block_on(forks());
    });
}

// Stops one thread of this process, and no other, as a debugger can. Another process has to do that.
class stopped_thread {
public:
    explicit stopped_thread(pid_t thread) {
        ::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
        tracer_ = ::fork();
        REQUIRE(tracer_ >= 0);
        if (tracer_ == 0) {
            trace(thread);
        }
        char answer = 0;
        works_ = ::read(tell_.read.get(), &answer, 1) == 1 && answer == 's';
    }
    stopped_thread(stopped_thread const&) = delete;
    stopped_thread& operator=(stopped_thread const&) = delete;
    ~stopped_thread() {
        put(release_.write, "x");
        ::waitpid(tracer_, nullptr, 0);
    }
    bool works() const noexcept { return works_; }

private:
    [[noreturn]] void trace(pid_t thread) const noexcept {
        int status = 0;
        bool const stopped = ::ptrace(PTRACE_SEIZE, thread, nullptr, nullptr) == 0 &&
                             ::ptrace(PTRACE_INTERRUPT, thread, nullptr, nullptr) == 0 &&
                             ::waitpid(thread, &status, __WALL) == thread && WIFSTOPPED(status);
        char byte = stopped ? 's' : 'n';
        (void)!::write(tell_.write.get(), &byte, 1);
        (void)!::read(release_.read.get(), &byte, 1);
        ::ptrace(PTRACE_DETACH, thread, nullptr, nullptr);
        ::_exit(0);
    }

    pipe_ends tell_ = make_pipe();
    pipe_ends release_ = make_pipe();
    pid_t tracer_ = -1;
    bool works_ = false;
};

TEST_CASE("a worker that a debugger has stopped in a task: others serve what waits there, and it goes on afterwards") {
    on_each_backend(2, [](config const& c) {
        constexpr unsigned n = 20;
        runtime rt(c);
        std::vector<pipe_ends> pipes;
        for (unsigned i = 0; i <= n; ++i) {
            pipes.push_back(make_pipe());
        }
        std::vector<std::byte> bytes(n + 1);
        std::atomic<unsigned> woken{0};
        std::atomic<unsigned> ended{0};
        std::atomic<unsigned> last{0};
        std::atomic<pid_t> thread{0};
        std::atomic<bool> over{false};
        auto const computes = [&]() -> task<> {
            auto known = spawn(reads_one(pipes[n].read, bytes[n], last), {.eager = true});
            submit_what_was_begun();  // this one the kernel completes in this thread
            std::vector<join_handle<std::size_t>> reads;
            std::vector<join_handle<void>> sleeps;
            for (unsigned i = 0; i < n; ++i) {
                reads.push_back(spawn(reads_one(pipes[i].read, bytes[i], ended), {.eager = true}));
                sleeps.push_back(spawn(naps(woken), {.eager = true}));
            }
            thread = static_cast<pid_t>(::syscall(SYS_gettid));
            compute_until([&] { return over.load(); });
            for (auto& each : reads) {
                CHECK(co_await std::move(each) == 1);
            }
            for (auto& each : sleeps) {
                co_await std::move(each);
            }
            CHECK(co_await std::move(known) == 1);
        };
        auto h = rt.spawn(computes());
        until([&] { return thread != 0; });
        {
            stopped_thread const stopped(thread);
            if (stopped.works()) {
                for (auto const& each : pipes) {
                    put(each.write, "x");
                }
                until([&] { return woken == n && ended == n; });
                CHECK(state_of_thread(thread) == 't');
            } else {
                MESSAGE("no thread can be traced here");
                for (auto const& each : pipes) {
                    put(each.write, "x");
                }
            }
        }
        over = true;
        until([&] { return last == 1; });
        h.blocking_wait();
        CHECK(h.result().has_value());
    });
}

TEST_CASE("a blocking call in a task that says EINTR, because an operation of the worker completed, goes on if it is repeated") {
    on_each_backend(2, [](config const& c) {
        runtime rt(c);
        int sockets[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
        io::fd const near(sockets[0]);
        io::fd const far(sockets[1]);
        timeval const limit{.tv_sec = 100, .tv_usec = 0};
        REQUIRE(::setsockopt(near.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
        auto const ends = make_pipe();
        std::byte byte{};
        std::atomic<unsigned> ended{0};
        std::atomic<bool> blocks{false};
        unsigned interruptions = 0;
        auto const receives = [&]() -> task<> {
            auto one = spawn(reads_one(ends.read, byte, ended), {.eager = true});
            submit_what_was_begun();
            char got = 0;
            ssize_t count = 0;
            blocks = true;
            do {
                count = ::recv(near.get(), &got, 1, 0);
                interruptions += count < 0 ? 1 : 0;
            } while (count < 0 && errno == EINTR);
            CHECK(count == 1);
            CHECK(co_await std::move(one) == 1);
        };
        auto h = rt.spawn(receives());
        until([&] { return blocks.load(); });
        put(ends.write, "x");
        until([&] { return ended == 1; });
        put(far, "x");
        h.blocking_wait();
        CHECK(h.result().has_value());
        CHECK(interruptions <= 1);
    });
}

}  // namespace
