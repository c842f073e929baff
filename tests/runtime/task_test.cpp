#include <magpie/runtime/task.hpp>

#include <magpie/runtime/runtime.hpp>
#include <magpie/runtime/this_task.hpp>
#include <runtime/support/kit.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace magpie;
using namespace magpie::tests;

static_assert(!std::is_copy_constructible_v<task<int>> && !std::is_copy_assignable_v<task<int>>);
static_assert(std::is_nothrow_move_constructible_v<task<int>> && std::is_nothrow_move_assignable_v<task<int>>);
static_assert(!std::is_default_constructible_v<task<int>>);
static_assert(std::is_same_v<task<>, task<void>>);
static_assert(std::is_same_v<task<int&>::value_type, int&>);

using trace = std::vector<std::string>;

// Says when it is destroyed, and with it in which order.
class leaver {
public:
    leaver(trace& into, char const* name) : into_(&into), name_(name) {}
    leaver(leaver&& other) noexcept : into_(std::exchange(other.into_, nullptr)), name_(other.name_) {}
    leaver& operator=(leaver&&) = delete;
    ~leaver() {
        if (into_ != nullptr) {
            into_->emplace_back(name_);
        }
    }

private:
    trace* into_;
    char const* name_;
};

task<> note(trace& into, char const* what) {
    into.emplace_back(what);
    co_return;
}

task<> keep(token) {
    co_return;
}

TEST_CASE("TASK-01: calling a coroutine function runs nothing of it") {
    trace seen;
    {
        auto t = note(seen, "ran");
        CHECK(t.valid());
    }
    CHECK(seen.empty());
}

TEST_CASE("task: destroying one that never ran destroys its arguments, once") {
    tally count;
    {
        auto t = keep(token(count));
        CHECK(count.alive == 1);
        auto moved = std::move(t);
        CHECK_FALSE(t.valid());
        CHECK(moved.valid());
        CHECK(count.alive == 1);
        moved = keep(token(count));
        CHECK(count.alive == 1);
    }
    CHECK(count.alive == 0);
    CHECK(count.made == 2);
}

task<> direct_then_spawned(trace& into) {
    auto h = spawn(note(into, "spawned"));
    co_await note(into, "direct");
    into.emplace_back("after direct");
    co_await std::move(h);
}

TEST_CASE("TASK-02, TASK-05: awaiting a task runs it inline, before what was spawned earlier") {
    trace seen;
    run(direct_then_spawned(seen), simulated());
    CHECK(seen == trace{"direct", "after direct", "spawned"});
}

struct where {
    task_id id;
    unsigned worker;
};

task<where> here() {
    co_return where{this_task::id(), this_task::worker()};
}

TEST_CASE("TASK-02: an awaited task is no task of its own: same id, same worker") {
    auto const body = []() -> task<bool> {
        where const outer{this_task::id(), this_task::worker()};
        where const inner = co_await here();
        co_return inner.id == outer.id && inner.worker == outer.worker;
    };
    CHECK(run(body(), threads(4)));
}

// ------------------------------------------------------------------------------------------------ results

struct no_default {
    explicit no_default(int v) : value(v) {}
    int value;
};

struct pinned_down {
    int value = 0;
    pinned_down() = default;
    pinned_down(pinned_down const&) = delete;
    pinned_down& operator=(pinned_down const&) = delete;
};

struct aggregate {
    int a;
    std::string b;
};

task<std::unique_ptr<int>> move_only() { co_return std::make_unique<int>(7); }
task<no_default> without_default() { co_return no_default(8); }
task<int&> reference(int& x) { co_return x; }
task<pinned_down&> reference_to_immovable(pinned_down& x) { co_return x; }
task<std::string const&> const_reference(std::string const& x) { co_return x; }
task<aggregate> braced() { co_return {1, "two"}; }
task<long> widened() { co_return 3; }
task<std::string> converted() { co_return "text"; }

TEST_CASE("task: results may be move-only, without a default constructor, references, converted") {
    int x = 1;
    pinned_down p;
    std::string const text = "t";
    auto const body = [&]() -> task<> {
        auto const owned = co_await move_only();
        CHECK(*owned == 7);
        no_default const n = co_await without_default();
        CHECK(n.value == 8);
        int& r = co_await reference(x);
        CHECK(&r == &x);
        pinned_down& q = co_await reference_to_immovable(p);
        CHECK(&q == &p);
        std::string const& s = co_await const_reference(text);
        CHECK(&s == &text);
        aggregate const a = co_await braced();
        CHECK(a.b == "two");
        long const w = co_await widened();
        CHECK(w == 3);
        std::string const c = co_await converted();
        CHECK(c == "text");
    };
    run(body(), simulated());
}

task<token> counted(tally& count) {
    token here(count);
    co_return here;
}

