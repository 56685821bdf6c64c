# How a folder becomes a library, a program, a unit test or a fuzz target: one line each.

include(PgtideEmbed)

add_library(pgtide_options INTERFACE)
target_compile_features(pgtide_options INTERFACE c_std_17)
target_compile_definitions(pgtide_options INTERFACE _GNU_SOURCE PGTIDE_VERSION="${PROJECT_VERSION}")
target_include_directories(pgtide_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(pgtide_options INTERFACE
    -Wall -Wextra -Wpedantic -Werror -Wshadow -Wundef -Wvla -Wconversion -Wsign-conversion
    -Wdouble-promotion -Wcast-qual -Wcast-align -Wpointer-arith -Wwrite-strings -Wnull-dereference
    -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wredundant-decls
    -Wnested-externs -Wimplicit-fallthrough -Wswitch-enum -Wdate-time
    $<$<C_COMPILER_ID:GNU>:-Wlogical-op;-Wduplicated-cond;-Wduplicated-branches;-Wformat-signedness;-Wjump-misses-init>
    $<$<C_COMPILER_ID:Clang>:-Wcomma;-Wunreachable-code;-Wconditional-uninitialized;-Wmissing-variable-declarations>)
if(PGTIDE_SANITIZE)
    target_compile_options(pgtide_options INTERFACE
        -fsanitize=${PGTIDE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(pgtide_options INTERFACE -fsanitize=${PGTIDE_SANITIZE})
endif()
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# pgtide_library(NAME SOURCES ... DEPENDS ...): a static library of one folder.
function(pgtide_library name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PUBLIC pgtide_options ${ARG_DEPENDS})
endfunction()

# pgtide_program(NAME SOURCES ... DEPENDS ...): an executable in bin/.
function(pgtide_program name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE pgtide_options ${ARG_DEPENDS})
endfunction()

# pgtide_unit_test(PATH DEPENDS ... [SOURCES ...] [LABEL unit]): tests/unit/PATH_test.c, with SOURCES from tests/unit/,
# is one cmocka program and one CTest test. A unit test opens no port and never sleeps.
function(pgtide_unit_test path)
    if(NOT PGTIDE_TESTS)
        return()
    endif()
    cmake_parse_arguments(ARG "" "LABEL" "SOURCES;DEPENDS" ${ARGN})
    if(NOT ARG_LABEL)
        set(ARG_LABEL unit)
    endif()
    string(REPLACE "/" "_" name ${path})
    list(TRANSFORM ARG_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/tests/unit/")
    add_executable(unit_${name} "${PROJECT_SOURCE_DIR}/tests/unit/${path}_test.c" ${ARG_SOURCES})
    target_link_libraries(unit_${name} PRIVATE pgtide_options ${ARG_DEPENDS} PkgConfig::CMOCKA)
    target_compile_definitions(unit_${name} PRIVATE PGTIDE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    set_target_properties(unit_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/unit")
    add_test(NAME ${ARG_LABEL}.${name} COMMAND unit_${name} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(${ARG_LABEL}.${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT 120)
endfunction()

# pgtide_fuzz_target(STEM DEPENDS ...): tests/fuzz/fuzz_STEM.c with LLVMFuzzerTestOneInput becomes a
# replayer of tests/fuzz/corpus/STEM/ in every test build, and a libFuzzer program in the fuzz preset.
function(pgtide_fuzz_target stem)
    cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
    set(source "${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_${stem}.c")
    if(PGTIDE_FUZZ)
        add_executable(fuzz_${stem} ${source})
        target_link_libraries(fuzz_${stem} PRIVATE pgtide_options ${ARG_DEPENDS})
        target_link_options(fuzz_${stem} PRIVATE -fsanitize=fuzzer)
        set_target_properties(fuzz_${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
    elseif(PGTIDE_TESTS)
        add_executable(replay_${stem} ${source} "${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.c")
        target_link_libraries(replay_${stem} PRIVATE pgtide_options ${ARG_DEPENDS})
        set_target_properties(replay_${stem} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
        add_test(NAME fuzz-replay.${stem} COMMAND replay_${stem} "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${stem}")
        set_tests_properties(fuzz-replay.${stem} PROPERTIES LABELS fuzz-replay TIMEOUT 120)
    endif()
endfunction()
