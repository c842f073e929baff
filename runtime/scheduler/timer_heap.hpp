#pragma once

#include <magpie/runtime/detail/assert.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>
#include <vector>

namespace magpie::detail {

struct timer_node;

// A worker's timers, soonest first; equal deadlines in the order of insertion. Insert, erase and pop in O(log n).
//
// A 4-ary heap: half the levels of a binary one, and the children of an entry lie together (96 bytes). An entry holds
// its deadline, so that moving it compares without touching the node, which is written only when its place changes.
//
// A Node has `std::int64_t deadline` and `std::uint32_t index`, which is not_in_heap from its construction on and
// whenever it is in no heap; both are the heap's. It must be erased before it dies. Not synchronised.
template <class Node>
class basic_timer_heap {
public:
    static constexpr std::uint32_t not_in_heap = std::numeric_limits<std::uint32_t>::max();
    // What next_deadline() gives when there is no timer.
    static constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();

    bool empty() const noexcept { return entries_.empty(); }
    std::size_t size() const noexcept { return entries_.size(); }
    std::size_t capacity() const noexcept { return entries_.capacity(); }

    // The soonest deadline, in nanoseconds on the clock the caller uses.
    std::int64_t next_deadline() const noexcept { return entries_.empty() ? no_deadline : entries_.front().deadline; }

    // The node must be in no heap. Throws std::bad_alloc, and then has not taken it.
    void insert(Node& node, std::int64_t deadline) {
        MAGPIE_ASSERT(node.index == not_in_heap);
        if (entries_.size() == not_in_heap) {
            throw std::bad_alloc();  // an index more would not fit the node
        }
        entries_.push_back(entry{deadline, next_sequence_++, &node});
        node.deadline = deadline;
        sift_up(entries_.size() - 1, entries_.back());
    }

    // True: it was in this heap, and no longer is. False: it is in none.
    bool erase(Node& node) noexcept {
        std::size_t const at = node.index;
        if (at == not_in_heap) {
            return false;
        }
        MAGPIE_ASSERT(at < entries_.size());
        MAGPIE_ASSERT(entries_[at].node == &node);
        remove(at);
        return true;
    }

    // The soonest timer with a deadline of `now` or before, no longer in the heap, or null.
    Node* pop_expired(std::int64_t now) noexcept {
        if (entries_.empty() || entries_.front().deadline > now) {
            return nullptr;
        }
        Node* const node = entries_.front().node;
        remove(0);
        return node;
    }

private:
    struct entry {
        std::int64_t deadline;
        std::uint64_t sequence;
        Node* node;

        bool sooner_than(entry const& other) const noexcept {
            return deadline != other.deadline ? deadline < other.deadline : sequence < other.sequence;
        }
    };
    static_assert(sizeof(entry) <= 24, "ten million of them must stay affordable");

    static constexpr std::size_t arity = 4;
    static constexpr std::size_t min_capacity = 64;

    void place(std::size_t at, entry const& e) noexcept {
        entries_[at] = e;
        e.node->index = static_cast<std::uint32_t>(at);
    }

    // Finds the place of `e` from the hole `at` towards the root. By value: the entry may lie in the hole.
    void sift_up(std::size_t at, entry const e) noexcept {
        while (at != 0) {
            std::size_t const parent = (at - 1) / arity;
            if (!e.sooner_than(entries_[parent])) {
                break;
            }
            place(at, entries_[parent]);
            at = parent;
        }
        place(at, e);
    }

    void sift_down(std::size_t at, entry const e) noexcept {
        std::size_t const size = entries_.size();
        for (;;) {
            std::size_t const first = at * arity + 1;
            if (first >= size) {
                break;
            }
            std::size_t soonest = first;
            for (std::size_t child = first + 1; child < size && child < first + arity; ++child) {
                if (entries_[child].sooner_than(entries_[soonest])) {
                    soonest = child;
                }
            }
            if (!entries_[soonest].sooner_than(e)) {
                break;
            }
            place(at, entries_[soonest]);
            at = soonest;
        }
        place(at, e);
    }

    // Fills the hole with the last entry, which may belong further up or down: it comes from another branch.
    void remove(std::size_t at) noexcept {
        entries_[at].node->index = not_in_heap;
        entry const last = entries_.back();
        entries_.pop_back();
        if (at != entries_.size()) {
            if (at != 0 && last.sooner_than(entries_[(at - 1) / arity])) {
                sift_up(at, last);
            } else {
                sift_down(at, last);
            }
        }
        if (entries_.capacity() > min_capacity && entries_.size() <= entries_.capacity() / 4) [[unlikely]] {
            give_back();
        }
    }

    // Halves the memory. Without memory for the copy the larger block stays, and is tried again.
    [[gnu::noinline]] void give_back() noexcept {
        try {
            std::vector<entry> smaller;
            smaller.reserve(entries_.capacity() / 2);
            smaller.assign(entries_.begin(), entries_.end());
            entries_.swap(smaller);
        } catch (std::bad_alloc const&) {}
    }

    std::vector<entry> entries_;
    std::uint64_t next_sequence_ = 0;
};

using timer_heap = basic_timer_heap<timer_node>;

}  // namespace magpie::detail
