#include <cstdio>
#include <cstdlib>
#include <new>

#include <soak/stalls/load.hpp>

namespace magpie::tests {

using namespace std::chrono_literals;

// Its words are what its first one says they are.
struct load::block {
    std::size_t words;
    std::uint64_t seed;
    std::uint64_t data[1];
};

load::~load() {
    for (auto& each : blocks_) {
        check_and_free(each.load());
    }
}

void load::begin_storm(std::chrono::microseconds length) noexcept {
    places_.store(workers_, std::memory_order_relaxed);
    storm_end_.store((clock::now() + length).time_since_epoch().count(), std::memory_order_relaxed);
    storms_.fetch_add(1, std::memory_order_relaxed);
}

void load::compute(dice& roll) noexcept {
    auto const now = clock::now();
    clock::time_point const storm{clock::duration(storm_end_.load(std::memory_order_relaxed))};
    if (now < storm) {
        unsigned left = places_.load(std::memory_order_relaxed);
        while (left != 0 && !places_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {}
        if (left != 0) {
            compute_until(storm, roll);
            return;
        }
    }
    std::uint64_t const kind = roll.next() % 2000;
    std::chrono::microseconds length{};
    if (kind == 0) {
        length = 15ms + roll.up_to(15ms);
    } else if (kind < 60) {
        length = roll.up_to(3ms);
    } else if (kind < 400) {
        length = roll.up_to(100us);
    }
    compute_until(now + length, roll);
}

void load::compute_until(clock::time_point end, dice& roll) noexcept {
    do {
        exchange_block(roll);
    } while (clock::now() < end);
}

void load::exchange_block(dice& roll) noexcept {
    std::size_t const words = roll.between(1, 200);
    auto* const made = static_cast<block*>(std::malloc(sizeof(block) + words * sizeof(std::uint64_t)));
    if (made == nullptr) {
        return;
    }
    made->words = words;
    made->seed = roll.next();
    for (std::size_t i = 0; i < words; ++i) {
        made->data[i] = made->seed + i;
    }
    auto& place = blocks_[roll.next() % std::size(blocks_)];
    check_and_free(place.exchange(made, std::memory_order_acq_rel));  // pairs with itself, on another thread
}

void load::check_and_free(block* old) noexcept {
    if (old == nullptr) {
        return;
    }
    for (std::size_t i = 0; i < old->words; ++i) {
        if (old->data[i] != old->seed + i) {
            std::fprintf(stderr, "stalls: FAILED: somebody wrote into a block of memory that is not his\n");
            std::abort();
        }
    }
    std::free(old);
}

}  // namespace magpie::tests
