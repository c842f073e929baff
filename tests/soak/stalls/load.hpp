#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include <soak/stalls/dice.hpp>

namespace magpie::tests {

// What the tasks do between their operations: they compute, for a random time, and meanwhile take memory on one thread
// and give it back on another. All members: any thread.
class load {
public:
    explicit load(unsigned workers) noexcept : workers_(workers) {}
    load(load const&) = delete;
    load& operator=(load const&) = delete;
    ~load();

    // Mostly nothing, sometimes up to 3 ms, rarely up to 30 ms. During a storm, as long as that lasts.
    void compute(dice& roll) noexcept;
    // The next tasks that compute, one for each worker, hold theirs for that long: all are stuck then.
    void begin_storm(std::chrono::microseconds length) noexcept;
    std::uint64_t storms() const noexcept { return storms_.load(std::memory_order_relaxed); }

private:
    struct block;
    using clock = std::chrono::steady_clock;

    void compute_until(clock::time_point end, dice& roll) noexcept;
    void exchange_block(dice& roll) noexcept;
    static void check_and_free(block* old) noexcept;

    unsigned const workers_;
    std::atomic<clock::rep> storm_end_{0};
    std::atomic<unsigned> places_{0};  // in the present storm
    std::atomic<std::uint64_t> storms_{0};
    std::atomic<block*> blocks_[64] = {};
};

}  // namespace magpie::tests
