#include "model.hpp"

#include <magpie/runtime/scheduler/idle_set.hpp>
#include <magpie/runtime/scheduler/inject_queue.hpp>

#include <array>

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

struct item {
    guarded<item*> next;
};

// Workers as idle_set's rules want them, cut down to what matters: they look for work once, run one item or go to
// sleep, and do not come back. What the threads leave behind is judged in settle(): the sleepers that were woken go on,
// one after the other, and then no work may lie beside a sleeper whom nobody woke.
enum class rules {
    kept,
    second_look_just_takes,    // a sleeper whose second look finds work takes an item, and does not search again
    last_searcher_wakes_none,  // stop_searching()'s answer is ignored
};

template <unsigned Workers, unsigned Pushers, rules Rules = rules::kept>
struct little_scheduler {
    enum class fate { not_started, busy, asleep, second_look_found_work };

    void push_one(unsigned pusher) {
        MAGPIE_ASSERT(queue.push(&items[pusher]));
        full_fence();  // pairs with the fence in idle_set::park()
        wake(idle.worker_to_wake());
    }

    void wake(std::optional<unsigned> index) {
        if (index) {
            MAGPIE_ASSERT(*index < Workers);
            woken[*index].store(true, mo_relaxed);
        }
    }

    // The item in hand is a long one: the worker does not look for more.
    void be_busy(unsigned self, bool searching) {
        fates[self] = fate::busy;
        if (searching && idle.stop_searching() && Rules != rules::last_searcher_wakes_none) {
            wake(idle.worker_to_wake());
        }
    }

    void look_for_work(unsigned self) { look_for_work(self, idle.try_start_searching()); }

    void look_for_work(unsigned self, bool searching) {
        if (queue.pop() != nullptr) {
            be_busy(self, searching);
            return;
        }
        idle.park(self, searching);
        if (queue.empty()) {
            fates[self] = fate::asleep;
            return;
        }
        bool again = true;
        if constexpr (Rules == rules::second_look_just_takes) {
            again = !idle.unpark_self(self);
        } else {
            idle.search_again(self);
        }
        if (queue.pop() != nullptr) {
            be_busy(self, again);
        } else {
            idle.park(self, again);  // somebody was faster; a second time is enough, and bounds the scenario
            fates[self] = queue.empty() ? fate::asleep : fate::second_look_found_work;
        }
    }

    void settle() {
        bool progress = true;
        while (progress) {
            progress = false;
            for (unsigned i = 0; i < Workers; ++i) {
                if (fates[i] == fate::second_look_found_work) {
                    progress = true;
                    idle.search_again(i);
                    look_for_work(i, true);
                } else if (fates[i] == fate::asleep && woken[i].exchange(false, mo_relaxed)) {
                    progress = true;
                    MAGPIE_ASSERT(!idle.unpark_self(i));
                    look_for_work(i, true);
                }
            }
        }
        unsigned asleep = 0;
        for (fate const f : fates) {
            asleep += f == fate::asleep ? 1 : 0;
        }
        MAGPIE_ASSERT(queue.empty() || asleep == 0);
        MAGPIE_ASSERT(idle.parked() == asleep);
        MAGPIE_ASSERT(idle.searching() == 0);
    }

    idle_set idle{Workers};
    inject_queue<item> queue;
    std::array<item, Pushers> items;
    std::array<atomic<bool>, Workers> woken;
    std::array<fate, Workers> fates{};
};

struct push_against_park : rl::test_suite<push_against_park, 2>, little_scheduler<1, 1> {
    static constexpr char const* name = "idle_set: a push against a worker that parks";
    void thread(unsigned index) {
        if (index == 0) {
            push_one(0);
        } else {
            look_for_work(0);
        }
    }
    void after() { settle(); }
};

// The pusher that comes second may count on the searcher; so the searcher, when it has found work, must wake another.
template <rules Rules>
struct two_pushes : rl::test_suite<two_pushes<Rules>, 4>, little_scheduler<2, 2, Rules> {
    static constexpr char const* name = Rules == rules::kept ? "idle_set: two pushes, two workers"
                                        : Rules == rules::second_look_just_takes
                                            ? "idle_set: the second look just takes"
                                            : "idle_set: the last searcher wakes none";
    void thread(unsigned index) {
        if (index < 2) {
            this->push_one(index);
        } else {
            this->look_for_work(index - 2);
        }
    }
    void after() { this->settle(); }
};

// All but one sleep already.
struct the_last_searcher : rl::test_suite<the_last_searcher, 3>, little_scheduler<3, 2> {
    static constexpr char const* name = "idle_set: the last searcher, others asleep";
    void before() {
        for (unsigned i = 1; i < 3; ++i) {
            idle.park(i, false);
            fates[i] = fate::asleep;
        }
        MAGPIE_ASSERT(idle.try_start_searching());
    }
    void thread(unsigned index) {
        if (index < 2) {
            push_one(index);
        } else {
            look_for_work(0, true);
        }
    }
    void after() { settle(); }
};

// Two wakers, a claim and the worker's own I/O: a parked worker is taken by exactly one of them.
struct one_waker_wins : rl::test_suite<one_waker_wins, 4> {
    static constexpr char const* name = "idle_set: one waker wins";
    void before() { idle.park(0, false); }
    void thread(unsigned index) {
        if (index < 2) {
            won[index] = idle.worker_to_wake().has_value();
        } else if (index == 2) {
            won[2] = idle.claim(0);
        } else {
            won[3] = idle.unpark_self(0);
        }
    }
    void after() {
        int winners = 0;
        for (bool const w : won) {
            winners += w ? 1 : 0;
        }
        MAGPIE_ASSERT(winners == 1);
        MAGPIE_ASSERT(idle.parked() == 0);
        MAGPIE_ASSERT(idle.searching() == (won[3] ? 0u : 1u));
    }
    idle_set idle{2};
    std::array<bool, 4> won{};
};

// Work for one worker only: claim() against park(), with no fence but the lock.
struct claim_against_park : rl::test_suite<claim_against_park, 2> {
    static constexpr char const* name = "idle_set: a claim against a worker that parks";
    void thread(unsigned index) {
        if (index == 0) {
            MAGPIE_ASSERT(inbox.push(&only));
            claimed = idle.claim(0);
        } else {
            idle.park(0, false);
            saw_it = !inbox.empty();
        }
    }
    void after() { MAGPIE_ASSERT(claimed || saw_it); }

    idle_set idle{1};
    inject_queue<item> inbox;
    item only;
    bool claimed = false;
    bool saw_it = false;
};

}  // namespace

int main() {
    constexpr rl::iteration_t iterations = 20'000;
    bool const can_fail = model::is_found<two_pushes<rules::second_look_just_takes>>(iterations) &&
                          model::is_found<two_pushes<rules::last_searcher_wakes_none>>(iterations);
    int const status =
        model::check<push_against_park, two_pushes<rules::kept>, the_last_searcher, one_waker_wins, claim_against_park>(
            iterations);
    return can_fail ? status : 1;
}
