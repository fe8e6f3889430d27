# Helpers shared by all folders.

# Warnings, standard and determinism for one of our targets.
function(muster_configure target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}
                                               ${CMAKE_SOURCE_DIR}/client/include)
  # Replaying a run must give the same bytes: no fused multiply-add.
  target_compile_options(${target} PRIVATE
    -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
    -Werror -ffp-contract=off)
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${target} PRIVATE -Wthread-safety)
  endif()
  if(MUSTER_TIDY)
    set_target_properties(${target} PROPERTIES CXX_CLANG_TIDY clang-tidy)
  endif()
endfunction()

# muster_library(NAME sources… [DEPS targets…]): a static library of one room.
function(muster_library name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  muster_configure(${name})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
endfunction()

# muster_test(NAME sources… [DEPS targets…] [LABELS labels…]): a GoogleTest
# binary, one CTest entry. Label "grpc" keeps it out of the TSan run.
function(muster_test name)
  cmake_parse_arguments(ARG "" "" "DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  muster_configure(${name})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS "unit;${ARG_LABELS}")
endfunction()
