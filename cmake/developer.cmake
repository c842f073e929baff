# Flags for those who work on magpie. They hang on one interface target, which the library and every
# test, example and benchmark links; with the switches off it is empty, and it is never exported.

add_library(magpie_developer INTERFACE)

if(MAGPIE_WARNINGS)
  target_compile_options(magpie_developer INTERFACE -Wall -Wextra -Wpedantic -Werror
    "$<$<CXX_COMPILER_ID:Clang>:-Wshadow;-Wconversion>"
    # g++ counts a constructor's parameter named like a member function as shadowing. It takes a promise's own
    # operator new and delete for a mismatch once they are inlined (its bug 109224), and sees overlapping and
    # overlong copies in sums of strings (105651) and unset members in unions that keep their own tag.
    "$<$<CXX_COMPILER_ID:GNU>:-Wshadow=local;-Wno-mismatched-new-delete;-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-maybe-uninitialized>")
endif()

if(MAGPIE_SANITIZE)
  list(JOIN MAGPIE_SANITIZE "," sanitizers)
  target_compile_options(magpie_developer INTERFACE
    -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(magpie_developer INTERFACE -fsanitize=${sanitizers})
  # Under a sanitizer g++ stops turning symmetric transfers into jumps unless its instrumentation
  # leaves the function's exit alone.
  if("address" IN_LIST MAGPIE_SANITIZE)
    target_compile_options(magpie_developer INTERFACE "$<$<CXX_COMPILER_ID:GNU>:--param=asan-stack=0>")
  endif()
  if("thread" IN_LIST MAGPIE_SANITIZE)
    target_compile_options(magpie_developer INTERFACE
      "$<$<CXX_COMPILER_ID:GNU>:--param=tsan-instrument-func-entry-exit=0>")
  endif()
endif()

if(MAGPIE_INJECT_YIELDS)
  target_compile_definitions(magpie_developer INTERFACE MAGPIE_INJECT_YIELDS=1)
endif()

if(MAGPIE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(MAGPIE_CCACHE_PROGRAM ccache)
  mark_as_advanced(MAGPIE_CCACHE_PROGRAM)
  if(MAGPIE_CCACHE_PROGRAM)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${MAGPIE_CCACHE_PROGRAM}")
  endif()
endif()
