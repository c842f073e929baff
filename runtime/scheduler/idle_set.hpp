#pragma once

// Who is awake and looking for work, and who sleeps: what keeps a push from being missed by a worker that is just
// going to sleep, and keeps a thousand pushes from waking a thousand workers.
//
// A worker is in one of three states; counts_ holds how many are searching and how many parked, in one word:
//
//   running    has work, or is on its way to sleep without having searched
//   searching  awake without work, looking at the others' queues; at most half of the workers
//   parked     sleeps in its driver, or is about to; on the list
//
//   running   --try_start_searching()-->         searching
//   searching --stop_searching()-->              running     found work; the last one wakes another
//   running, searching --park()-->               parked
//   parked    --search_again()-->                searching   the second look found something
//   parked    --unpark_self(): true-->           running     woken by its own I/O or timer
//   parked    --worker_to_wake(), claim()-->     searching   by another thread, which then unparks its driver
//
// The rules that its users follow:
//   a pusher     publishes the work; full_fence(); wakes the worker worker_to_wake() names, if any
//   a sleeper    park() (which ends with a full fence); looks at all queues once more; if it finds anything there,
//                search_again(); else sleeps in its driver, and calls unpark_self() when it comes back
//   a searcher   that found work calls stop_searching(); on true it was the last, and wakes the worker worker_to_wake()
//                names, if any: there may be more where that came from. (It may look first, behind a full_fence().)
//   whoever's unpark_self() returned false was woken: it is a searcher.
//
// Claim: no wake-up is lost. Once work W is pushed, and until it is taken, either somebody searches, or nobody is
// parked who has not looked at W's queue and seen W; but for the moments in which somebody is being woken.
//
// Proof. Let F be the pusher's fence and c the value of counts_ that it then reads. All changes of counts_ have one
// order; "later" means behind c in it.
//
//   Lemma. A later park() is followed by a fence, and c does not contain it. So that fence comes after F in the single
//     order of fences, and the second look sees W, unless it was taken.
//
//   c has nobody parked: by the lemma, whoever parks later sees W.
//   c has a searcher: let X be the first later change that leaves none.
//     X is a park(): by the lemma its second look sees W. Its caller searches again, and does not just take W: the next
//       pusher may have counted on it too.
//     X is a stop_searching(): its caller was told, and reads counts_, its own change or a later one. Nobody parked: as
//       above, since that moment is later than c. A searcher again: this case again. Else the next case.
//   c has somebody parked and no searcher: worker_to_wake() takes the lock, and reads again, with the same cases. If it
//     is this one, the parked are on the list (under the lock count and list agree), and it makes one a searcher.
//   So there is a searcher until one of them takes W, or finds nothing and parks; then the lemma holds. []
//
// Work that only one worker may run needs no fence for claim(): if the lock was here first, the worker's park() is
// behind it and so is its second look; if park() was first, claim() finds the worker on the list.
//
// All orders on counts_ are relaxed: the fences do the ordering, and the list has its lock.

#include <magpie/runtime/detail/assert.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/cache_line.hpp>
#include <magpie/runtime/detail/spin_lock.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

namespace magpie::detail {

class idle_set {
public:
    static constexpr unsigned max_workers = 1024;

    // Workers 0 .. workers - 1, all running; each in its node, or all in one if `node_of` is empty. Throws
    // std::bad_alloc.
    explicit idle_set(unsigned workers, std::span<std::uint16_t const> node_of = {})
        : workers_(workers), nodes_(count_nodes(node_of)), links_(std::make_unique<link[]>(workers + nodes_)) {
        MAGPIE_ASSERT(workers >= 1 && workers <= max_workers && (node_of.empty() || node_of.size() == workers));
        for (unsigned end = workers; end < workers + nodes_; ++end) {
            links_[end].above = links_[end].below = static_cast<std::uint16_t>(end);
        }
        for (unsigned i = 0; i < workers; ++i) {
            links_[i].end = static_cast<std::uint16_t>(workers + (node_of.empty() ? 0 : node_of[i]));
        }
    }
    idle_set(idle_set const&) = delete;
    idle_set& operator=(idle_set const&) = delete;

    // For pushers, on any thread, after a full_fence() behind what they pushed, and for the last searcher. If nobody
    // searches and somebody is parked: takes the worker parked last, whose caches are the warmest, and counts it as
    // searching; of the node `near`, or of the next one that has any. The caller must unpark its driver. One load when
    // nobody is parked or somebody searches.
    std::optional<unsigned> worker_to_wake(unsigned near = 0) noexcept {
        if (!wake_is_due()) {
            return std::nullopt;
        }
        std::lock_guard const guard(lock_);
        if (!wake_is_due()) {
            return std::nullopt;
        }
        unsigned const index = parked_last(near);
        unlink(index);
        counts_.fetch_add(one_searching - one_parked, mo_relaxed);
        return index;
    }

    // Wakes a particular worker, for work that only it may run. Any thread, after the push. True: it was parked, now
    // counts as searching, and the caller must unpark its driver. False: it is awake, and looks at its queues before
    // it sleeps.
    bool claim(unsigned index) noexcept {
        std::lock_guard const guard(lock_);
        if (!links_[index].parked) {
            return false;
        }
        unlink(index);
        counts_.fetch_add(one_searching - one_parked, mo_relaxed);
        return true;
    }

