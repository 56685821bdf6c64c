# pgtide_embed(TARGET SYMBOL FILE): FILE becomes a part of TARGET, as two read-only objects.
#
#     extern const unsigned char SYMBOL[];     /* the bytes, then one NUL that is not counted */
#     extern const unsigned long SYMBOL_size;
#
# Declare them where they are used. Made again when FILE changes; FILE is relative to the folder of the caller.
# This file is its own generator: cmake -DPGTIDE_EMBED_IN=… -DPGTIDE_EMBED_OUT=… -DPGTIDE_EMBED_SYMBOL=… -P it.

function(pgtide_embed target symbol file)
    get_filename_component(source "${file}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
    set(output "${CMAKE_CURRENT_BINARY_DIR}/embed/${symbol}.c")
    set(script "${PROJECT_SOURCE_DIR}/cmake/PgtideEmbed.cmake")
    add_custom_command(OUTPUT "${output}"
        COMMAND "${CMAKE_COMMAND}" "-DPGTIDE_EMBED_IN=${source}" "-DPGTIDE_EMBED_OUT=${output}"
                "-DPGTIDE_EMBED_SYMBOL=${symbol}" -P "${script}"
        DEPENDS "${source}" "${script}"
        COMMENT "Embedding ${file}"
        VERBATIM)
    target_sources(${target} PRIVATE "${output}")
endfunction()

# Twelve bytes a line keeps compilers and editors quick.
function(pgtide_embed_generate)
    file(READ "${PGTIDE_EMBED_IN}" hex HEX)
    string(LENGTH "${hex}" digits)
    math(EXPR size "${digits} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n    " bytes "${bytes}")
    get_filename_component(name "${PGTIDE_EMBED_IN}" NAME)
    file(WRITE "${PGTIDE_EMBED_OUT}" "/* Made from ${name}; do not edit. */
extern const unsigned char ${PGTIDE_EMBED_SYMBOL}[];
extern const unsigned long ${PGTIDE_EMBED_SYMBOL}_size;
const unsigned char ${PGTIDE_EMBED_SYMBOL}[] = {
    ${bytes}0x00
};
const unsigned long ${PGTIDE_EMBED_SYMBOL}_size = ${size};
")
endfunction()

if(CMAKE_SCRIPT_MODE_FILE AND PGTIDE_EMBED_IN)
    pgtide_embed_generate()
endif()
