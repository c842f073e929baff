#pragma once

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>

#include <cstdint>

namespace magpie::detail {

// A thief's wish for forks, and the beat at which the owner looks around next, which such a wish brings forward. The
// owner asks with each resumption that it counts whether that beat has come: so a wish costs it nothing until there is
// one.
//
// A wish stays until it is answered: an owner without forks sees it when it has some. One that comes while another is
// waiting is answered with that. Claim: an owner that has forks answers a wish at its next counted resumption.
//
// Proof. ask() stores the wish and then 0, with release. Either the 0 is still there at the next resumption; or the
// owner has overwritten it, by due_at(), which reads what it overwrites, with acquire: then it has seen the wish. []
class fork_request {
public:
    // Any thread.
    void ask() noexcept {
        if (!wanted_.load(mo_relaxed)) {
            wanted_.store(true, mo_relaxed);
            due_.store(0, mo_release);  // pairs with the acquire in due_at()
        }
    }

    // The rest is the owner's.

    bool is_wanted() const noexcept { return wanted_.load(mo_relaxed); }
    // Before the forks are exposed: a thief that comes now finds those, or asks again.
    void answered() noexcept { wanted_.store(false, mo_relaxed); }

    // The owner looks at that beat, or sooner if somebody asks. To be followed by a look at is_wanted().
    void due_at(std::uint64_t beat) noexcept {
        (void)due_.exchange(beat, mo_acquire);  // pairs with the release in ask()
    }
    bool is_due(std::uint64_t beat) const noexcept { return beat >= due_.load(mo_relaxed); }

private:
    alignas(cache_line_size) atomic<bool> wanted_{false};
    alignas(cache_line_size) atomic<std::uint64_t> due_{0};
};

}  // namespace magpie::detail
