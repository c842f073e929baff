#pragma once

#include <magpie/runtime/runtime.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include <soak/stalls/dice.hpp>

namespace magpie::tests {

class watchdog;

// One coroutine that is watched: that only one thread at a time runs it, and that it does not wait for ever. It tells
// when it begins to wait and when it goes on; in between nothing but the coroutine itself may touch this.
class actor {
public:
    // The texts must live for ever. `number` and `part` tell actors of one role apart.
    actor(watchdog& by, char const* role, std::uint64_t number, std::uint64_t seed, std::uint64_t total = 0);
    actor(actor const&) = delete;
    actor& operator=(actor const&) = delete;
    ~actor();

    dice roll;
    std::atomic<std::uint64_t> at{0};  // bytes moved, or what else is counted

private:
    friend class watchdog;
    friend class waiting;

    void leave(char const* for_what) noexcept;
    void enter() noexcept;

    watchdog* const by_;
    char const* const role_;
    std::uint64_t const number_;
    std::uint64_t const total_;
    std::atomic<bool> running_{true};
    std::atomic<char const*> waits_for_{nullptr};
    std::atomic<std::uint64_t> steps_{0};
    std::list<actor*>::iterator place_;
    std::uint64_t seen_steps_ = 0;  // the watchdog's
    std::chrono::steady_clock::duration seen_at_{};
};

// Stands around one co_await.
class waiting {
public:
    waiting(actor& who, char const* for_what) noexcept : who_(&who) { who.leave(for_what); }
    waiting(waiting const&) = delete;
    waiting& operator=(waiting const&) = delete;
    ~waiting() { over(); }

    void over() noexcept {
        if (who_ != nullptr) {
            who_->enter();
            who_ = nullptr;
        }
    }

private:
    actor* who_;
};

// Looks at all actors now and then. One that has not moved for `patience` is the failure this program looks for: what is
// known about everybody goes to stderr, and the process aborts. Time in which the watchdog did not get to run itself is
// not counted: other programs have the CPUs, or the machine sleeps.
class watchdog {
public:
    explicit watchdog(std::chrono::seconds patience);
    ~watchdog();

    // The runtime whose tasks are listed, or null.
    void set_runtime(runtime* rt);
    // Prints what happened, and what is known, and aborts. Any thread, but for an actor's constructor.
    [[noreturn]] void fail(std::string const& why);

private:
    friend class actor;

    void watch();
    actor const* find_stuck();
    void advance_clock();
    void dump();

    std::chrono::seconds const patience_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stop_ = false;
    runtime* runtime_ = nullptr;
    std::list<actor*> actors_;
    std::chrono::steady_clock::duration now_{};  // by its own clock
    std::chrono::steady_clock::time_point last_look_ = std::chrono::steady_clock::now();
    std::thread thread_;
};

}  // namespace magpie::tests
