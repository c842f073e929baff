# Installs the library, its headers, the CMake package, the pkg-config file and the program.

include(CMakePackageConfigHelpers)
set(magpie_cmake_dir "${CMAKE_INSTALL_LIBDIR}/cmake/magpie")

install(TARGETS magpie magpie_liburing EXPORT magpie_targets FILE_SET HEADERS)
install(EXPORT magpie_targets
  FILE magpieTargets.cmake NAMESPACE magpie:: DESTINATION "${magpie_cmake_dir}")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/magpieConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/magpieConfig.cmake" INSTALL_DESTINATION "${magpie_cmake_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/magpieConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/magpieConfig.cmake" "${PROJECT_BINARY_DIR}/magpieConfigVersion.cmake"
  DESTINATION "${magpie_cmake_dir}")

# An archive has to name at the consumer's link what a shared object already carries in itself.
set(magpie_pc_requires "Requires.private")
if(NOT BUILD_SHARED_LIBS)
  set(magpie_pc_requires "Requires")
endif()
# Relative to itself, so that it is true wherever `cmake --install --prefix` puts it; a folder that was given as an
# absolute path stays where it is.
set(magpie_pc_prefix "${CMAKE_INSTALL_PREFIX}")
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  file(RELATIVE_PATH magpie_pc_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
  string(REGEX REPLACE "/$" "" magpie_pc_prefix "\${pcfiledir}/${magpie_pc_prefix}")
endif()
foreach(dir libdir includedir)
  string(TOUPPER "CMAKE_INSTALL_${dir}" variable)
  set(magpie_pc_${dir} "${${variable}}")
  if(NOT IS_ABSOLUTE "${${variable}}")
    set(magpie_pc_${dir} "\${prefix}/${${variable}}")
  endif()
endforeach()
configure_file("${PROJECT_SOURCE_DIR}/cmake/magpie.pc.in" "${PROJECT_BINARY_DIR}/magpie.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/magpie.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

if(TARGET magpie_program)
  install(TARGETS magpie_program)
endif()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# The tasks of a process or a core file, in gdb. Beside a shared library gdb finds it by itself.
install(FILES "${PROJECT_SOURCE_DIR}/tools/gdb/magpie_gdb.py" DESTINATION "${CMAKE_INSTALL_DATADIR}/magpie/gdb")
if(BUILD_SHARED_LIBS)
  install(FILES "${PROJECT_SOURCE_DIR}/tools/gdb/magpie_gdb.py"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/gdb/auto-load${CMAKE_INSTALL_FULL_LIBDIR}"
    RENAME "libmagpie.so.${PROJECT_VERSION}-gdb.py")
endif()
