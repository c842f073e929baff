#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace magpie::detail {

// In which order a worker visits the others when it looks for work: those of its own node first, from a random one on,
// then the far ones, from a random one on. Without nodes all are alike. A pure function of the random number.
class steal_order {
public:
    // No nodes.
    steal_order() = default;
    // The worker's own number is among the near ones; the visitor skips it. An empty `node_of` is no nodes, and so is a
    // worker that is not in it: the spare one, which is bound to no CPU.
    steal_order(std::span<std::uint16_t const> node_of, unsigned self) {
        if (self >= node_of.size()) {
            return;
        }
        for (bool const near : {true, false}) {
            for (unsigned i = 0; i < node_of.size(); ++i) {
                if ((node_of[i] == node_of[self]) == near) {
                    order_.push_back(static_cast<std::uint16_t>(i));
                }
            }
            if (near) {
                near_ = static_cast<unsigned>(order_.size());
            }
        }
    }

    // The `i`-th of `count` to be visited, which are all workers and, behind them, the spare one if there is one;
    // `first` is a random number below `count`, the same for the whole visit.
    unsigned at(unsigned i, unsigned first, unsigned count) const noexcept {
        return order_.empty() ? (first + i) % count : near_then_far(i, first);
    }

private:
    [[gnu::noinline]] unsigned near_then_far(unsigned i, unsigned first) const noexcept {
        auto const all = static_cast<unsigned>(order_.size());
        if (i < near_) {
            return order_[(first + i) % near_];
        }
        if (i < all) {
            return order_[near_ + (first + i - near_) % (all - near_)];
        }
        return i;  // the spare one, last
    }

    std::vector<std::uint16_t> order_;  // the near ones, then the far ones; empty: no nodes
    unsigned near_ = 0;
};

}  // namespace magpie::detail
