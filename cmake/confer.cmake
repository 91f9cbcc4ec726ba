# The warning set and the three shapes of target that every folder uses.

set(CONFER_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wold-style-definition -Wformat=2 -Wundef -Wcast-qual -Wcast-align
    -Wpointer-arith -Wwrite-strings -Wswitch-enum -Wimplicit-fallthrough -Wvla
    -Wnull-dereference -Wdouble-promotion)
if(CONFER_WERROR)
  list(APPEND CONFER_WARNINGS -Werror)
endif()

# A release is optimized across its units when a program is linked (docs/PERFORMANCE.md tells the gain). The
# libraries have their ordinary code too, for what is not worth the seconds that such a link takes.
set(CONFER_LTO OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  set(CONFER_LTO ON)
endif()

function(confer_options target)
  target_compile_options(${target} PRIVATE ${CONFER_WARNINGS} -fno-strict-aliasing
                                           -fvisibility=hidden -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE CONFER_VERSION="${PROJECT_VERSION}")
  if(CONFER_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${CONFER_SANITIZE} -fno-omit-frame-pointer
                                             -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${CONFER_SANITIZE})
  endif()
  if(CONFER_MARKS)
    target_compile_definitions(${target} PRIVATE CONFER_MARKS)
  endif()
  if(CONFER_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# confer_library(NAME LINK a b ...): a static library of this folder's sources. Position
# independent, because libconfer.so takes in proto and base.
function(confer_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  add_library(${name} STATIC ${sources})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON LINKER_LANGUAGE C)
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  confer_options(${name})
  if(CONFER_LTO)
    target_compile_options(${name} PRIVATE -flto=auto -ffat-lto-objects)
  endif()
endfunction()

# confer_program(NAME [WHOLE] SOURCES a.c ... LINK a b ...). WHOLE: a release of it is optimized when it is linked.
function(confer_program name)
  cmake_parse_arguments(ARG "WHOLE" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  confer_options(${name})
  if(CONFER_LTO AND ARG_WHOLE)
    target_compile_options(${name} PRIVATE -flto=auto)
    target_link_options(${name} PRIVATE -flto=auto)
  elseif(CONFER_LTO)
    target_link_options(${name} PRIVATE -fno-lto)
  endif()
endfunction()

# confer_unit_tests(FOLDER LINK a b ...): one program and one CTest for each test_*.c here.
function(confer_unit_tests folder)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS test_*.c)
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    confer_program(${name} SOURCES ${source} LINK test_support ${ARG_LINK})
    add_test(NAME unit/${folder}/${name} COMMAND ${name})
    set_tests_properties(unit/${folder}/${name} PROPERTIES TIMEOUT 300 LABELS unit FIXTURES_SETUP marks
      ENVIRONMENT_MODIFICATION TEST_MARKS=set:${CONFER_MARKS_FOLDER}/unit_${folder}_${name})
  endforeach()
endfunction()
