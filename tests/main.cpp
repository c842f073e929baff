// The main() of every test program. doctest counts a filter that matches nothing as success; here it
// is a failure, because ctest names test files by such filters and a renamed file must not pass unrun.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>

#if defined(__SANITIZE_THREAD__)
#define MAGPIE_TESTS_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAGPIE_TESTS_UNDER_TSAN 1
#endif
#endif

#if defined(MAGPIE_TESTS_UNDER_TSAN)
// An exception's reference count is in libstdc++, where ThreadSanitizer sees neither its atomics nor, so, that who frees
// the exception does it after everybody who looked at it. Matched by name, which takes a symboliser.
extern "C" char const* __tsan_default_suppressions();
extern "C" char const* __tsan_default_suppressions() {
    return "race:^std::__exception_ptr::exception_ptr::_M_release\n"
           "race:^std::runtime_error::~runtime_error\n"
           "race:^std::logic_error::~logic_error\n"
           "race:^magpie::describe\n";
}
#endif

namespace {

unsigned cases_run = 0;

struct case_counter : doctest::IReporter {
    explicit case_counter(doctest::ContextOptions const&) {}
    void report_query(doctest::QueryData const&) override { cases_run = 1; }
    void test_run_start() override {}
    void test_run_end(doctest::TestRunStats const& stats) override { cases_run = stats.numTestCasesPassingFilters; }
    void test_case_start(doctest::TestCaseData const&) override {}
    void test_case_reenter(doctest::TestCaseData const&) override {}
    void test_case_end(doctest::CurrentTestCaseStats const&) override {}
    void test_case_exception(doctest::TestCaseException const&) override {}
    void subcase_start(doctest::SubcaseSignature const&) override {}
    void subcase_end() override {}
    void log_assert(doctest::AssertData const&) override {}
    void log_message(doctest::MessageData const&) override {}
    void test_case_skipped(doctest::TestCaseData const&) override {}
};

DOCTEST_REGISTER_LISTENER("case_counter", 1, case_counter);

}  // namespace

int main(int argc, char** argv) {
    doctest::Context context(argc, argv);
    int const status = context.run();
    if (context.shouldExit()) return status;  // --help, --list-test-cases and their like
    if (status == 0 && cases_run == 0) {
        std::fputs("no test case matches the given filters\n", stderr);
        return 1;
    }
    return status;
}
