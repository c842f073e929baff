// The private part of a worker's fork deque between its owner, who pushes and pops without entering a claim, and
// those who take from it because the owner is stuck, or is thought to be. The code under test is the library's own,
// with rings of four. As in claim_model.cpp a kick is a full fence, and so is the compiler's fence on the owner's side.
//
// must-fail-with: MAGPIE_MODEL_KICK_WITHOUT_FENCE
// must-fail-with: MAGPIE_MODEL_TAKE_WITHOUT_CLAIM

#include "model.hpp"

#include <magpie/runtime/scheduler/fork_stack.hpp>

#include <array>

namespace magpie::detail {

bool can_kick() noexcept {
    return true;
}
bool kick() noexcept {
#if !defined(MAGPIE_MODEL_KICK_WITHOUT_FENCE)
    full_fence();
#endif
    return true;
}

}  // namespace magpie::detail

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

struct item {
    guarded<item*> next;
    guarded<int> payload;  // written before the push, read by who takes it: a race unless the stack orders them
};

// A fork stack, and a count of how often each item was taken out of it.
template <int Count>
struct counted {
    void owner_pushes(int first, int count) {
        forks.reserve(static_cast<std::size_t>(count));
        for (int i = first; i < first + count; ++i) {
            item& each = items[static_cast<std::size_t>(i)];
            each.payload = i;
            forks.put(&each);
        }
    }
    void owner_pops(int count) {
        for (int i = 0; i < count; ++i) {
            if (item* const newest = forks.pop()) {
                note(newest);
            }
        }
    }
    void owner_exposes(std::size_t count) {
        intrusive_queue<item> out;
        forks.take_oldest(count, out);
        note_all(out);
    }
    void claimer_takes(std::size_t count) {
        intrusive_queue<item> out;
#if defined(MAGPIE_MODEL_TAKE_WITHOUT_CLAIM)
        forks.take_oldest(count, out);
#else
        forks.take_claimed(count, out);
#endif
        note_all(out);
    }
    void judge() {
        MAGPIE_ASSERT(forks.size() <= static_cast<std::size_t>(Count));
        owner_pops(Count);
        MAGPIE_ASSERT(forks.empty());
        for (int const n : times_taken) {
            MAGPIE_ASSERT(n == 1);
        }
    }

    fork_stack<item> forks;
    std::array<item, Count> items;
    std::array<int, Count> times_taken{};

private:
    void note_all(intrusive_queue<item>& out) {
        while (item* const oldest = out.pop_front()) {
            note(oldest);
        }
    }
    void note(item* taken) {
        int const i = taken->payload;
        MAGPIE_ASSERT(taken == &items[static_cast<std::size_t>(i)]);
        ++times_taken[static_cast<std::size_t>(i)];
    }
};

// Both reach for the same one.
struct the_last_item : rl::test_suite<the_last_item, 2>, counted<2> {
    static constexpr char const* name = "fork_stack: owner and claimer at the last item";
    void thread(unsigned index) {
        if (index == 0) {
            owner_pushes(0, 1);
            owner_pops(1);
            owner_pushes(1, 1);
            owner_pops(2);
        } else {
            claimer_takes(1);
            claimer_takes(1);
        }
    }
    void after() { judge(); }
};

// Slots are written again as soon as the claimer has read them.
struct around_the_ring : rl::test_suite<around_the_ring, 2>, counted<7> {
    static constexpr char const* name = "fork_stack: around the ring";
    void before() { owner_pushes(0, 4); }
    void thread(unsigned index) {
        if (index == 0) {
            owner_pushes(4, 1);
            owner_pops(1);
            owner_pushes(5, 1);
            owner_pops(1);
            owner_pushes(6, 1);
        } else {
            claimer_takes(1);
            claimer_takes(2);
        }
    }
    void after() { judge(); }
};

struct two_claimers : rl::test_suite<two_claimers, 3>, counted<4> {
    static constexpr char const* name = "fork_stack: an owner against two claimers";
    void thread(unsigned index) {
        if (index == 0) {
            owner_pushes(0, 3);
            owner_pops(2);
            owner_pushes(3, 1);
            owner_pops(1);
        } else {
            claimer_takes(2);
        }
    }
    void after() { judge(); }
};

// It grows, gives items away and shrinks.
struct other_memory : rl::test_suite<other_memory, 2>, counted<7> {
    static constexpr char const* name = "fork_stack: growing, exposing, shrinking";
    void before() { owner_pushes(0, 3); }
    void thread(unsigned index) {
        if (index == 0) {
            owner_pushes(3, 3);
            owner_exposes(2);
            owner_pops(3);
            owner_pushes(6, 1);
        } else {
            claimer_takes(1);
            claimer_takes(2);
        }
    }
    void after() { judge(); }
};

// The owner looks at the newest and leaves it: to others it may have been gone for a moment.
struct one_that_does_not_fit : rl::test_suite<one_that_does_not_fit, 2>, counted<2> {
    static constexpr char const* name = "fork_stack: an item that does not fit";
    void thread(unsigned index) {
        if (index == 0) {
            owner_pushes(0, 2);
            MAGPIE_ASSERT(forks.pop_if([](item const& newest) { return newest.payload > 1; }) == nullptr);
            owner_pops(1);
        } else {
            claimer_takes(1);
            claimer_takes(2);
        }
    }
    void after() { judge(); }
};

}  // namespace

int main() {
    return model::check_in(
        {"fork_stack.hpp", "fork_stack_model.cpp", "claim.hpp"},
        {{"pop_plainly", "release"},  // to relacy, as before C++20, the owner's later stores go on with put()'s release
         {"claim::try_claim", "acquire", true}, {"claim::wait", "release"}},  // as in claim_model.cpp
        model::scenarios<the_last_item, around_the_ring, two_claimers, other_memory, one_that_does_not_fit>{}, 20'000);
}
