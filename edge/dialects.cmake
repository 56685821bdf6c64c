# Tests and fuzz targets of the hub, the row encoder and the dialects; included by edge/CMakeLists.txt.
# The fakes are objects, not a library: they must win against the real links and connections.
if(PGTIDE_TESTS OR PGTIDE_FUZZ)
    add_library(edge_hub_fakes OBJECT "${PROJECT_SOURCE_DIR}/tests/unit/edge/hub_fakes.c")
    target_link_libraries(edge_hub_fakes PUBLIC pgtide_options pgtide_proto pgtide_runtime_core)
    target_include_directories(edge_hub_fakes PUBLIC "${PROJECT_SOURCE_DIR}/tests/unit/edge")
endif()

foreach(stem json_out pg_text row_json)
    pgtide_unit_test(edge/${stem} DEPENDS pgtide_edge_lib)
endforeach()
pgtide_unit_test(edge/fluxbase DEPENDS edge_hub_fakes pgtide_edge_lib)
foreach(stem hub hub_resume)
    pgtide_unit_test(edge/${stem} DEPENDS edge_hub_fakes pgtide_edge_lib)
    if(PGTIDE_TESTS)
        target_sources(unit_edge_${stem} PRIVATE "${PROJECT_SOURCE_DIR}/tests/unit/edge/hub_fixture.c")
    endif()
endforeach()

foreach(stem row_json fluxbase_in)
    pgtide_fuzz_target(${stem} DEPENDS pgtide_edge_lib)
endforeach()
pgtide_fuzz_target(deliver DEPENDS edge_hub_fakes pgtide_edge_lib)
