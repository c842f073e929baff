#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <soak/stalls/watchdog.hpp>

namespace magpie::tests {

namespace {

constexpr std::chrono::milliseconds look_every{500};

}  // namespace

actor::actor(watchdog& by, char const* role, std::uint64_t number, std::uint64_t seed, std::uint64_t total)
    : roll(seed), by_(&by), role_(role), number_(number), total_(total) {
    std::lock_guard const lock(by.mutex_);
    place_ = by.actors_.insert(by.actors_.end(), this);
    seen_at_ = by.now_;
}

actor::~actor() {
    std::lock_guard const lock(by_->mutex_);
    by_->actors_.erase(place_);
}

// The flag orders nothing: what orders the runs of a coroutine is under test.
void actor::leave(char const* for_what) noexcept {
    waits_for_.store(for_what, std::memory_order_relaxed);
    if (!running_.exchange(false, std::memory_order_relaxed)) {
        by_->fail(fmt::format("{} {} waits twice at once", role_, number_));
    }
}

void actor::enter() noexcept {
    if (running_.exchange(true, std::memory_order_relaxed)) {
        by_->fail(fmt::format("{} {} runs on two threads at once", role_, number_));
    }
    waits_for_.store(nullptr, std::memory_order_relaxed);
    steps_.fetch_add(1, std::memory_order_relaxed);
}

watchdog::watchdog(std::chrono::seconds patience) : patience_(patience), thread_([this] { watch(); }) {}

watchdog::~watchdog() {
    {
        std::lock_guard const lock(mutex_);
        stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void watchdog::set_runtime(runtime* rt) {
    std::lock_guard const lock(mutex_);
    runtime_ = rt;
}

void watchdog::watch() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, look_every, [this] { return stop_; })) {
        advance_clock();
        if (actor const* const stuck = find_stuck()) {
            std::string const why =
                fmt::format("{} {} has not moved for {} s", stuck->role_, stuck->number_, patience_.count());
            lock.unlock();
            fail(why);
        }
    }
}

void watchdog::advance_clock() {
    auto const now = std::chrono::steady_clock::now();
    now_ += std::min<std::chrono::steady_clock::duration>(now - last_look_, 2 * look_every);
    last_look_ = now;
}

actor const* watchdog::find_stuck() {
    for (actor* const each : actors_) {
        std::uint64_t const steps = each->steps_.load(std::memory_order_relaxed);
        if (steps != each->seen_steps_) {
            each->seen_steps_ = steps;
            each->seen_at_ = now_;
        } else if (now_ - each->seen_at_ > patience_) {
            return each;
        }
    }
    return nullptr;
}

void watchdog::fail(std::string const& why) {
    std::fflush(stdout);
    std::fprintf(stderr, "stalls: FAILED: %s\n", why.c_str());
    dump();
    std::abort();
}

namespace {

// Without the lines for people who do not know the counters.
void print_counters(std::string_view text) {
    while (!text.empty()) {
        std::string_view const line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        if (!line.starts_with('#')) {
            std::fprintf(stderr, "  %.*s\n", static_cast<int>(line.size()), line.data());
        }
    }
}

}  // namespace

// Best effort: what fails here must not hide the failure.
void watchdog::dump() {
    using namespace std::chrono;
    std::unique_lock const lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) {
        return;
    }
    (void)find_stuck();  // who has moved since the last look
    for (actor const* const each : actors_) {
        char const* const what = each->waits_for_.load(std::memory_order_relaxed);
        auto const idle = duration_cast<milliseconds>(now_ - each->seen_at_);
        std::fprintf(stderr, "  %s %llu: %s%s, at %llu of %llu, %llu steps, the last %lld ms ago or later\n",
                     each->role_, static_cast<unsigned long long>(each->number_),
                     what == nullptr ? "runs" : "waits for ", what == nullptr ? "" : what,
                     static_cast<unsigned long long>(each->at.load()), static_cast<unsigned long long>(each->total_),
                     static_cast<unsigned long long>(each->seen_steps_), static_cast<long long>(idle.count()));
    }
    if (runtime_ != nullptr) {
        print_counters(runtime_->snapshot().prometheus());
        for (task_info const& each : runtime_->tasks()) {
            std::fprintf(stderr, "  task %llu %s: state %d, cancelling %u, waits for %s\n",
                         static_cast<unsigned long long>(each.id), each.name.c_str(), static_cast<int>(each.state),
                         each.cancelling, each.awaits.c_str());
        }
    }
    std::fflush(stderr);
}

}  // namespace magpie::tests
