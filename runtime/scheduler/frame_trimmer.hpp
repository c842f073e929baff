#pragma once

// When the memory of a burst goes back.
//
// To the allocator: of each size of frames in the depot, as many as nobody has needed for a second, whether workers are
// busy or not.
//
// To the system: glibc's allocator gives it only what lies at the end of its heap; after a burst of a million tasks one
// block that is still in use keeps hundreds of megabytes resident. So when the burst has been over for a while, the depot
// is emptied, and the allocator asked to give back every free page (malloc_trim). That takes a third of a millisecond for
// each megabyte, during which other threads' allocations may wait: never in a worker, only once for each burst, and only
// when no worker has anything to do just then.

#include <magpie/runtime/clock.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/blocking.hpp>
#include <magpie/runtime/scheduler/frame_cache.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace magpie::detail {

// Decides when: a pure function of what it is shown, in the stall monitor's thread.
class frame_trimmer {
public:
    static constexpr std::size_t worth_it = std::size_t{8} << 20;  // bytes: less is not given back
    static constexpr std::size_t little = std::size_t{1} << 20;    // bytes: moving less is no burst
    static constexpr duration quiet = std::chrono::seconds{1};     // since the burst

    explicit frame_trimmer(frame_cache::freed seen) noexcept : trimmed_(seen.ever), moved_(seen.moved) {}

    // When to look again, if nothing happens until then; max(): there is nothing to give back. To be asked again after
    // frames may have been freed, the sooner the better: what it has not seen is not quiet.
    time_point due(time_point now, frame_cache::freed seen) noexcept {
        if (seen.moved - moved_ >= little) {
            moved_ = seen.moved;
            since_ = now;
        }
        return (seen.ever - trimmed_) + seen.in_depot >= worth_it ? since_ + quiet : time_point::max();
    }
    // Is it time to look for what nobody has needed? Once a second, if there is much in the depot.
    bool unused_due(time_point now, frame_cache::freed seen) noexcept {
        if (now - looked_ < quiet) {
            return false;
        }
        looked_ = now;
        return seen.in_depot >= worth_it;
    }
    // It is being done.
    void trimmed(time_point now, frame_cache::freed seen) noexcept {
        trimmed_ = seen.ever;
        moved_ = seen.moved;
        since_ = now;
    }
    // It cannot be done now, for lack of a thread: a while later.
    void put_off(time_point now) noexcept { since_ = now; }

private:
    std::size_t trimmed_;  // bytes that had ever been freed at the last trim
    std::size_t moved_;    // what threads had let go of or fetched, when that had last grown by more than a little
    time_point since_{};   // which was then
    time_point looked_{};  // for what nobody has needed
};

// Does it, on a thread of the blocking pool.
class frame_trim final : public blocking_call {
public:
    void run() noexcept override {
        if (how_ == how::everything) {
            frame_cache::trim();
        } else {
            frame_cache::give_back_unused();
        }
        running_.store(false, mo_release);  // pairs with the acquire in start()
    }
    enum class how : std::uint8_t { unused, everything };

    // What is unused to the allocator; or everything, and that to the system. False: one is under way already, or waits
    // for a thread, or there is none to be had.
    bool start(scheduler& where, how much) noexcept;

private:
    how how_ = how::unused;  // while it runs
    atomic<bool> running_{false};
};

}  // namespace magpie::detail
