#include "model.hpp"

#include <magpie/runtime/detail/intrusive_queue.hpp>
#include <magpie/runtime/scheduler/run_queue.hpp>

#include <array>

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

struct item {
    guarded<item*> next;
    guarded<int> payload;  // written before the push, read by who takes it: a race unless the queue orders them
};

using queue = run_queue<item>;

// What every scenario needs: items, and a count of how often each was taken.
template <int Count>
struct ledger {
    item* make(int i) {
        items[static_cast<std::size_t>(i)].payload = i;
        return &items[static_cast<std::size_t>(i)];
    }
    void take(item* taken) {
        int const i = taken->payload;
        MAGPIE_ASSERT(taken == &items[static_cast<std::size_t>(i)]);
        ++times_taken[static_cast<std::size_t>(i)];
    }
    void take_all(queue::owner_end& from) {
        while (item* const i = from.pop()) {
            take(i);
        }
    }
    void check_each_once() const {
        for (int const n : times_taken) {
            MAGPIE_ASSERT(n == 1);
        }
    }

    std::array<item, Count> items;
    std::array<int, Count> times_taken{};
};

// The owner pushes more than the ring holds and pops now and then; two thieves steal into queues of their own.
struct owner_and_two_thieves : rl::test_suite<owner_and_two_thieves, 3> {
    static constexpr char const* name = "run_queue: owner and two thieves";
    static constexpr int count = 7;

    void thread(unsigned index) {
        if (index == 0) {
            run_owner();
        } else {
            run_thief(own[index - 1].owner());
        }
    }

    void run_owner() {
        intrusive_queue<item> overflow;
        for (int i = 0; i < count; ++i) {
            victim.owner().push_or_overflow(all.make(i), overflow);
            if (i % 3 == 2) {
                if (item* const taken = victim.owner().pop()) {
                    all.take(taken);
                }
            }
        }
        while (item* const taken = overflow.pop_front()) {
            all.take(taken);
        }
    }

    void run_thief(queue::owner_end& mine) {
        for (int attempt = 0; attempt < 2; ++attempt) {
            item* first = nullptr;
            unsigned taken = 0;
            steal_result const result = victim.thief().steal_into(mine, first, taken);
            MAGPIE_ASSERT((result == steal_result::taken) == (first != nullptr));
            MAGPIE_ASSERT(result != steal_result::taken || taken == mine.size() + 1);
            if (first != nullptr) {
                all.take(first);
            }
            all.take_all(mine);
        }
    }

    void after() {
        all.take_all(victim.owner());
        all.check_each_once();
    }

    queue victim;
    std::array<queue, 2> own;
    ledger<count> all;
};

// What one thief stole is stolen from it in turn, while it goes on stealing: the thief's pushes are an owner's.
struct chain_of_thieves : rl::test_suite<chain_of_thieves, 3> {
    static constexpr char const* name = "run_queue: a thief is robbed";
    static constexpr int count = 6;

    void before() {
        for (int i = 0; i < 4; ++i) {
            MAGPIE_ASSERT(queues[0].owner().push(all.make(i)));
        }
    }

    void thread(unsigned index) {
        if (index == 0) {
            for (int i = 4; i < count; ++i) {
                item* const made = all.make(i);
                if (!queues[0].owner().push(made)) {
                    all.take(made);
                }
            }
            return;
        }
        for (int attempt = 0; attempt < 2; ++attempt) {
            item* first = nullptr;
            unsigned taken = 0;
            queues[index - 1].thief().steal_into(queues[index].owner(), first, taken);
            if (first != nullptr) {
                all.take(first);
            }
        }
    }

    void after() {
        for (queue& q : queues) {
            all.take_all(q.owner());
        }
        all.check_each_once();
    }

    std::array<queue, 3> queues;
    ledger<count> all;
};

// Thieves that take one at a time, against an owner that fills what becomes free in batches.
struct steal_one_and_batches : rl::test_suite<steal_one_and_batches, 3> {
    static constexpr char const* name = "run_queue: steal_one against push_batch";
    static constexpr int count = 7;

    void thread(unsigned index) {
        if (index != 0) {
            for (int attempt = 0; attempt < 3; ++attempt) {
                if (item* const taken = victim.thief().steal_one()) {
                    all.take(taken);
                }
            }
            return;
        }
        intrusive_queue<item> waiting;
        for (int i = 0; i < count; ++i) {
            waiting.push_back(all.make(i));
        }
        while (!waiting.empty()) {
            std::size_t const before = waiting.size();
            std::size_t const moved = victim.owner().push_batch(waiting, 3);
            MAGPIE_ASSERT(before - waiting.size() == moved);
            if (item* const taken = victim.owner().pop()) {
                all.take(taken);
            }
        }
    }

    void after() {
        all.take_all(victim.owner());
        all.check_each_once();
    }

    queue victim;
    ledger<count> all;
};

// A full ring that got its items by one store, halved into the overflow while a thief looks: a thief that saw the new
// head with the old tail would find a length below zero.
struct overflow_under_a_thief : rl::test_suite<overflow_under_a_thief, 2> {
    static constexpr char const* name = "run_queue: overflow under a thief";
    static constexpr int count = 5;

    void thread(unsigned index) {
        if (index != 0) {
            for (int attempt = 0; attempt < 2; ++attempt) {
                if (item* const taken = victim.thief().steal_one()) {
                    all.take(taken);
                }
            }
            return;
        }
        intrusive_queue<item> waiting;
        for (int i = 0; i < 4; ++i) {
            waiting.push_back(all.make(i));
        }
        victim.owner().push_batch(waiting, 4);
        intrusive_queue<item> overflow;
        victim.owner().push_or_overflow(all.make(4), overflow);
        while (item* const taken = overflow.pop_front()) {
            all.take(taken);
        }
    }

    void after() {
        all.take_all(victim.owner());
        all.check_each_once();
    }

    queue victim;
    ledger<count> all;
};

// A worker about to sleep looks at the queue once more, behind a fence: it must not find it empty while an item that
// was pushed before the pusher's fence is still there.
struct last_look : rl::test_suite<last_look, 2> {
    static constexpr char const* name = "run_queue: the last look of a sleeper";

    void thread(unsigned index) {
        if (index == 0) {
            MAGPIE_ASSERT(victim.owner().push(all.make(0)));
            full_fence();
            pusher_saw_sleeper = sleeping.load(mo_relaxed) != 0;
        } else {
            sleeping.store(1, mo_relaxed);
            full_fence();
            sleeper_saw_item = !victim.empty();
        }
    }

    void after() { MAGPIE_ASSERT(pusher_saw_sleeper || sleeper_saw_item); }

    queue victim;
    ledger<1> all;
    atomic<int> sleeping{0};
    bool pusher_saw_sleeper = false;
    bool sleeper_saw_item = false;
};

}  // namespace

int main() {
    return model::check<owner_and_two_thieves, chain_of_thieves, steal_one_and_batches, overflow_under_a_thief,
                        last_look>(20'000);
}