    // Any thread: a hint, for owners that hold work back until somebody wants it. One relaxed load.
    bool any_parked() const noexcept { return parked_in(counts_.load(mo_relaxed)) != 0; }
    // Any thread: hints, for metrics.
    unsigned parked() const noexcept { return parked_in(counts_.load(mo_relaxed)); }
    unsigned searching() const noexcept { return searching_in(counts_.load(mo_relaxed)); }

    // The rest is for a worker about itself.

    // False: half of the workers search already; more would only get in each other's way.
    bool try_start_searching() noexcept {
        std::uint32_t seen = counts_.load(mo_relaxed);
        do {
            if (2 * searching_in(seen) >= workers_) {
                return false;
            }
            inject_point();
        } while (!counts_.compare_exchange_weak(seen, seen + one_searching, mo_relaxed, mo_relaxed));
        return true;
    }

    // A searcher has found work. True: it was the last, and must wake whom worker_to_wake() names.
    [[nodiscard]] bool stop_searching() noexcept {
        std::uint32_t const before = counts_.fetch_sub(one_searching, mo_relaxed);
        MAGPIE_ASSERT(searching_in(before) > 0);
        return searching_in(before) == 1;
    }

    // Puts the worker on the list; `searching`: it is a searcher and stops being one. From here on it can be taken, and
    // its driver unparked. It must look at all queues once more before it sleeps. True: it was the last searcher, whom
    // pushers may have counted on.
    bool park(unsigned index, bool searching) noexcept {
        std::uint32_t before = 0;
        {
            std::lock_guard const guard(lock_);
            link_on_top(index);
            before = counts_.fetch_add(searching ? one_parked - one_searching : one_parked, mo_relaxed);
        }
        MAGPIE_ASSERT(!searching || searching_in(before) > 0);
        full_fence();  // pairs with the pusher's: orders the count before the second look (the lemma)
        return searching && searching_in(before) == 1;
    }

    // The second look found work, which the worker has not taken yet. It is a searcher again (over the limit of half if
    // need be: others may have counted on it), whether or not a waker was faster; in that case its driver has been
    // unparked or is about to be.
    void search_again(unsigned index) noexcept { (void)claim(index); }

    // The worker came back from its driver, for its own I/O or timer or because it was woken. True: it is running
    // again. False: a waker has taken it; it is a searcher, and its driver has been unparked or is about to be.
    [[nodiscard]] bool unpark_self(unsigned index) noexcept {
        std::lock_guard const guard(lock_);
        if (!links_[index].parked) {
            return false;
        }
        unlink(index);
        counts_.fetch_sub(one_parked, mo_relaxed);
        return true;
    }

private:
    // The lists of the parked, one for each node: rings of indices, with links_[workers_ + node] for an end. All under
    // the lock but `end`, which does not change.
    struct link {
        guarded<std::uint16_t> above{0};
        guarded<std::uint16_t> below{0};  // of the end: the worker parked last
        guarded<bool> parked{false};
        std::uint16_t end = 0;
    };

    // counts_: | parked 16 | searching 16 |
    static constexpr std::uint32_t one_searching = 1;
    static constexpr std::uint32_t one_parked = std::uint32_t{1} << 16;
    static constexpr unsigned searching_in(std::uint32_t counts) noexcept { return counts & (one_parked - 1); }
    static constexpr unsigned parked_in(std::uint32_t counts) noexcept { return counts >> 16; }

    bool wake_is_due() const noexcept {
        std::uint32_t const counts = counts_.load(mo_relaxed);
        return searching_in(counts) == 0 && parked_in(counts) != 0;
    }

    // Somebody is parked: under the lock, counts and lists agree.
    unsigned parked_last(unsigned near) const noexcept {
        unsigned node = near < nodes_ ? near : 0;
        while (links_[workers_ + node].below == workers_ + node) {
            node = node + 1 == nodes_ ? 0 : node + 1;
        }
        return links_[workers_ + node].below;
    }

    static unsigned count_nodes(std::span<std::uint16_t const> node_of) noexcept {
        unsigned nodes = 1;
        for (std::uint16_t const node : node_of) {
            nodes = node >= nodes ? node + 1U : nodes;
        }
        return nodes;
    }

    void link_on_top(unsigned index) noexcept {
        link& own = links_[index];
        MAGPIE_ASSERT(!own.parked);
        link& list = links_[own.end];
        std::uint16_t const top = list.below;
        own.above = own.end;
        own.below = top;
        links_[top].above = static_cast<std::uint16_t>(index);
        list.below = static_cast<std::uint16_t>(index);
        own.parked = true;
    }

    void unlink(unsigned index) noexcept {
        link& own = links_[index];
        MAGPIE_ASSERT(own.parked);
        links_[own.above].below = own.below;
        links_[own.below].above = own.above;
        own.parked = false;
    }

    alignas(cache_line_size) atomic<std::uint32_t> counts_{0};
    alignas(cache_line_size) spin_lock lock_;
    unsigned const workers_;
    unsigned const nodes_;
    std::unique_ptr<link[]> const links_;
};

}  // namespace magpie::detail
