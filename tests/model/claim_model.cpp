// An owner that pays nothing for its exclusion, and those who claim what it guards. The code under test is the library's
// own. To the model a kick is a full fence, and so is the compiler's fence on the owner's side: together they promise what
// membarrier(2) does, and no more, as there is but one owner.

#include "model.hpp"

#include <magpie/runtime/scheduler/claim.hpp>

#include <array>

namespace magpie::detail {

bool can_kick() noexcept {
    return true;
}
bool kick() noexcept {
    full_fence();
    return true;
}

}  // namespace magpie::detail

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

// What is claimed: children on a fork stack of which nobody else knows, each to be taken once. The owner takes the newest
// (worker::pop_fork()), a claimer all (worker::take_forks_of()).
struct little_fork_stack {
    void owner_pushes(unsigned count) {
        claim::section const alone(forks_claim);
        forks = forks + count;
    }
    void owner_pops() {
        claim::section const alone(forks_claim);
        if (forks != 0) {
            forks = forks - 1;
            popped = popped + 1;
        }
    }
    void claimer_takes(unsigned index) {
        if (forks_claim.try_claim()) {
            taken[index] = taken[index] + forks;
            forks = 0;
            forks_claim.give_back();
        }
    }
    void judge(unsigned pushed) {
        MAGPIE_ASSERT(popped + taken[0] + taken[1] + forks == pushed);
        MAGPIE_ASSERT(forks_claim.try_claim());  // nobody has kept it
        forks_claim.give_back();
    }

    claim forks_claim;
    guarded<unsigned> forks{0};
    unsigned popped = 0;
    std::array<unsigned, 2> taken{};
};

struct owner_against_one : rl::test_suite<owner_against_one, 2>, little_fork_stack {
    static constexpr char const* name = "claim: an owner against a claimer";
    void thread(unsigned index) {
        if (index == 0) {
            owner_pushes(2);
            owner_pops();
            owner_pops();
        } else {
            claimer_takes(0);
            claimer_takes(0);
        }
    }
    void after() { judge(2); }
};

struct owner_against_two : rl::test_suite<owner_against_two, 3>, little_fork_stack {
    static constexpr char const* name = "claim: an owner against two claimers";
    void thread(unsigned index) {
        if (index == 0) {
            owner_pushes(2);
            owner_pops();
            owner_pops();
        } else {
            claimer_takes(index - 1);
        }
    }
    void after() { judge(2); }
};

struct two_claimers : rl::test_suite<two_claimers, 2>, little_fork_stack {
    static constexpr char const* name = "claim: two claimers, owner stuck outside";
    void before() { forks = 3; }
    void thread(unsigned index) {
        claimer_takes(index);
        claimer_takes(index);
    }
    void after() {
        judge(3);
        MAGPIE_ASSERT(taken[0] + taken[1] == 3);
    }
};

}  // namespace

int main() {
    return model::check_in({}, {{"claim::try_claim", "acquire", true},  // of claimed_: the kick behind it is one too
                            {"claim::wait", "release"}},           // the owner has done nothing inside
                           model::scenarios<owner_against_one, owner_against_two, two_claimers>{}, 20'000);
}
