# Every switch of the build. A plain configure gives what a packager wants: the library and the
# program, optimised, with no need for the test and benchmark frameworks. The presets turn the rest on.

option(MAGPIE_BUILD_TOOLS "Build the program magpie" ${PROJECT_IS_TOP_LEVEL})
option(MAGPIE_BUILD_TESTS "Build the tests (only when magpie is the top-level project)" OFF)
option(MAGPIE_BUILD_EXAMPLES "Build the examples (only when magpie is the top-level project)" OFF)
option(MAGPIE_BUILD_BENCHMARKS "Build the benchmarks (only when magpie is the top-level project)" OFF)
option(MAGPIE_INSTALL "Create the install rules" ${PROJECT_IS_TOP_LEVEL})
option(MAGPIE_ASSERTIONS "Check internal invariants at run time, whatever the build type" OFF)
option(MAGPIE_INJECT_YIELDS "Yield at random inside the lock-free parts, to widen their races" OFF)
option(MAGPIE_WARNINGS "Turn warnings on and treat them as errors" OFF)
option(MAGPIE_DEBUGGER_TYPES "Compile the few files with -g whose types gdb needs to show tasks" ON)
option(MAGPIE_CCACHE "Compile through ccache when it is installed" OFF)
set(MAGPIE_SANITIZE "" CACHE STRING "Sanitizers to build with: 'address;undefined' or 'thread'")
set(MAGPIE_TEST_TIMEOUT 120 CACHE STRING "Seconds that one entry of ctest may take")

if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Release, Debug, RelWithDebInfo or MinSizeRel" FORCE)
endif()

set(CMAKE_CXX_EXTENSIONS OFF)  # -std=c++23, not gnu++23, for everything below this folder
