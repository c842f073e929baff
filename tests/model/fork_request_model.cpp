// A thief that wants forks, and an owner that must not miss it while it puts off its next look. The code under test is the
// library's own; what the owner does between is a copy of worker::look_is_due(), look_around() and share_forks().

#include "model.hpp"

#include <magpie/runtime/scheduler/fork_request.hpp>

namespace {

using namespace magpie::detail;
namespace model = magpie::model;

constexpr std::uint64_t beat = 1;
constexpr std::uint64_t later = 61;

struct little_owner {
    void launches() {
        has_forks = true;
        answers();
    }
    void resumes() {
        if (request.is_due(beat)) {
            request.due_at(later);
            answers();
        }
    }
    void answers() {
        if (has_forks && request.is_wanted()) {
            request.answered();
            answered = true;
        }
    }
    // Who has asked is answered, or will be at the owner's next resumption.
    void judge() {
        resumes();
        MAGPIE_ASSERT(answered);
    }

    fork_request request;
    bool has_forks = false;
    bool answered = false;
};

struct asked_while_looking : rl::test_suite<asked_while_looking, 2>, little_owner {
    static constexpr char const* name = "fork_request: a wish while the owner looks around";
    void before() {
        has_forks = true;
        request.due_at(beat);
    }
    void thread(unsigned index) {
        if (index == 0) {
            resumes();
            resumes();
        } else {
            request.ask();
        }
    }
    void after() { judge(); }
};

struct asked_before_there_are_any : rl::test_suite<asked_before_there_are_any, 2>, little_owner {
    static constexpr char const* name = "fork_request: a wish before there are forks";
    void thread(unsigned index) {
        if (index == 0) {
            resumes();
            launches();
        } else {
            request.ask();
        }
    }
    void after() { judge(); }
};

struct two_ask : rl::test_suite<two_ask, 3>, little_owner {
    static constexpr char const* name = "fork_request: two wish at once";
    void thread(unsigned index) {
        if (index == 0) {
            resumes();
            launches();
            resumes();
        } else {
            request.ask();
        }
    }
    void after() { judge(); }
};

}  // namespace

int main() {
    return model::check<asked_while_looking, asked_before_there_are_any, two_ask>(20'000);
}
