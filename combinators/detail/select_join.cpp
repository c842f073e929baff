#include <magpie/combinators/detail/select_join.hpp>
#include <magpie/runtime/detail/current.hpp>

namespace magpie::detail {

void select_join::ended(int index, bool cancelled) noexcept {
    if (cancelled && asked_.load(mo_acquire)) {  // pairs with the releases below
        return;
    }
    inject_point();
    int nobody = -1;
    if (!winner_.compare_exchange_strong(nobody, index, mo_release, mo_relaxed)) {  // pairs with cancel_children()
        return;
    }
    if (!asked_.exchange(true, mo_acq_rel)) {  // pairs with the acquire in ended(); a canceller may have been first
        request_all();
    }
}

bool select_join::cancel_children() noexcept {
    if (winner_.load(mo_acquire) >= 0) {  // pairs with the release in ended()
        return false;
    }
    asked_.store(true, mo_release);  // pairs with the acquire in ended()
    return request_all();
}

int select_join::winner() {
    int const first = winner_.load(mo_relaxed);
    if (first < 0) {
        deliver_cancellation(*context);
    }
    return first;
}

}  // namespace magpie::detail
