#include <magpie/combinators/limits.hpp>
#include <magpie/runtime/detail/named_limits.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/metrics.hpp>
#include <magpie/runtime/scheduler/config_keys.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace magpie {

namespace {

// One runtime's limiters, by name. None ever goes.
class limiter_table final : public detail::named_limits {
public:
    explicit limiter_table(detail::limit_settings const& settings) { apply(settings); }

    static std::unique_ptr<detail::named_limits> make(detail::limit_settings const& settings) {
        return std::make_unique<limiter_table>(settings);
    }

    void apply(detail::limit_settings const& settings) override {
        std::lock_guard const lock(mutex_);
        for (auto const& [name, limit] : settings) {
            auto const found = limiters_.find(name);
            if (found != limiters_.end()) {
                found->second.configure(limit);
            } else {
                limiters_.try_emplace(name, limit);
            }
        }
    }

    std::vector<limit_metrics> look() const override {
        std::vector<limit_metrics> all;
        std::lock_guard const lock(mutex_);
        for (auto const& [name, limit] : limiters_) {
            all.push_back({.name = name,
                           .limit = static_cast<std::size_t>(limit.limit()),
                           .in_flight = limit.in_flight(),
                           .succeeded = limit.succeeded(),
                           .failed = limit.failed()});
        }
        return all;
    }

    limiter& at(std::string_view name) {
        std::lock_guard const lock(mutex_);
        auto const found = limiters_.find(name);
        if (found == limiters_.end()) {
            throw usage_error(unknown(name));
        }
        return found->second;
    }

private:
    std::string unknown(std::string_view name) const {
        std::vector<std::string> names;
        for (auto const& each : limiters_) {
            names.push_back(each.first);
        }
        auto const present =
            names.empty() ? std::string("there is none yet") : fmt::format("there are: {}", fmt::join(names, ", "));
        return fmt::format(
            "limits[\"{0}\"]: this runtime's config has no limit of that name:{1} Add a line {0} = 64 to "
            "section [limits] of its file, or set config.limits[\"{0}\"] ({2})",
            name, detail::suggestion(name, names), present);
    }

    mutable std::mutex mutex_;
    std::map<std::string, limiter, std::less<>> limiters_;
};

}  // namespace

limiter& limit_names::operator[](std::string_view name) const {
    detail::named_limits* const all = detail::current_named_limits(&limiter_table::make);
    if (all == nullptr) {
        throw usage_error(
            fmt::format("limits[\"{}\"] was asked for outside a runtime, whose config says what it is: use "
                        "it in a task, or make a limiter of your own",
                        name));
    }
    return static_cast<limiter_table*>(all)->at(name);
}

}  // namespace magpie
