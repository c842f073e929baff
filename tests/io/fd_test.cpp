#include <magpie/io/fd.hpp>

#include <doctest/doctest.h>

#include <utility>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

namespace {

using magpie::io::fd;

int some_descriptor() {
    int const opened = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    REQUIRE(opened >= 0);
    return opened;
}

bool is_open(int descriptor) {
    return ::fcntl(descriptor, F_GETFD) >= 0;
}

TEST_CASE("fd closes what it owns when it dies") {
    int const raw = some_descriptor();
    {
        fd const owner(raw);
        CHECK(owner);
        CHECK(owner.get() == raw);
    }
    CHECK(!is_open(raw));
}

TEST_CASE("an empty fd owns nothing") {
    fd const none;
    CHECK(!none);
    CHECK(none.get() == -1);
}

TEST_CASE("moving an fd moves the ownership, and closes what the target owned") {
    int const first = some_descriptor();
    int const second = some_descriptor();
    fd a(first);
    fd b(second);
    b = std::move(a);
    CHECK(!a);
    CHECK(b.get() == first);
    CHECK(!is_open(second));
    fd const c(std::move(b));
    CHECK(!b);
    CHECK(is_open(first));
}

TEST_CASE("an fd that is moved to itself keeps its descriptor") {
    int const raw = some_descriptor();
    fd owner(raw);
    fd& same = owner;
    owner = std::move(same);
    CHECK(owner.get() == raw);
    CHECK(is_open(raw));
}

TEST_CASE("release() gives up the ownership") {
    int const raw = some_descriptor();
    {
        fd owner(raw);
        CHECK(owner.release() == raw);
        CHECK(!owner);
    }
    CHECK(is_open(raw));
    ::close(raw);
}

TEST_CASE("reset() closes the old descriptor and keeps errno") {
    int const raw = some_descriptor();
    fd owner(raw);
    errno = EADDRINUSE;
    owner.reset();
    CHECK(errno == EADDRINUSE);
    CHECK(!is_open(raw));

    fd broken(1'000'000);  // close() fails
    errno = EADDRINUSE;
    broken.reset();
    CHECK(errno == EADDRINUSE);
}

}  // namespace
