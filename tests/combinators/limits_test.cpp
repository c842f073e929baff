// limits["name"]: one runtime's limiters, from its config.

#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/shield.hpp>
#include <magpie/combinators/limits.hpp>
#include <magpie/runtime/runtime.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <ranges>
#include <string>
#include <utility>

#include <combinators/support/modelled_server.hpp>
#include <combinators/support/naps.hpp>

namespace {

using namespace magpie;
using namespace magpie::tests;

config with_limits() {
    config c = simulated();
    c.limits["upstream"] = 3;
    c.limits["database"] = {.kind = limit_kind::aimd, .initial = 10, .max = 20};
    return c;
}

std::string refused(auto f) {
    try {
        f();
    } catch (usage_error const& error) {
        return error.what();
    }
    return "accepted";
}

TEST_CASE("limits[name] is the current runtime's limiter of that name, for all its tasks") {
    auto const body = []() -> task<> {
        limiter& upstream = limits["upstream"];
        CHECK(upstream.limit() == 3);
        CHECK(&upstream == &limits[std::string("upstream")]);
        CHECK(limits["database"].kind() == limit_kind::aimd);
        CHECK(limits["database"].limit() == 10);
        auto const other = [&]() -> task<> {
            CHECK(&limits["upstream"] == &upstream);
            co_return;
        };
        co_await spawn(other());
        auto const place = co_await limits["upstream"].acquire();
        CHECK(upstream.in_flight() == 1);
    };
    run(body(), with_limits());
}

TEST_CASE("two runtimes have each its own") {
    config c = threads(2);
    c.limits["upstream"] = 3;
    runtime a(c);
    c.limits["upstream"] = 4;
    runtime b(c);
    auto const body = []() -> task<limiter*> { co_return &limits["upstream"]; };
    limiter* const of_a = a.block_on(body());
    limiter* const of_b = b.block_on(body());
    CHECK(of_a != of_b);
    CHECK(of_a->limit() == 3);
    CHECK(of_b->limit() == 4);
    CHECK(a.block_on(body()) == of_a);
}

TEST_CASE("an unknown name, and a name outside a runtime, are mistakes with a remedy") {
    auto const body = []() -> task<> {
        std::string const unknown = refused([] { (void)limits["upsteam"]; });
        CHECK(unknown.find("limits[\"upsteam\"]") != std::string::npos);
        CHECK(unknown.find("did you mean upstream?") != std::string::npos);
        CHECK(unknown.find("[limits]") != std::string::npos);
        CHECK(unknown.find("database, upstream") != std::string::npos);
        co_return;
    };
    run(body(), with_limits());
    auto const without = []() -> task<> {
        CHECK(refused([] { (void)limits["x"]; }).find("there is none yet") != std::string::npos);
        co_return;
    };
    run(without(), simulated());
    CHECK(refused([] { (void)limits["upstream"]; }).find("outside a runtime") != std::string::npos);
}

TEST_CASE("a batch under a named limit, and the numbers of all of them in the metrics") {
    runtime rt(with_limits());
    CHECK(rt.snapshot().limits.empty());  // nobody has asked for one
    auto const body = [&]() -> task<> {
        int inside = 0;
        int most = 0;
        auto const one = [&](int i) -> task<> {
            most = std::max(most, ++inside);
            co_await sleep(1ms);
            --inside;
            if (i % 5 == 0) {
                throw oops("fifth");
            }
        };
        auto a = spawn(batch(settled, std::views::iota(0, 20), one, {.limit = limits["upstream"]}));
        auto b = spawn(batch(settled, std::views::iota(0, 20), one, {.limit = limits["upstream"]}));
        co_await sleep(500us);
        CHECK(rt.snapshot().limits.at(1).in_flight == 3);
        co_await std::move(a);
        co_await std::move(b);
        CHECK(most == 3);
    };
    rt.block_on(body());
    auto const seen = rt.snapshot().limits;
    REQUIRE(seen.size() == 2);
    CHECK(seen[0] == limit_metrics{.name = "database", .limit = 10});
    CHECK(seen[1] == limit_metrics{.name = "upstream", .limit = 3, .succeeded = 32, .failed = 8});
    CHECK(rt.snapshot().prometheus().find("magpie_limit_failed_total{limit=\"upstream\"} 8\n") != std::string::npos);
}

TEST_CASE("a batch inside an item that waits for the outer batch's named limit is told") {
    auto const body = []() -> task<> {
        auto const leaf = [](int) -> task<> { co_await sleep(1ms); };
        auto const inner = [&](int) -> task<> {
            co_await sleep(1ms);
            co_await batch_each(std::views::iota(0, 2), leaf, {.limit = limits["upstream"]});
        };
        CHECK_THROWS_AS(co_await batch_each(std::views::iota(0, 3), inner, {.limit = limits["upstream"]}), usage_error);
        CHECK(limits["upstream"].in_flight() == 0);
        CHECK(limits["upstream"].waiting() == 0);
    };
    config c = with_limits();
    event_log suppressed;
    c.hooks.on_suppressed = suppressed.listener();
    run(body(), c);
}

TEST_CASE("a reload in the middle of a batch: more begin at once, with less nobody begins until enough have ended") {
    runtime rt(with_limits());
    auto const body = [&]() -> task<> {
        config c = with_limits();
        int inside = 0;
        trace seen;
        auto const look = [&] { seen.push_back(std::to_string(inside)); };
        auto const one = [&](int) -> task<> {
            ++inside;
            co_await sleep(10ms);
            --inside;
        };
        auto load = spawn(batch_each(std::views::iota(0, 60), one, {.limit = limits["upstream"]}));
        co_await sleep(5ms);
        look();
        c.limits["upstream"] = 7;
        CHECK(rt.reload(c).limits == trace{"upstream"});
        co_await sleep(1ms);
        look();  // at once: the first three have not ended
        c.limits["upstream"] = 2;
        CHECK(rt.reload(c).limits == trace{"upstream"});
        co_await sleep(5ms);  // at 11: the first three have
        look();
        co_await sleep(5ms);  // at 16: all have
        look();
        co_await sleep(3ms);
        look();
        CHECK(rt.reload(c).limits.empty());
        co_await std::move(load);
        CHECK(seen == trace{"3", "7", "4", "2", "2"});
        CHECK(limits["upstream"].succeeded() == 60);
    };
    rt.block_on(body());
}

TEST_CASE("a reload adds limits, changes kinds, and leaves alone what it does not name or change") {
    runtime rt(with_limits());
    auto const body = [&]() -> task<> {
        limiter& upstream = limits["upstream"];
        limiter& database = limits["database"];
        database.record(false, 1ms);
        CHECK(database.limit() == 9);
        config c = simulated();
        c.limits["database"] = {.kind = limit_kind::aimd, .initial = 10, .max = 8'000};
        c.limits["new"] = 6;
        CHECK(rt.reload(c).limits == trace{"database", "new"});
        CHECK(database.limit() == 9);  // what it has learnt
        CHECK(upstream.limit() == 3);  // vanished: as it was
        CHECK(limits["new"].limit() == 6);
        upstream.resize(5);
        c.limits["upstream"] = 3;  // as before: no change, so what code did to it stays
        c.limits["database"] = {.kind = limit_kind::gradient, .initial = 4};
        CHECK(rt.reload(c).limits == trace{"database"});
        CHECK(upstream.limit() == 5);
        CHECK(&limits["database"] == &database);
        CHECK(database.kind() == limit_kind::gradient);
        CHECK(database.limit() == 4);
        c.limits["upstream"] = 4;
        rt.reload(c);
        CHECK(upstream.limit() == 4);
        co_return;
    };
    rt.block_on(body());
}

TEST_CASE("a limit that was changed before anybody asked for it begins with what it was changed to") {
    runtime rt(with_limits());
    config c = with_limits();
    c.limits["upstream"] = 8;
    CHECK(rt.reload(c).limits == trace{"upstream"});
    auto const body = []() -> task<std::ptrdiff_t> { co_return limits["upstream"].limit(); };
    CHECK(rt.block_on(body()) == 8);
}

TEST_CASE("a runtime that leaves a task behind leaves the limit behind in whose queue that is") {
    if (sanitized) {
        return;  // what is left behind is a leak
    }
    auto const stuck = []() -> task<> {
        auto const waits = []() -> task<> { auto const never = co_await limits["upstream"].acquire(); };
        co_await shielded(waits());
    };
    auto const body = [&]() -> task<> {
        limits["upstream"].resize(1);
        auto taken = co_await limits["upstream"].acquire();
        taken.forget();
        spawn_detached(stuck());
        co_await this_task::yield();
    };
    CHECK_NOTHROW(run(body(), with_limits()));  // says who is left on stderr; and no assertion about the queue
}

TEST_CASE("an adaptive limit under load takes new bounds in its stride") {
    config c = simulated();
    c.limits["upstream"] = {.kind = limit_kind::gradient, .initial = 10, .max = 500};
    runtime rt(c);
    auto const body = [&]() -> task<> {
        modelled_server server(50, 10ms);
        auto const one = [&](int) { return server.request(); };
        auto load = spawn(batch_each(std::views::iota(0), one, {.limit = limits["upstream"], .on_error = settle}));
        co_await sleep(5s);
        CHECK(server.in_flight() >= 25);
        CHECK(server.in_flight() <= 75);
        c.limits["upstream"].max = 20;
        rt.reload(c);
        co_await sleep(50ms);
        CHECK(server.in_flight() <= 20);
        c.limits["upstream"] = 33;
        rt.reload(c);
        co_await sleep(50ms);
        CHECK(server.in_flight() == 33);
        c.limits["upstream"] = {.kind = limit_kind::aimd, .initial = 33, .max = 500, .target = 15ms};
        rt.reload(c);
        co_await sleep(5s);
        CHECK(server.in_flight() >= 49);
        CHECK(server.in_flight() <= 75);
        load.cancel();
        CHECK_THROWS_AS(co_await std::move(load), child_cancelled);
    };
    rt.block_on(body());
}

}  // namespace
