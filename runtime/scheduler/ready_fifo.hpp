#pragma once

#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/detail/work_item.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace magpie::detail {

// The one queue of a worker with the simulated clock. Tasks run in rounds, as in asyncio's loop: a round is what was
// ready when it began; what becomes ready meanwhile waits for the next. Strictly first in, first out; with a seed, each
// round runs in an order that only the seed decides.
class ready_fifo {
public:
    explicit ready_fifo(std::uint64_t seed) noexcept : random_(seed), permuted_(seed != 0) {}

    void push(work_item* item) noexcept { waiting_.push_back(item); }
    bool empty() const noexcept { return waiting_.empty() && round_over(); }

    bool round_over() const noexcept { return left_ == 0; }
    // With a seed it throws std::bad_alloc.
    void begin_round() {
        left_ = waiting_.size();
        round_.append(std::move(waiting_));
        if (permuted_) {
            permute();
        }
    }

    // The next of this round, which must not be over.
    work_item* pop() noexcept {
        --left_;
        return round_.pop_front();
    }

private:
    void permute() {
        std::vector<work_item*> items;
        items.reserve(left_);
        while (work_item* const item = round_.pop_front()) {
            items.push_back(item);
        }
        for (std::size_t i = items.size(); i > 1; --i) {
            std::swap(items[i - 1], items[static_cast<std::size_t>(next_random() % i)]);
        }
        for (work_item* const item : items) {
            round_.push_back(item);
        }
    }

    // splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    std::uint64_t next_random() noexcept {
        std::uint64_t z = (random_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }

    intrusive_queue<work_item> waiting_;
    intrusive_queue<work_item> round_;
    std::size_t left_ = 0;
    std::uint64_t random_;
    bool permuted_;
};

} // namespace magpie::detail
