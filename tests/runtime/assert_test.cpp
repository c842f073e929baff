#include <magpie/runtime/detail/assert.hpp>

#include <doctest/doctest.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace {

TEST_CASE("MAGPIE_ASSERT: evaluates its condition once if on, not at all if off") {
    int evaluated = 0;
    MAGPIE_ASSERT(++evaluated == 1);
    CHECK(evaluated == (MAGPIE_ASSERTIONS ? 1 : 0));
}

TEST_CASE("MAGPIE_ASSERT: takes a condition with commas, and is one statement") {
    auto const first = [](std::array<int, 2> pair) { return pair[0]; };
    if (first({1, 0}) == 1)
        MAGPIE_ASSERT(first({1, 0}) == 1);
    else
        FAIL("the else belongs to the if");
}

TEST_CASE("assertion_failed: says condition and place on stderr, and aborts") {
    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    std::fflush(nullptr);  // or the child might print what is buffered a second time
    pid_t const child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        std::signal(SIGABRT, SIG_DFL);  // the test framework's handler would report a crash of the tests
        magpie::detail::assertion_failed("bottom <= top", "some_file.hpp", 42, "pop");
    }
    close(pipe_ends[1]);
    std::string said;
    std::array<char, 256> chunk;
    for (ssize_t n = 0; (n = read(pipe_ends[0], chunk.data(), chunk.size())) > 0;) {
        said.append(chunk.data(), static_cast<std::size_t>(n));
    }
    close(pipe_ends[0]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGABRT);
    CHECK(said.find("bottom <= top") != std::string::npos);
    CHECK(said.find("some_file.hpp:42") != std::string::npos);
}

}  // namespace
