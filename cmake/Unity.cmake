# Sources compiled together.
#
# What costs is not reading CLI11 and nlohmann/json (a precompiled header saves a tenth), but the code
# that each unit generates from them anew. bpfwarden_unity(TARGET COUNT [SOURCE...]) makes units of
# COUNT files; names in anonymous namespaces must differ within one. SOURCE are compiled alone: they
# set macros for a library's headers, name what others shadow, or cost as much as a unit.
#
# -D BPFWARDEN_UNITY=OFF compiles each file alone.
function(bpfwarden_unity target count)
  if(NOT BPFWARDEN_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE ${count})
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
