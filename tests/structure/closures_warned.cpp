// What g++ 12 is to warn about, and what not: see closure_warning_test.py. Compiled, never run.
#include <magpie/combinators/as_completed.hpp>
#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/batch_stream.hpp>
#include <magpie/combinators/gather.hpp>
#include <magpie/combinators/retry.hpp>
#include <magpie/combinators/task_group.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/combinators/to_thread.hpp>
#include <magpie/combinators/with_cleanup.hpp>
#include <magpie/io/serve.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using namespace magpie;
using namespace std::chrono_literals;

// clang-format off

task<int> number(int n) { co_return n; }
task<> handle(io::tcp_stream, std::string) { co_return; }
std::vector<task<int>> numbers();

task<> temporaries(std::string s, std::vector<int> in, io::tcp_listener& listener) {
    co_await with_timeout(1s, [s](timeout_scope&) { return number(1); });                                   // warns
    co_await with_timeout(std::optional<duration>(1s), [s](timeout_scope&) { return number(1); });          // warns
    co_await with_cleanup(number(1), [s] {});                                                               // warns
    co_await with_task_group([s](task_group&) {});                                                          // warns
    co_await with_task_group(task_group_options{.serial = true}, [s](task_group&) {});                      // warns
    co_await with_task_group([s](task_group&, int) {}, 1);                                                  // warns
    co_await with_task_group<int>([s](task_group_of<int>&) {});                                             // warns
    co_await with_task_group<int>(task_group_options{}, [s](task_group_of<int>&, int) {}, 1);               // warns
    co_await to_thread([s] { return 1; });                                                                  // warns
    co_await to_thread(abandon_on_cancel, [s] { return 1; });                                               // warns
    co_await batch(in, [s](int n) { return number(n); });                                                   // warns
    co_await batch(settled, in, [s](int n) { return number(n); }, {.limit = 2});                            // warns
    co_await batch_each(in, [s](int n) { return number(n); });                                              // warns
    co_await batch(in, number).retry_if([s](std::exception_ptr const&) { return true; });                   // warns
    co_await batch(in, number).on_progress([s](progress const&) {});                                        // warns
    co_await batch_stream(in, [s](int n) { return number(n); }, [](auto&) { return number(1); });           // warns
    co_await batch_stream(in, number, [s](auto&) { return number(1); });                                    // warns
    co_await batch_stream(batch_stream_options{}, in, number, [s](auto&) { return number(1); });            // warns
    co_await as_completed(numbers(), [s](auto&) { return number(1); });                                     // warns
    co_await as_completed(as_completed_options{}, numbers(), [s](auto&, int) { return number(1); }, 1);     // warns
    co_await as_completed(numbers(), [s](auto&, int) { return number(1); }, 1);                             // warns
    co_await retry({.attempts = 2}, [s] { return number(1); });                                             // warns
    co_await retry({.attempts = 2}, number, 1).retry_if([s](std::exception_ptr const&) { return true; });   // warns
    co_await gather(numbers(), {.limit = 2}).on_progress([s](progress const&) {});                          // warns
    co_await io::serve(listener, [s](io::tcp_stream t) { return handle(std::move(t), s); });                // warns
}

struct aggregate {
    int operator()() const { return static_cast<int>(text.size()); }
    std::string text;
};

task<> temporary_aggregate(std::string s) {
    co_await to_thread(aggregate{s});                                                                       // warns
    aggregate const named{s};
    co_await to_thread(named);
}

// A closure that cannot be copied is passed by reference.
task<> named(std::string s, std::vector<int> in, io::tcp_listener& listener) {
    auto timed = [s](timeout_scope&) { return number(1); };
    co_await with_timeout(1s, timed);
    auto cleanup = [s] {};
    co_await with_cleanup(number(1), cleanup);
    auto block = [s](task_group&) {};
    co_await with_task_group(block);
    co_await with_task_group(task_group_options{.serial = true}, block);
    auto block_with = [s](task_group&, int) {};
    co_await with_task_group(block_with, 1);
    auto block_of = [s](task_group_of<int>&) {};
    co_await with_task_group<int>(block_of);
    auto call = [s] { return 1; };
    co_await to_thread(call);
    co_await to_thread(abandon_on_cancel, call);
    auto each = [s](int n) { return number(n); };
    auto judge = [s](std::exception_ptr const&) { return true; };
    auto show = [s](progress const&) {};
    co_await batch(in, each).retry_if(judge).on_progress(show);
    co_await batch(settled, in, each, {.limit = 2});
    co_await batch_each(in, each);
    auto consume = [s](auto&) { return number(1); };
    co_await batch_stream(in, each, consume).retry_if(judge).on_progress(show);
    co_await batch_stream(batch_stream_options{}, in, each, consume);
    co_await as_completed(numbers(), consume);
    auto consume_with = [s](auto&, int) { return number(1); };
    co_await as_completed(as_completed_options{}, numbers(), consume_with, 1);
    co_await as_completed(numbers(), consume_with, 1);
    auto attempt = [s] { return number(1); };
    co_await retry({.attempts = 2}, attempt).retry_if(judge);
    co_await gather(numbers(), {.limit = 2}).on_progress(show);
    auto handler = [s](io::tcp_stream t) { return handle(std::move(t), s); };
    co_await io::serve(listener, handler);
}

task<> by_reference(std::vector<int> in, io::tcp_listener& listener) {
    auto const p = std::make_shared<int>(1);
    auto owner = [u = std::make_unique<int>(1)](auto&&...) { return number(*u); };
    co_await with_timeout(1s, std::ref(owner));
    co_await with_cleanup(number(1), std::ref(owner));
    co_await with_task_group(std::ref(owner));
    co_await to_thread(std::ref(owner));
    co_await batch(in, std::ref(owner));
    co_await batch_stream(in, std::ref(owner), std::ref(owner));
    co_await as_completed(numbers(), std::ref(owner));
    co_await retry({.attempts = 2}, std::ref(owner));
    co_await io::serve(listener, std::ref(owner));
}

struct functor {
    explicit functor(std::string of) : text(std::move(of)) {}
    int operator()() const { return static_cast<int>(text.size()); }
    std::string text;
};

task<> harmless(std::string s, std::vector<int> in) {
    co_await with_task_group([&](task_group&) { s.clear(); });
    co_await with_timeout(1s, [n = 1](timeout_scope&) { return number(n); });
    co_await to_thread(std::function<int()>());
    co_await to_thread(functor(s));
    co_await batch(in, number).on_progress([](progress const&) {});
}
