#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/select.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/io/buffer.hpp>
#include <magpie/io/op.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/spawn.hpp>
#include <magpie/runtime/this_task.hpp>

#include <fmt/format.h>

#include <chrono>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <soak/stalls/session.hpp>
#include <sys/socket.h>

namespace magpie::tests {

using namespace std::chrono_literals;

namespace {

std::string name_of(half const& h) {
    return fmt::format("session {}, {} of {} bytes", h.session, h.done(), h.total);
}

void check(world& w, byte_pattern const& bytes, std::span<std::byte const> got, std::uint64_t offset) {
    if (auto const wrong = bytes.first_wrong(got, offset)) {
        w.watch.fail(
            fmt::format("byte {} of a stream is wrong ({} received from {} on)", offset + *wrong, got.size(), offset));
    }
}

// The bytes are the next ones of the stream.
step took(half& h, std::span<std::byte const> got) {
    if (got.empty()) {
        if (h.done() != h.total && !h.may_break) {
            h.all.watch.fail("the end of a stream came too early: " + name_of(h));
        }
        return step::ended;
    }
    if (h.done() + got.size() > h.total) {
        h.all.watch.fail("more came than was sent: " + name_of(h));
    }
    check(h.all, h.bytes, got, h.done());
    h.advance(got.size());
    h.all.count(tally_of::bytes, got.size());
    return step::moved;
}

step took(half& h, io::result<std::size_t> const& got, std::vector<std::byte> const& buffer) {
    return got ? took(h, std::span(buffer).first(*got)) : judge(h, got.error());
}

std::vector<std::byte> own_memory(dice& roll) {
    return std::vector<std::byte>(roll.between(1, roll.one_in(4) ? 16384 : 700));
}

task<step> read_own(half& h, actor& who) {
    h.all.count(tally_of::into_own);
    auto buffer = own_memory(who.roll);
    waiting w(who, "bytes, into own memory");
    auto const got = co_await h.stream.read(std::span(buffer));
    w.over();
    co_return took(h, got, buffer);
}

// As a task of its own, with choices of its own: the parent makes others meanwhile. The bytes that it was given are in the stream's account before it can be interrupted again.
task<step> read_as_child(half& h, std::uint64_t seed) {
    actor who(h.all.watch, "reading child", h.all.number(), seed);
    h.all.work.compute(who.roll);
    step const s = co_await read_own(h, who);
    h.all.work.compute(who.roll);
    co_return s;
}

task<> hold_and_check(world& w, io::buffer held, byte_pattern bytes, std::uint64_t offset) {
    {
        actor who(w.watch, "holder of a buffer", w.number(), mixed(offset));
        waiting wait(who, "a moment");
        co_await sleep(who.roll.up_to(2ms));
        wait.over();
        w.work.compute(who.roll);
        check(w, bytes, held.bytes(), offset);
        held.reset();
    }
    w.detached.fetch_sub(1);
}

task<step> read_borrowed(half& h) {
    h.all.count(tally_of::borrowed);
    waiting w(h.me, "bytes, into a borrowed buffer");
    auto got = co_await h.stream.read();
    w.over();
    if (!got) {
        co_return judge(h, got.error());
    }
    std::uint64_t const offset = h.done();
    step const s = took(h, got->bytes());
    if (s == step::moved && h.me.roll.one_in(8)) {
        h.all.count(tally_of::handed_on);
        h.all.detached.fetch_add(1);
        spawn_detached(hold_and_check(h.all, std::move(*got), h.bytes, offset));
    } else if (h.me.roll.one_in(8)) {
        h.all.work.compute(h.me.roll);
        waiting hold(h.me, "a turn, holding a buffer");
        co_await this_task::yield();
        hold.over();
        check(h.all, h.bytes, got->bytes(), offset);
    }
    co_return s;
}

task<step> read_in_time(half& h) {
    auto buffer = own_memory(h.me.roll);
    try {
        waiting w(h.me, "bytes, in time");
        auto const got = co_await timeout(h.me.roll.up_to(1ms), h.stream.read(std::span(buffer)));
        w.over();
        co_return took(h, got, buffer);
    } catch (timeout_error const&) {}
    h.all.count(tally_of::timed_out);
    co_return step::nothing;
}

task<step> borrow_in_time(half& h) {
    try {
        waiting w(h.me, "bytes, in time, into a borrowed buffer");
        auto const got = co_await timeout(h.me.roll.up_to(1ms), h.stream.read());
        w.over();
        co_return got ? took(h, got->bytes()) : judge(h, got.error());
    } catch (timeout_error const&) {}
    h.all.count(tally_of::timed_out);
    co_return step::nothing;
}

task<step> read_with_limit(half& h) {
    bool const borrow = h.me.roll.one_in(2);
    io::request what{.code = io::opcode::recv, .fd = h.stream.descriptor()};
    duration const limit = 1us + h.me.roll.up_to(2ms);
    waiting w(h.me, borrow ? "bytes or a limit, borrowing" : "bytes or a limit");
    if (borrow) {
        what.entry_flags = io::entry_buffer_select;
        auto const got = co_await io::timed_op<io::as_buffer>(what, limit);
        w.over();
        co_return got ? took(h, got->bytes()) : judge(h, got.error());
    }
    std::byte bytes[512];
    what.address = reinterpret_cast<std::uintptr_t>(bytes);
    what.length = sizeof bytes;
    auto const got = co_await io::timed_op(what, limit);
    w.over();
    co_return got ? took(h, std::span(bytes).first(*got)) : judge(h, got.error());
}

// In a group: the child must have ended before this frame does, whoever is cancelled.
task<> cancel_a_read(half& h, task_group& g, step& s) {
    auto child = g.spawn(read_as_child(h, h.me.roll.next()));
    if (h.me.roll.one_in(2)) {
        co_await this_task::yield();
    } else {
        co_await sleep(h.me.roll.up_to(1ms));
    }
    bool const asked = child.cancel();
    try {
        s = co_await std::move(child);
        h.all.count(tally_of::in_spite, asked ? 1 : 0);
    } catch (child_cancelled const&) {
        h.all.count(tally_of::cancelled);
    }
}

task<step> read_and_cancel(half& h) {
    step s = step::nothing;
    waiting w(h.me, "a child that is to be cancelled");
    co_await with_task_group([&](task_group& g) { return cancel_a_read(h, g, s); });
    w.over();
    co_return s;
}

task<int> pause(duration time) {
    co_await sleep(time);
    co_return 0;
}

task<step> read_or_pause(half& h) {
    waiting w(h.me, "bytes or a pause");
    auto first = co_await select(read_as_child(h, h.me.roll.next()), pause(h.me.roll.up_to(1ms)));
    w.over();
    if (first.index == 0) {
        co_return std::get<0>(first.value);
    }
    h.all.count(tally_of::lost_race);
    co_return first.template late<0>().value_or(step::nothing);
}

task<int> compute_aside(half& h, std::uint64_t seed) {
    actor who(h.all.watch, "computing child", h.all.number(), seed);
    h.all.work.compute(who.roll);
    if (who.roll.one_in(3)) {
        waiting w(who, "a turn");
        co_await this_task::yield();
    }
    co_return 1;
}

task<step> read_beside_others(half& h) {
    h.all.count(tally_of::forked);
    waiting w(h.me, "a gather with a read in it");
    auto const [one, s, two] = co_await gather(compute_aside(h, h.me.roll.next()), read_as_child(h, h.me.roll.next()),
                                               compute_aside(h, h.me.roll.next()));
    w.over();
    if (one + two != 2) {
        h.all.watch.fail("a gather gave other values than its children");
    }
    co_return s;
}

task<step> read_when_ready(half& h) {
    io::request const what{.code = io::opcode::poll_add, .fd = h.stream.descriptor(), .flags = POLLIN};
    waiting w(h.me, "a descriptor to be readable");
    auto const ready = co_await io::op(what);
    w.over();
    if (!ready) {
        co_return judge(h, ready.error());
    }
    h.all.work.compute(h.me.roll);
    co_return co_await read_own(h, h.me);
}

task<step> read_somehow(half& h) {
    switch (h.me.roll.next() % 12) {
    case 0:
        return read_in_time(h);
    case 1:
        return borrow_in_time(h);
    case 2:
        return read_with_limit(h);
    case 3:
        return read_and_cancel(h);
    case 4:
        return read_or_pause(h);
    case 5:
        return read_beside_others(h);
    case 6:
        return read_when_ready(h);
    case 7:
    case 8:
        return read_own(h, h.me);
    default:
        return read_borrowed(h);
    }
}

}  // namespace

step judge(half& h, std::error_code error) {
    if (error == std::errc::timed_out) {
        h.all.count(tally_of::past_limit);
        return step::nothing;
    }
    bool const is_cut = error == std::errc::connection_reset || error == std::errc::broken_pipe;
    if (!h.may_break || !is_cut) {
        h.all.watch.fail("an operation failed: " + error.message() + "; " + name_of(h));
    }
    return step::broken;
}

task<> receive_all(half& h) {
    for (;;) {
        step const s = co_await read_somehow(h);
        if (s == step::ended || s == step::broken) {
            co_return;
        }
        h.all.work.compute(h.me.roll);
    }
}

}  // namespace magpie::tests
