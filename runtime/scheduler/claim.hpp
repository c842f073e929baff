#pragma once

// Exclusion between an owner, who comes a hundred million times a second and must not pay for it, and a claimer, who
// comes a few times a second at most and may pay tens of microseconds.
//
//   the owner    inside_ = true; claimed_?  no: goes on;  inside_ = false
//   a claimer    claimed_ = true; kick(); inside_?  no: it is alone until claimed_ = false
//
// It is Dekker's pattern, in which each writes one word and then reads the other, and needs a full fence between the two
// on both sides. The claimer's kick() is that fence for both: it is a barrier on every CPU that runs this process. So
// either the owner's store of inside_ came before the barrier, and the claimer sees it, and gives up; or the owner's look
// at claimed_ comes after it, and the owner sees the claim, and waits. The compiler is kept in order by a signal fence.
// Asymmetric Dekker: membarrier(2); without that system call nobody can claim anything.
//
// Orders: the acquire looks of one side pair with the release of the other's last word, `inside_ = false` and
// `claimed_ = false`, so that what was done inside is seen by who comes next.

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/kick.hpp>

namespace magpie::detail {

class claim {
public:
    // The owner's: alone with what is claimed as long as this lives. Not nested; no blocking, no code of others.
    class section {
    public:
        explicit section(claim& c) noexcept : claim_(c) {
            claim_.inside_.store(true, mo_relaxed);
            compiler_fence();
            if (claim_.claimed_.load(mo_acquire)) [[unlikely]] {  // pairs with the release in give_back()
                claim_.wait();
            }
        }
        section(section const&) = delete;
        section& operator=(section const&) = delete;
        ~section() { claim_.inside_.store(false, mo_release); }  // pairs with the acquire in try_claim()

    private:
        claim& claim_;
    };

    // The owner's, outside of a section: for an action of one store that a claimer looks at after its claim. To be asked
    // after that store and a compiler_fence(), which take the place of inside_. False: whoever claims later sees the
    // store, and what a claimer has done before can be seen. True: take the store back, and enter a section.
    bool is_claimed() const noexcept { return claimed_.load(mo_acquire); }  // pairs with the release in give_back()

    // Any other thread. True: alone until give_back(), which must come soon: the owner may be waiting for it.
    [[nodiscard]] bool try_claim() noexcept {
        if (!can_kick() || inside_.load(mo_relaxed) || claimed_.exchange(true, mo_acquire)) {  // pairs with the release in give_back()
            return false;
        }
        bool const alone = kick() && !inside_.load(mo_acquire);  // pairs with the release in ~section()
        if (!alone) {
            give_back();
        }
        return alone;
    }
    void give_back() noexcept { claimed_.store(false, mo_release); }  // pairs with the acquires of claimed_

private:
    [[gnu::noinline]] void wait() noexcept {
        do {
            inside_.store(false, mo_release);  // pairs with the acquire in try_claim()
            for (unsigned looks = 0; claimed_.load(mo_relaxed); ++looks) {
                if (looks < 64) {
                    cpu_relax();
                } else {
                    yield_thread();  // the claimer may wait for this CPU
                }
            }
            inside_.store(true, mo_relaxed);
            full_fence();  // in place of the kick, which this claim may not have seen
        } while (claimed_.load(mo_acquire));  // pairs with the release in give_back()
    }

    atomic<bool> inside_{false};
    atomic<bool> claimed_{false};
};

}  // namespace magpie::detail
