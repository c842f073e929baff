#pragma once

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/named_limits.hpp>
#include <magpie/runtime/metrics.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace magpie::detail {

// Where a runtime keeps its named limits: until somebody uses one, only what they are set to. Any thread.
class limit_slot {
public:
    explicit limit_slot(limit_settings const& settings) : settings_(settings) {}
    limit_slot(limit_slot const&) = delete;
    limit_slot& operator=(limit_slot const&) = delete;
    ~limit_slot() = default;

    named_limits& get(std::unique_ptr<named_limits> (*make)(limit_settings const&)) {
        named_limits* const seen = made_.load(mo_acquire);  // pairs with the release below
        return seen != nullptr ? *seen : get_slowly(make);
    }

    // What is set anew, or added; names that are missing keep what they have. Gives those that changed.
    std::vector<std::string> apply(limit_settings const& settings) {
        std::lock_guard const lock(mutex_);
        limit_settings all = settings_;
        limit_settings changed;
        for (auto const& [name, limit] : settings) {
            auto const [place, is_new] = all.try_emplace(name, limit);
            if (is_new || place->second != limit) {
                place->second = limit;
                changed.emplace(name, limit);
            }
        }
        if (owner_) {
            owner_->apply(changed);  // if it throws, the next reload finds the same changes
        }
        settings_ = std::move(all);
        std::vector<std::string> names;
        for (auto const& each : changed) {
            names.push_back(each.first);
        }
        return names;
    }

    std::vector<limit_metrics> look() const {
        named_limits const* const seen = made_.load(mo_acquire);  // pairs with the release in get_slowly()
        return seen == nullptr ? std::vector<limit_metrics>() : seen->look();
    }

    // Tasks were left behind that may still be in a limit's queue: it must not die.
    void abandon() noexcept { (void)owner_.release(); }

private:
    named_limits& get_slowly(std::unique_ptr<named_limits> (*make)(limit_settings const&)) {
        std::lock_guard const lock(mutex_);
        if (!owner_) {
            owner_ = make(settings_);
            made_.store(owner_.get(), mo_release);  // pairs with the acquires in get() and look()
        }
        return *owner_;
    }

    std::mutex mutex_;
    limit_settings settings_;
    std::unique_ptr<named_limits> owner_;
    atomic<named_limits*> made_{nullptr};
};

}  // namespace magpie::detail
