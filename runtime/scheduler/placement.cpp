#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/placement.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>
#include <magpie/runtime/scheduler/worker.hpp>

#include <algorithm>
#include <cstddef>

namespace magpie::detail {

namespace {

constexpr unsigned looks = 4;  // more find little that is better, and each is a look into another worker's cache lines

// What a worker may have more than the lightest before work is sent away: moving costs something, too, and a wake-up if
// the other one sleeps.
constexpr std::size_t tolerated(std::size_t load) noexcept {
    return 4 + load / 16;
}

}  // namespace

bool places_tasks(scheduler const& shared) noexcept {
    return shared.size() > 1 && shared.watches_for_stalls();
}

unsigned worker_count() noexcept {
    return current_worker()->shared().size();
}

worker& lightest_worker() noexcept {
    worker& here = *current_worker();
    scheduler& shared = here.shared();
    std::size_t const own = here.load();
    if (!places_tasks(shared) || own <= tolerated(own)) {
        return here;
    }
    worker* best = &here;
    std::size_t least = own - tolerated(own);
    unsigned const first = here.random_below(shared.size());
    for (unsigned i = 0, looked = 0; i < shared.size() && looked < looks; ++i) {
        worker& each = shared.at((first + i) % shared.size());
        if (&each == &here || each.is_stuck()) {
            continue;
        }
        ++looked;
        std::size_t const load = each.load() + (each.pulse().in_task ? 1 : 0);
        if (load < least) {
            least = load;
            best = &each;
        }
    }
    return *best;
}

bool move_to_worker::move() noexcept {
    worker& here = *current_worker();
    scheduler& shared = here.shared();
    worker& to = shared.at(index_ % shared.size());
    if (context->pinned || &to == &here || !places_tasks(shared)) {
        return false;
    }
    to.place(*this);
    return true;
}

}  // namespace magpie::detail
