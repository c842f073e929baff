#pragma once

// The connections of a server: so that those on which nothing moves can be ended, and all can be asked to end.
//
// Each connection says which phase it is in:
//
//   idle       between two requests         may wait for idle_timeout, is ended at once by drain()
//   receiving  in the midst of a request    has idle_timeout to complete it, however many bytes come
//   sending    the peer must take bytes     has idle_timeout since the last bytes it took
//   working    the server's own doing       takes as long as it takes
//
// To end one means to shut its socket down: the read or write that waits there returns, and its task goes on by itself.
// That costs a request two stores; a timer each would cost an insertion and a removal. Time is counted in ticks of an
// eighth of idle_timeout, so a connection lives up to a quarter longer than that.

#include <magpie/runtime/task.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace magpie::tools {

enum class connection_phase : std::uint8_t { idle, receiving, sending, working };

class connection_registry {
public:
    // One connection; lies in the frame of the task that serves it, and must end before its socket is closed.
    class entry {
    public:
        entry(connection_registry& registry, int descriptor);
        ~entry();
        entry(entry const&) = delete;
        entry& operator=(entry const&) = delete;

        // From now on in this phase. False: it is `idle`, and the server is draining; close the connection.
        bool enter(connection_phase phase) noexcept;
        // The registry has ended it because nothing moved.
        bool timed_out() const noexcept { return timed_out_.load(std::memory_order_relaxed); }

    private:
        friend connection_registry;

        connection_registry& registry_;
        int descriptor_;
        std::atomic<std::uint64_t> state_{0};  // the tick in which the phase began, times 4, plus the phase
        std::atomic<bool> timed_out_{false};
        entry* next_ = nullptr;  // the two links: the registry's, under its mutex
        entry* previous_ = nullptr;
    };

    // 0: connections may wait for ever.
    explicit connection_registry(std::chrono::nanoseconds idle_timeout) noexcept : idle_timeout_(idle_timeout) {}
    connection_registry(connection_registry const&) = delete;
    connection_registry& operator=(connection_registry const&) = delete;

    // Ends those on which nothing moves. Runs until it is cancelled; returns at once without a time-out.
    task<> watch();

    // Ends the idle connections, and each other one when it becomes idle. Any thread.
    void drain();
    bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }

    std::size_t size() const;
    std::size_t most() const;  // at one time

private:
    static constexpr std::uint64_t ticks_allowed = 8;

    void link(entry& added);
    void unlink(entry& removed);
    void end_expired();

    std::chrono::nanoseconds const idle_timeout_;
    std::atomic<std::uint64_t> tick_{0};
    std::atomic<bool> draining_{false};

    std::mutex mutable mutex_;  // never held across a suspension
    entry* first_ = nullptr;
    std::size_t size_ = 0;
    std::size_t most_ = 0;
};

}  // namespace magpie::tools
