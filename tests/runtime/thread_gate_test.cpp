#include <magpie/runtime/detail/thread_gate.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include <runtime/support/kit.hpp>

namespace {

using namespace magpie;

TEST_CASE("thread_gate: a thread passes once the gate was opened, before or while it waits") {
    detail::thread_gate early;
    early.open();
    early.pass();
    for (unsigned i = 0; i < tests::rounds(2000); ++i) {
        std::atomic<detail::thread_gate*> shared{nullptr};
        std::thread opener([&] {
            tests::until([&] { return shared.load() != nullptr; });
            shared.load()->open();
        });
        {
            detail::thread_gate gate;
            shared.store(&gate);
            gate.pass();
        }
        opener.join();
    }
}

} // namespace
