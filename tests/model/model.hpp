#pragma once

// Model checking with Relacy (Debian: relacy-dev). A model includes this file first: it puts Relacy's atomics in the
// place of the library's (runtime/detail/atomic.hpp), so that the code under test is the code that ships, with queues
// of capacity 4. Relacy then runs a scenario some ten thousand times, each with another interleaving and another choice
// of what a weakly ordered load may return, and finds data races, failed assertions, deadlocks and livelocks.
//
// A model that cannot fail proves nothing. So check() runs all scenarios again with one memory order at a time taken
// away: each acquire, release or fence they met in the first run becomes relaxed, or nothing, in a run of its own, and
// some scenario must find that.

#if !defined(MAGPIE_MODEL)
#define MAGPIE_MODEL 1
#endif

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <source_location>
#include <span>
#include <streambuf>
#include <string_view>
#include <type_traits>
#include <utility>

// clang-format off: it redefines `new` and others, and must come after the standard headers
#include <relacy/relacy.hpp>
// clang-format on

// Relacy redefines these for code written against it; neither the library nor the rest of a model is.
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst
#define errno (*__errno_location())

// Relacy replaces new and delete to find leaks, but not the sized delete, which would free its memory behind its back.
// Nor the new that does not throw. A model is one translation unit.
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
    return ::operator new(size);
}
void* operator new[](std::size_t size, std::nothrow_t const&) noexcept {
    return ::operator new[](size);
}
void operator delete(void* memory, std::size_t) noexcept {
    ::operator delete(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    ::operator delete[](memory);
}

#define MAGPIE_ASSERT(...) RL_ASSERT(static_cast<bool>(__VA_ARGS__))

namespace magpie::model {

using where = std::source_location;

inline rl::debug_info info(where at) {
    return {at.function_name(), at.file_name(), at.line()};
}

// A place in the source that orders memory.
struct site {
    char const* path = "";
    unsigned line = 0;
    unsigned column = 0;
    char const* what = "";  // the order
    char const* function = "";

    bool operator==(site const& other) const {  // a template's functions are one
        return path == other.path && line == other.line && column == other.column && what == other.what;
    }
    std::string_view file() const {
        std::string_view const whole = path;
        return whole.substr(whole.find_last_of('/') + 1);
    }
};

// The orders a scenario meets, and the one that is taken away. Allocates nothing: Relacy would count it as the
// scenario's.
class orders {
public:
    static orders& instance() {
        static orders all;
        return all;
    }

    // True: act as if there were no such order.
    bool weakened(where at, char const* what) {
        site const here{at.file_name(), at.line(), at.column(), what, at.function_name()};
        if (lost_ != nullptr && *lost_ == here) {
            return true;
        }
        auto const end = known_.begin() + count_;
        if (lost_ == nullptr && std::find(known_.begin(), end, here) == end) {
            known_.at(static_cast<std::size_t>(count_++)) = here;
        }
        return false;
    }

    std::span<site const> met() const { return {known_.data(), static_cast<std::size_t>(count_)}; }
    // Null: all are there again.
    void take_away(site const* s) { lost_ = s; }

private:
    std::array<site, 128> known_;
    int count_ = 0;
    site const* lost_ = nullptr;
};

inline rl::memory_order effective(rl::memory_order order, where at) {
    if (order == rl::mo_relaxed) {
        return order;
    }
    return orders::instance().weakened(at, rl::format(order)) ? rl::mo_relaxed : order;
}

}  // namespace magpie::model

namespace magpie::detail {

using rl::mo_acq_rel;
using rl::mo_acquire;
using rl::mo_relaxed;
using rl::mo_release;
using rl::mo_seq_cst;

template <class T>
class atomic {
    using where = model::where;
    using order = rl::memory_order;

public:
    atomic(T value = T()) : value_(value) {}
    atomic(atomic const&) = delete;
    atomic& operator=(atomic const&) = delete;

    T load(order o = mo_seq_cst, where at = where::current()) const {
        return value_.load(model::effective(o, at), model::info(at));
    }
    void store(T value, order o = mo_seq_cst, where at = where::current()) {
        value_.store(value, model::effective(o, at), model::info(at));
    }
    T exchange(T value, order o = mo_seq_cst, where at = where::current()) {
        return value_.exchange(value, model::effective(o, at), model::info(at));
    }
    T fetch_add(T value, order o = mo_seq_cst, where at = where::current()) {
        return value_.fetch_add(value, model::effective(o, at), model::info(at));
    }
    T fetch_sub(T value, order o = mo_seq_cst, where at = where::current()) {
        return value_.fetch_sub(value, model::effective(o, at), model::info(at));
    }
    T fetch_and(T value, order o = mo_seq_cst, where at = where::current()) {
        return value_.fetch_and(value, model::effective(o, at), model::info(at));
    }
    T fetch_or(T value, order o = mo_seq_cst, where at = where::current()) {
        return value_.fetch_or(value, model::effective(o, at), model::info(at));
    }
    bool compare_exchange_weak(T& expected, T desired, order success, order failure, where at = where::current()) {
        rl::debug_info const i = model::info(at);
        order const effective = model::effective(success, at);
        return value_.compare_exchange_weak(expected, desired, effective, i, failing(effective, success, failure), i);
    }
    bool compare_exchange_strong(T& expected, T desired, order success, order failure, where at = where::current()) {
        rl::debug_info const i = model::info(at);
        order const effective = model::effective(success, at);
        return value_.compare_exchange_strong(expected, desired, effective, i, failing(effective, success, failure), i);
    }

private:
    static order failing(order effective, order success, order failure) {
        return effective == success ? failure : mo_relaxed;
    }

    rl::atomic<T> value_;
};

// Relacy prints values.
template <class Enum>
    requires std::is_scoped_enum_v<Enum>
std::ostream& operator<<(std::ostream& out, Enum value) {
    return out << static_cast<unsigned long long>(value);
}

// Plain data: any two accesses that nothing orders are reported as a race.
template <class T>
class guarded {
public:
    guarded(T value = T()) : value_(value) {}
    guarded(guarded const& other) : value_(static_cast<T>(other)) {}
    guarded& operator=(guarded const& other) { return *this = static_cast<T>(other); }
    guarded& operator=(T value) {
        value_(RL_INFO).store(value);
        return *this;
    }
    operator T() const { return value_(RL_INFO).load(); }
    T operator->() const { return static_cast<T>(*this); }

private:
    rl::var<T> value_;
};

inline void full_fence(model::where at = model::where::current()) {
    if (!model::orders::instance().weakened(at, "full fence")) {
        rl::atomic_thread_fence(mo_seq_cst, model::info(at));
    }
}

// The cheap side of an asymmetric fence, for one thread against all kick()s: to the model both sides are full fences,
// which is all that the pair promises.
inline void compiler_fence(model::where at = model::where::current()) {
    full_fence(at);
}

// A spin must let the others run, or the scenario ends as a livelock.
inline void yield_thread() {
    rl::yield(1, RL_INFO);
}
inline void cpu_relax() {
    yield_thread();
}

inline void inject_point() noexcept {}
inline void tsan_release(void*) noexcept {}
inline void tsan_acquire(void*) noexcept {}

}  // namespace magpie::detail

namespace magpie::model {

// What Relacy prints, up to a limit. Allocates nothing: Relacy prints both inside and outside of its own heap.
class report : public std::streambuf {
public:
    report() { clear(); }
    void clear() { setp(text_.data(), text_.data() + text_.size()); }
    std::string_view text() const { return {pbase(), static_cast<std::size_t>(pptr() - pbase())}; }

protected:
    int overflow(int c) override { return traits_type::not_eof(c); }  // the rest is dropped

private:
    std::array<char, std::size_t{1} << 20> text_;
};

inline report& last_report() {
    static report only;
    return only;
}

// Steps, after which a scenario is called a livelock.
inline unsigned longest_scenario = 2'000;

template <class Scenario>
rl::test_result_e explore(rl::iteration_t iterations) {
    last_report().clear();
    std::ostream out(&last_report());
    rl::test_params params;
    params.iteration_count = iterations;
    params.search_type = rl::random_scheduler_type;
    params.execution_depth_limit = longest_scenario;
    params.output_stream = &out;
    params.progress_stream = &out;
    rl::simulate<Scenario>(params);
    return params.test_result;  // the first fault ends it
}

// The first of the scenarios that finds a fault, by name; null: none does.
template <class... Scenarios>
char const* first_to_find(rl::iteration_t iterations) {
    char const* finder = nullptr;
    auto const find = [&]<class Scenario>(std::type_identity<Scenario>) {
        bool const found = explore<Scenario>(iterations) != rl::test_result_success;
        finder = found ? Scenario::name : nullptr;
        return found;
    };
    (void)(find(std::type_identity<Scenarios>{}) || ...);
    return finder;
}

// True: the scenario, which breaks a rule on purpose, is caught.
template <class Broken>
bool is_found(rl::iteration_t iterations) {
    bool const found = explore<Broken>(iterations) != rl::test_result_success;
    std::printf("broken on purpose: %s: %s\n", Broken::name, found ? "found" : "NOT FOUND");
    return found;
}

template <class... Scenarios>
struct scenarios {};

// An order that something else implies in all scenarios: by (a part of) the name of its function.
struct implied {
    std::string_view function;
    std::string_view order;
    bool among_others = false;  // the function has other such orders, which are missed: so all are taken away
};

// Runs all scenarios whole, then with one order less at a time. The program's exit status: 0 if nothing was found in
// the first runs, and each missing order by some scenario. A scenario is a rl::test_suite with a `name`.
// With file names: only orders in these are taken away. The others are some other model's subject.
template <class... Scenarios>
int check_in(std::initializer_list<std::string_view> files, std::initializer_list<implied> implied_ones, scenarios<Scenarios...>, rl::iteration_t iterations) {
    orders& all = orders::instance();
    if (char const* const finder = first_to_find<Scenarios...>(iterations)) {
        std::string_view const text = last_report().text();
        std::printf("%s: FAILED\n%.*s\n", finder, static_cast<int>(text.size()), text.data());
        return 1;
    }
    std::printf("%zu scenarios, %llu interleavings each: no fault. Without one of the %zu orders:\n",
                sizeof...(Scenarios), static_cast<unsigned long long>(iterations), all.met().size());
    int status = 0;
    for (site const& s : all.met()) {
        auto const why = std::find_if(implied_ones.begin(), implied_ones.end(), [&](implied const& each) {
            return each.order == s.what && std::string_view(s.function).find(each.function) != std::string_view::npos;
        });
        bool const is_implied = why != implied_ones.end();
        if ((is_implied && !why->among_others) || (files.size() != 0 && std::find(files.begin(), files.end(), s.file()) == files.end())) {
            continue;
        }
        all.take_away(&s);
        char const* const finder = first_to_find<Scenarios...>(iterations);
        std::printf("  %-10s %.*s:%u:%u  %s\n", s.what, static_cast<int>(s.file().size()), s.file().data(), s.line,
                    s.column, finder != nullptr ? finder : is_implied ? "implied" : "NOT MISSED BY ANY SCENARIO");
        std::fflush(stdout);
        status = finder == nullptr && !is_implied ? 1 : status;
    }
    all.take_away(nullptr);
    return status;
}
template <class... Scenarios>
int check(rl::iteration_t iterations) {
    return check_in({}, {}, scenarios<Scenarios...>{}, iterations);
}

}  // namespace magpie::model
