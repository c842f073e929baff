#pragma once

#include <magpie/runtime/clock.hpp>

#include <cstddef>
#include <cstdint>

namespace magpie {

// What a worker asks of its event loop, and all that runtime/ knows of one. There are three: io_uring
// (io/loop/uring_loop.hpp), epoll (io/loop/poll_loop.hpp) and the simulated one
// (runtime/scheduler/simulated_driver.hpp). Completed operations queue their tasks through detail::waiter::wake().
//
// "Owner" is the worker's thread. Timers are the worker's, not the driver's: a driver only sleeps until a deadline.
class driver {
public:
    driver() = default;
    driver(driver const&) = delete;
    driver& operator=(driver const&) = delete;
    virtual ~driver() = default;

    // Hands what was prepared to the kernel and takes in what has completed. Never sleeps. Called every few dozen
    // resumptions: without anything to do it should cost next to nothing. Owner.
    virtual void poll() = 0;

    // As poll(), but sleeps until something completes, unpark() is called or `deadline` passes
    // (time_point::max(): no deadline). May return early for no reason. Owner.
    virtual void park(time_point deadline) = 0;

    // Makes a running or the next park() return soon. Any thread. Costs 10 µs and more if the owner sleeps, so callers
    // go through idle_set, which asks for at most one per sleep.
    virtual void unpark() noexcept = 0;

    // True if poll() would find something: prepared operations, completions, messages. Reads memory only: no system
    // call. Any thread; a hint.
    virtual bool has_work() const noexcept = 0;

    // Takes in what has completed, from memory only, without a system call. Any thread: another worker does this for
    // an owner that is stuck in one task. Returns the number of completions taken in; 0 also if somebody else is at it.
    virtual std::size_t reap() noexcept = 0;

    // For an owner that is stuck in one task: does in its stead what another thread can. Submits what it has
    // published, cancels what it has been told to cancel, makes the kernel post what it holds back, and reaps. A few
    // system calls. Returns as reap().
    virtual std::size_t take_over() noexcept { return reap(); }
    // True if take_over() would probably find something. Any thread; a hint. Cheap, but not free: epoll asks the kernel.
    virtual bool is_stranded() const noexcept { return false; }

    // True if the kernel holds completions back until the thread that submitted their operations enters it. That is the
    // owner, or who submitted in its stead. Reads memory only. Any thread; a hint.
    virtual bool holds_back() const noexcept { return false; }

    // How often take_over() made the kernel post what it held back. Any thread.
    virtual std::uint64_t kicks() const noexcept { return 0; }

    // The owner's thread is about to end, with nothing in flight: takes back what the loop itself has in the kernel. Of a
    // thread that is gone the kernel ends that some milliseconds later, and the destructor waits for it. Owner.
    virtual void retire() noexcept {}

    // Operations that the kernel still works on, or may write to. The worker's thread does not end before it is 0,
    // but for what retire() could not take back at once.
    virtual std::size_t in_flight() const noexcept = 0;

    // Operations that were begun here and are not over: what the loop has to look after. Any thread; a hint.
    virtual std::size_t waiting() const noexcept { return in_flight(); }

    // A descriptor that is readable when poll() would find something, for running inside another event loop; -1 if there
    // is none.
    virtual int wait_fd() const noexcept { return -1; }

    // Operations completed so far: for metrics. Any thread.
    virtual std::uint64_t completions() const noexcept = 0;

    // "io_uring", "poll" or "simulated".
    virtual char const* name() const noexcept = 0;
};

namespace detail {
// The current worker's driver. On a worker only.
driver& current_driver() noexcept;
} // namespace detail

} // namespace magpie
