# Makes one test of ctest out of each case of vm_tests. All cases run in one boot per kernel, by the
# fixture test; each listed test then looks its own result up. Run after vm_tests is linked:
#   cmake -D PROGRAM=… -D KERNELS=… -D OUTPUT=… -D LOOKUP=… -D RESULTS=… -P discover.cmake
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${PROGRAM} --list-tests --verbosity quiet OUTPUT_VARIABLE listed
                COMMAND_ERROR_IS_FATAL ANY)
# A case of one of these has its name, for ctest -R.
set(topics attach race keyring metrics replay rollout)
foreach(tag IN ITEMS differential ${topics})
  execute_process(COMMAND ${PROGRAM} --list-tests --verbosity quiet "[${tag}]"
                  OUTPUT_VARIABLE ${tag} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
foreach(cases IN ITEMS listed differential ${topics})
  string(REGEX REPLACE "\n+$" "" ${cases} "${${cases}}")
  string(REPLACE "\n" ";" ${cases} "${${cases}}")
endforeach()
set(script "")
foreach(kernel IN LISTS KERNELS)
  foreach(case IN LISTS listed)
    set(name "vm-${kernel}: ${case}")
    set(labels "vm")
    foreach(topic IN LISTS topics)
      if(case IN_LIST ${topic})
        set(name "vm-${kernel}: ${topic}: ${case}")
      endif()
    endforeach()
    if(case IN_LIST differential)
      set(labels "vm;differential")
    endif()
    string(APPEND script
           "add_test([==[${name}]==] ${LOOKUP} ${RESULTS}/${kernel}.xml [==[${case}]==])\n"
           "set_tests_properties([==[${name}]==] PROPERTIES LABELS \"${labels}\" FIXTURES_REQUIRED "
           "vm-${kernel} SKIP_RETURN_CODE 77)\n")
  endforeach()
endforeach()
file(WRITE ${OUTPUT} "${script}")
