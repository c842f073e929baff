// What gdb_test.py looks at: tasks that wait in known places. A comment `at: name` names a line for the test.

#include <magpie/magpie.hpp>

#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <ranges>
#include <utility>
#include <vector>

namespace {

using magpie::task;
using namespace std::chrono_literals;

magpie::event never;
magpie::semaphore no_permits{0};
std::atomic<bool> spinning{false};

task<int> sleeps(int hours) {
    co_await magpie::sleep(std::chrono::hours(hours));  // at: sleeps
    co_return hours;
}

task<int> calls_sleeps(int n) {
    int const twice = 2 * n;
    co_await magpie::this_task::yield();
    int const slept = co_await sleeps(n);  // at: calls_sleeps
    co_return slept + twice;
}

task<int> waits_for_event() {
    co_await never.wait();  // at: waits_for_event
    co_return 0;
}

task<> gathers() {
    auto const [a, b] = co_await magpie::gather(calls_sleeps(1), waits_for_event());  // at: gathers
    std::printf("%d\n", a + b);
}

task<> calls_gathers() {
    co_await gathers();  // at: calls_gathers
}

task<> gathers_many() {
    std::vector<task<int>> all;
    for (int i = 0; i < 300; ++i) {
        all.push_back(sleeps(2));
    }
    co_await magpie::gather(std::move(all));  // at: gathers_many
}

task<> selects() {
    auto const first = co_await magpie::select(sleeps(3), waits_for_event());  // at: selects
    std::printf("%d\n", static_cast<int>(first.index));
}

task<> shields() {
    co_await magpie::shielded(sleeps(4));  // at: shields
}

task<> gets(magpie::queue<int>& from) {
    std::printf("%d\n", co_await from.get());  // at: gets
}

task<> acquires() {
    auto const permit = co_await no_permits.acquire();  // at: acquires
}

task<> reads(int number) {
    magpie::io::tcp_stream socket{magpie::io::fd(number)};
    std::byte buffer[16];
    auto const count = co_await socket.read(buffer);  // at: reads
    std::printf("%d\n", static_cast<int>(count.has_value()));
}

task<> joins(magpie::join_handle<> other) {
    co_await std::move(other);  // at: joins
}

task<> batches() {
    auto const inputs = std::views::iota(0, 1000);
    co_await magpie::batch(inputs, [](int) { return sleeps(5); }, {.limit = 7});  // at: batches
}

task<> never_begins() {
    co_return;
}

task<> spins() {
    co_await magpie::this_task::yield();
    auto const behind = magpie::spawn(never_begins(), {.name = "behind", .pinned = true});
    spinning = true;
    spinning.notify_one();
    while (spinning) {  // at: spins
    }
    behind.cancel();
}

task<> owns_a_group() {
    co_await magpie::with_task_group([](magpie::task_group& group) {  // at: owns_a_group
        group.spawn(sleeps(6), {.name = "in the group"});
        group.spawn(waits_for_event());
    });
}

template <class T>
task<T> generic(T value) {
    co_await never.wait();  // at: generic
    co_return value;
}

task<> main_task(int socket) {
    magpie::queue<int> numbers(4);
    std::vector<magpie::handle_ref> all;
    auto gathering = magpie::spawn(calls_gathers(), {.name = "gathering"});
    auto joining = magpie::spawn(joins(std::move(gathering)), {.name = "joining"});
    auto many = magpie::spawn(gathers_many(), {.name = "many"});
    auto selecting = magpie::spawn(selects(), {.name = "selecting"});
    auto shielding = magpie::spawn(shields(), {.name = "shielding"});
    auto getting = magpie::spawn({.name = "getting"}, gets, std::ref(numbers));
    auto acquiring = magpie::spawn(acquires(), {.name = "acquiring"});
    auto reading = magpie::spawn(reads(socket), {.name = "reading"});
    auto batching = magpie::spawn(batches(), {.name = "batching"});
    auto grouping = magpie::spawn(owns_a_group(), {.name = "grouping"});
    auto generics = magpie::spawn(generic(std::vector<int>{1, 2}), {.name = "generic"});
    auto spinner = magpie::spawn(spins(), {.name = "spinner"});
    std::vector<magpie::join_handle<int>> alike;
    for (int i = 0; i < 250; ++i) {
        alike.push_back(magpie::spawn(waits_for_event()));
    }
    co_await magpie::sleep(100ms);  // not needed; it saves the test an attempt
    shielding.cancel();
    co_await never.wait();  // at: main_task
}

}  // namespace

int main() {
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) {
        return 1;
    }
    magpie::config settings;
    settings.workers = 2;
    magpie::config second;
    second.workers = 1;
    second.name = "second";
    magpie::runtime one{settings};
    magpie::runtime other{second};
    auto const elsewhere = other.spawn(waits_for_event(), {.name = "elsewhere"});
    auto const main_handle = one.spawn(main_task(sockets[0]), {.name = "the first"});
    spinning.wait(false);
    std::puts("ready");
    std::fflush(stdout);
    main_handle.blocking_wait();
}
