#include <magpie/runtime/outside.hpp>

#include <magpie/runtime/detail/blocking.hpp>
#include <magpie/runtime/detail/current.hpp>
#include <magpie/runtime/detail/spawn.hpp>
#include <magpie/runtime/errors.hpp>

#include <utility>

namespace magpie {

outside_source::outside_source() {
    if (detail::current_context() == nullptr) {
        throw usage_error("an outside_source was made outside a task: it would not know of which runtime");
    }
    work_ = detail::outside_work_of(*detail::current_scheduler());
    work_->begin();
}

outside_source& outside_source::operator=(outside_source&& other) noexcept {
    outside_source taken(std::move(other));
    std::swap(work_, taken.work_);
    return *this;
}

outside_source::~outside_source() {
    if (work_ != nullptr) {
        work_->end();
    }
}

}  // namespace magpie
