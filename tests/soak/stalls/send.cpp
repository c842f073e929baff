#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/io/transfer.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <soak/stalls/session.hpp>

namespace magpie::tests {

using namespace std::chrono_literals;

namespace {

using memory = std::vector<std::byte>;

// Fills a part, as a child of a gather.
task<std::size_t> fill(half& h, std::span<std::byte> to, std::uint64_t offset) {
    actor who(h.all.watch, "filling child", h.all.number(), mixed(h.all.seed + offset));
    h.all.work.compute(who.roll);
    h.bytes.fill(to, offset);
    if (who.roll.one_in(4)) {
        waiting w(who, "a turn");
        co_await this_task::yield();
    }
    co_return to.size();
}

task<> fill_in_parallel(half& h, std::span<std::byte> next) {
    h.all.count(tally_of::forked);
    std::vector<task<std::size_t>> parts;
    std::size_t const size = next.size() / 5 + 1;
    for (std::size_t at = 0; at < next.size(); at += size) {
        parts.push_back(fill(h, next.subspan(at, std::min(size, next.size() - at)), h.done() + at));
    }
    waiting w(h.me, "a gather that fills memory");
    auto const sizes = co_await gather(std::move(parts));
    w.over();
    std::size_t sum = 0;
    for (std::size_t const each : sizes) {
        sum += each;
    }
    if (sum != next.size()) {
        h.all.watch.fail("a gather gave other values than its children");
    }
}

// What was taken of the bytes at hand.
step sent(half& h, io::result<std::size_t> const& taken) {
    if (!taken) {
        return judge(h, taken.error());
    }
    h.advance(*taken);
    return step::moved;
}

task<step> write_once(half& h, std::span<std::byte const> next) {
    waiting w(h.me, "room for bytes");
    auto const taken = co_await h.stream.write(next);
    w.over();
    co_return sent(h, taken);
}

task<step> write_parts(half& h, std::span<std::byte const> next) {
    std::array<io::const_buffer, 3> const parts = {next.first(next.size() / 3), io::const_buffer(),
                                                   next.subspan(next.size() / 3)};
    waiting w(h.me, "room for bytes in parts");
    auto const taken = co_await h.stream.write(std::span<io::const_buffer const>(parts));
    w.over();
    co_return sent(h, taken);
}

// Whatever ends it, `done` says how much went out.
task<step> write_in_time(half& h, std::span<std::byte const> next) {
    std::size_t done = 0;
    step s = step::nothing;
    try {
        waiting w(h.me, "room for all bytes, in time");
        auto const all = co_await timeout(h.me.roll.up_to(1ms), io::write_all(h.stream, next, done));
        w.over();
        s = all ? step::moved : judge(h, all.error());
    } catch (timeout_error const&) {
        h.all.count(tally_of::timed_out);
    }
    h.advance(done);
    co_return s;
}

task<> write_as_child(half& h, std::uint64_t seed, std::span<std::byte const> next, std::size_t& done) {
    actor who(h.all.watch, "writing child", h.all.number(), seed);
    h.all.work.compute(who.roll);
    waiting w(who, "room for all bytes");
    auto const all = co_await io::write_all(h.stream, next, done);
    w.over();
    if (!all) {
        (void)judge(h, all.error());
    }
}

// In a group, as in receive.cpp.
task<> cancel_a_write(half& h, task_group& g, std::span<std::byte const> next, std::size_t& done) {
    auto child = g.spawn(write_as_child(h, h.me.roll.next(), next, done));
    co_await sleep(h.me.roll.up_to(1ms));
    bool const asked = child.cancel();
    try {
        co_await std::move(child);
        h.all.count(tally_of::in_spite, asked ? 1 : 0);
    } catch (child_cancelled const&) {
        h.all.count(tally_of::cancelled);
    }
}

task<step> write_and_cancel(half& h, std::span<std::byte const> next) {
    std::size_t done = 0;
    waiting w(h.me, "a writing child that is to be cancelled");
    co_await with_task_group([&](task_group& g) { return cancel_a_write(h, g, next, done); });
    w.over();
    h.advance(done);
    co_return step::nothing;
}

task<step> write_somehow(half& h, std::span<std::byte const> next) {
    switch (h.me.roll.next() % 6) {
    case 0:
        return write_parts(h, next);
    case 1:
        return write_in_time(h, next);
    case 2:
        return write_and_cancel(h, next);
    default:
        return write_once(h, next);
    }
}

}  // namespace

task<> send_all(half& h) {
    while (h.done() < h.total) {
        std::uint64_t const most = h.me.roll.one_in(4) ? 16384 : 1500;
        memory next(std::min(h.total - h.done(), h.me.roll.between(1, most)));
        if (next.size() > 512 && h.me.roll.one_in(6)) {
            co_await fill_in_parallel(h, std::span(next));
        } else {
            h.bytes.fill(std::span(next), h.done());
        }
        if (co_await write_somehow(h, std::span<std::byte const>(next)) == step::broken) {
            co_return;
        }
        h.all.work.compute(h.me.roll);
        if (h.me.roll.one_in(10)) {
            waiting w(h.me, "a moment");
            co_await sleep(h.me.roll.up_to(1ms));
        }
    }
    (void)h.stream.shutdown(io::shutdown_side::send);
}

}  // namespace magpie::tests
