#pragma once

#include <magpie/runtime/detail/atomic.hpp>

#include <cstdint>
#include <map>
#include <mutex>

namespace magpie::detail {

class scheduler;

// Which runtimes of this process are alive, by a number that is not used again for four billion runtimes: for handles,
// which may outlive theirs. Cold paths only. Any thread.
class live_schedulers {
public:
    static std::uint32_t enter(scheduler& s) {
        std::lock_guard const lock(mutex());
        static std::uint32_t next = 1;
        while (next == 0 || !all().emplace(next, &s).second) {
            ++next;
        }
        return next++;
    }
    static void leave(std::uint32_t serial) noexcept {
        std::lock_guard const lock(mutex());
        all().erase(serial);
    }
    // Calls f with the runtime, which cannot die meanwhile; false if it is gone. f must not block.
    template <class F>
    static bool with(std::uint32_t serial, F&& f) {
        std::lock_guard const lock(mutex());
        auto const found = all().find(serial);
        if (found == all().end()) {
            return false;
        }
        f(*found->second);
        return true;
    }

private:
    // Never destroyed: handles may be used during static destruction.
    static std::mutex& mutex() {
        static auto& one = *new std::mutex;
        return one;
    }
    static std::map<std::uint64_t, scheduler*>& all() {
        static auto& one = *new std::map<std::uint64_t, scheduler*>;
        return one;
    }
};

} // namespace magpie::detail
