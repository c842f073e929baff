#include <magpie/io/signals.hpp>

// How a signal reaches a task. The handler may run on any thread, at any time, so it only walks a fixed table of slots,
// one for each live stream, notes the signal in those that want it, and makes the slot's eventfd readable; next() is a
// read of that.
//
// A slot that is given up could be in use by a handler on another thread. So the handler counts itself in before it
// looks at the table, and who frees a slot first makes it wanted by none and then waits until no handler is inside. The
// two look at each other's word after writing their own, which takes sequentially consistent operations on both sides.

#include <magpie/io/fd.hpp>
#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/errors.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace magpie::detail {

// One stream. Empty while `event` owns nothing.
struct signal_slot {
    atomic<std::uint64_t> wanted{0};   // signal n is bit n - 1
    atomic<std::uint64_t> pending{0};  // came, and was not taken
    atomic<int> event{-1};             // eventfd
};

namespace {

constexpr std::size_t max_streams = 32;
constexpr int max_signal = 64;

struct signal_table {
    std::array<signal_slot, max_streams> slots;
    atomic<int> handlers_inside{0};
    // Under the mutex, which no handler takes:
    std::mutex mutex;
    std::array<unsigned, max_signal + 1> streams_for{};
    std::array<struct sigaction, max_signal + 1> before{};
};

signal_table* table_of_handler = nullptr;  // written once, before the first handler is installed

// Never destroyed: a signal may come while the process ends.
signal_table& table() {
    static signal_table* const only = table_of_handler = new signal_table;
    return *only;
}

constexpr std::uint64_t bit_of(int signal) noexcept {
    return std::uint64_t{1} << (signal - 1);
}

void make_readable(int event) noexcept {
    std::uint64_t const one = 1;
    (void)!::write(event, &one, sizeof one);  // fails only if the count is at its maximum: readable, then
}

void on_signal(int number) {
    int const saved = errno;
    signal_table& all = *table_of_handler;
    all.handlers_inside.fetch_add(1, mo_seq_cst);  // pairs with the store and load in wait_for_handlers()
    for (signal_slot& each : all.slots) {
        if ((each.wanted.load(mo_seq_cst) & bit_of(number)) != 0) {
            each.pending.fetch_or(bit_of(number), mo_release);  // pairs with the acquire in as_signal
            make_readable(each.event.load(mo_relaxed));
        }
    }
    all.handlers_inside.fetch_sub(1, mo_seq_cst);
    errno = saved;
}

void wait_for_handlers(signal_table& all) noexcept {
    while (all.handlers_inside.load(mo_seq_cst) != 0) {
        yield_thread();
    }
}

void check(std::initializer_list<int> signals) {
    for (int const each : signals) {
        bool const possible = each >= 1 && each <= max_signal && each != SIGKILL && each != SIGSTOP &&
                              each != SIGSEGV && each != SIGBUS && each != SIGFPE && each != SIGILL;
        if (!possible) {
            throw std::invalid_argument("signal " + std::to_string(each) + " cannot be waited for");
        }
    }
}

// Under the mutex.
void unhook(signal_table& all, std::uint64_t signals) noexcept {
    for (; signals != 0; signals &= signals - 1) {
        auto const number = static_cast<std::size_t>(std::countr_zero(signals) + 1);
        if (--all.streams_for[number] == 0) {
            ::sigaction(static_cast<int>(number), &all.before[number], nullptr);
        }
    }
}

void give_up(signal_table& all, signal_slot& slot, std::uint64_t hooked) noexcept {
    std::lock_guard const guard(all.mutex);
    unhook(all, hooked);
    slot.wanted.store(0, mo_seq_cst);
    wait_for_handlers(all);
    slot.pending.store(0, mo_relaxed);
    ::close(slot.event.exchange(-1, mo_relaxed));
}

// Under the mutex: installs the handler unless another stream has.
void hook(signal_table& all, int number) {
    auto const index = static_cast<std::size_t>(number);
    if (all.streams_for[index] == 0) {
        struct sigaction ours{};
        ours.sa_handler = &on_signal;
        ours.sa_flags = SA_RESTART;
        sigfillset(&ours.sa_mask);
        if (::sigaction(number, &ours, &all.before[index]) != 0) {
            throw std::system_error(errno, std::system_category(), "sigaction for signal " + std::to_string(number));
        }
    }
    ++all.streams_for[index];
}

signal_slot& free_slot(signal_table& all) {
    for (signal_slot& each : all.slots) {
        if (each.event.load(mo_relaxed) < 0) {
            return each;
        }
    }
    throw limit_exceeded("more than 32 signal streams");
}

}  // namespace
}  // namespace magpie::detail

namespace magpie::io {

using detail::signal_slot;

int as_signal::prepare(request& r) noexcept {
    r.fd = from_->event.load(detail::mo_relaxed);
    r.address = reinterpret_cast<std::uintptr_t>(&value_);
    r.length = sizeof value_;
    return 0;
}

// One read takes all there is, so what is left is put back.
result<int> as_signal::operator()(completed const& end) noexcept {
    if (end.result < 0) {
        return failure(-end.result);
    }
    std::uint64_t seen = from_->pending.load(detail::mo_acquire);  // pairs with the release in on_signal()
    while (seen != 0) {
        std::uint64_t const rest = seen & (seen - 1);
        if (from_->pending.compare_exchange_weak(seen, rest, detail::mo_acq_rel, detail::mo_acquire)) {
            if (rest != 0) {
                detail::make_readable(from_->event.load(detail::mo_relaxed));
            }
            return std::countr_zero(seen) + 1;
        }
    }
    return failure(EAGAIN);  // somebody else took it: next() waits again
}

signal_stream::signal_stream(std::initializer_list<int> signals) {
    detail::check(signals);
    detail::signal_table& all = detail::table();
    std::unique_lock guard(all.mutex);
    signal_slot& slot = detail::free_slot(all);
    int const event = ::eventfd(0, EFD_CLOEXEC);
    if (event < 0) {
        throw std::system_error(errno, std::system_category(), "eventfd, for a signal stream");
    }
    slot.event.store(event, detail::mo_relaxed);
    std::uint64_t hooked = 0;
    try {
        for (int const each : signals) {
            if ((hooked & detail::bit_of(each)) == 0) {
                detail::hook(all, each);
                hooked |= detail::bit_of(each);
            }
        }
    } catch (...) {
        guard.unlock();
        detail::give_up(all, slot, hooked);
        throw;
    }
    slot.wanted.store(hooked, detail::mo_seq_cst);
    slot_ = &slot;
}

// A handler sets its bit before it writes to the descriptor, so that a wait that ends for another signal may take the
// bit first: then the write finds nothing to tell, and the wait begins again.
task<result<int>> signal_stream::next() {
    for (;;) {
        result<int> const told = co_await op<as_signal>({.code = opcode::read}, as_signal(*slot_));
        if (told || told.error() != std::error_code(EAGAIN, std::system_category())) {
            co_return told;
        }
    }
}

signal_stream::~signal_stream() {
    if (slot_ != nullptr) {
        detail::give_up(detail::table(), *slot_, slot_->wanted.load(detail::mo_relaxed));
    }
}

}  // namespace magpie::io
