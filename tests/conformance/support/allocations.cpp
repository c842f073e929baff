// The counting operator new of tests/runtime, for this test program too.
#include <runtime/support/allocations.cpp>