TEST_CASE("task: a result that nobody takes is destroyed with its frame") {
    tally count;
    auto const body = [&]() -> task<> {
        co_await counted(count);
        CHECK(count.alive == 0);
        token const kept = co_await counted(count);
        CHECK(count.alive == 1);
    };
    run(body(), simulated());
    CHECK(count.alive == 0);
    CHECK(count.made == 2);
}

struct throws_when_moved {
    throws_when_moved() = default;
    throws_when_moved(throws_when_moved&&) { throw std::runtime_error("the move"); }
    throws_when_moved& operator=(throws_when_moved&&) = delete;
};

task<throws_when_moved> unmovable_result() { co_return throws_when_moved(); }

TEST_CASE("task: a result whose co_return did not come to its end is replaced by the next one") {
    struct throws_at_its_end {
        ~throws_at_its_end() noexcept(false) { throw 1; }
    };
    auto const body = []() -> task<std::shared_ptr<int>> {
        std::weak_ptr<int> first;
        try {
            throws_at_its_end const local;
            auto one = std::make_shared<int>(1);
            first = one;
            co_return one;
        } catch (int) {
            CHECK(first.use_count() == 1);  // the result that is about to be replaced
        }
        co_return std::make_shared<int>(2);
    };
    auto const two = run(body());
    CHECK(*two == 2);
    CHECK(two.use_count() == 1);
}

TEST_CASE("task: a result whose move throws ends the task with that exception") {
    auto const body = []() -> task<std::string> {
        try {
            co_await unmovable_result();
        } catch (std::runtime_error const& e) {
            co_return e.what();
        }
        co_return "nothing thrown";
    };
    CHECK(run(body(), simulated()) == "the move");
}

// ------------------------------------------------------------------------------------------------ errors, destructors

struct custom_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

task<> throws_it(std::exception const** address) {
    try {
        throw custom_error("inner");
    } catch (std::exception const& e) {
        *address = &e;
        throw;
    }
    co_return;
}

task<> passes_on(std::exception const** address) {
    co_await throws_it(address);
}

TEST_CASE("task: an exception reaches the awaiter as the object that was thrown, through any number of awaits") {
    auto const body = []() -> task<bool> {
        std::exception const* thrown = nullptr;
        try {
            co_await passes_on(&thrown);
        } catch (custom_error const& e) {
            co_return &e == thrown;
        }
        co_return false;
    };
    CHECK(run(body(), simulated()));
}

task<> two_locals(trace& into, leaver, bool fail) {
    leaver const first(into, "first local");
    leaver const second(into, "second local");
    co_await this_task::yield();
    if (fail) {
        throw custom_error("on the way out");
    }
}

TEST_CASE("task: locals go in reverse order before the awaiter goes on, arguments with the task object") {
    for (bool const fail : {false, true}) {
        CAPTURE(fail);
        trace seen;
        auto const body = [&]() -> task<> {
            auto t = two_locals(seen, leaver(seen, "argument"), fail);
            try {
                co_await std::move(t);
            } catch (custom_error const&) {
                seen.emplace_back("caught");
            }
            seen.emplace_back("awaiter goes on");
        };
        run(body(), simulated());
        trace expected{"second local", "first local"};
        if (fail) {
            expected.emplace_back("caught");
        }
        expected.insert(expected.end(), {"awaiter goes on", "argument"});
        CHECK(seen == expected);
    }
}

TEST_CASE("task: one made on one thread may be awaited on another") {
    std::thread::id const maker = std::this_thread::get_id();
    auto const body = []() -> task<std::thread::id> { co_return std::this_thread::get_id(); };
    CHECK(run(body(), threads(1)) != maker);
}

// ------------------------------------------------------------------------------------------------ depth

task<unsigned> nested(unsigned depth) {
    if (depth == 0) {
        co_return 0;
    }
    unsigned const below = co_await nested(depth - 1);
    co_return below + 1;
}

TEST_CASE("EAG-08: a million nested awaits need no stack, on the way down and up") {
    unsigned const depth = rounds(1'000'000);
    CHECK(run(nested(depth), simulated()) == depth);
}

task<> fails_at(unsigned depth) {
    if (depth == 0) {
        throw custom_error("from the bottom");
    }
    co_await fails_at(depth - 1);
}

TEST_CASE("EAG-08: an exception passes through ten thousand nested awaits") {
    CHECK_THROWS_WITH_AS(run(fails_at(10'000), simulated()), "from the bottom", custom_error);
}

task<unsigned> one() {
    co_return 1;
}

TEST_CASE("task: a million awaits in a row, all ready at once, need no stack") {
    auto const body = []() -> task<unsigned> {
        unsigned sum = 0;
        for (unsigned i = 0; i < 1'000'000; ++i) {
            sum += co_await one();
        }
        co_return sum;
    };
    CHECK(run(body(), simulated()) == 1'000'000);
}

}  // namespace
