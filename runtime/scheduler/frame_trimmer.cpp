#include <magpie/runtime/scheduler/frame_trimmer.hpp>
#include <magpie/runtime/scheduler/scheduler.hpp>

#include <exception>

namespace magpie::detail {

bool frame_trim::start(scheduler& where, how much) noexcept {
    if (running_.load(mo_acquire)) {  // pairs with the release in run()
        return false;
    }
    running_.store(true, mo_relaxed);
    how_ = much;
    try {
        submit_blocking(where, *this);
    } catch (std::exception const&) {
        running_.store(false, mo_relaxed);
        return false;
    }
    return true;
}

}  // namespace magpie::detail
