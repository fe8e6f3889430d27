# Debian packages, by `cpack --config build/release/CPackConfig.cmake`: musterd,
# muster-cli, libmuster1, libmuster-dev, python3-muster. Installed files go under
# /usr, whatever the prefix of `cmake --install` is.
if(NOT EXISTS /etc/debian_version OR NOT MUSTER_BUILD_DAEMON OR NOT MUSTER_BUILD_GRPC)
  return()
endif()

set(debian ${CMAKE_SOURCE_DIR}/deploy/debian)
set(package_folder ${CMAKE_BINARY_DIR}/package)
file(MAKE_DIRECTORY ${package_folder})

# muster_package(COMPONENT NAME SECTION SUMMARY TEXT): one package of one component.
macro(muster_package component name section summary text)
  string(TOUPPER ${component} upper)
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${summary}\n${text}")
  set(control)
  foreach(script postinst prerm postrm conffiles triggers)
    if(EXISTS ${debian}/${name}.${script})
      configure_file(${debian}/${name}.${script} ${package_folder}/${name}/${script}
                     COPYONLY)
      list(APPEND control ${package_folder}/${name}/${script})
    endif()
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${control}")
  install(FILES ${debian}/copyright ${package_folder}/changelog.Debian.gz
          DESTINATION share/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()

# The same bytes each time: no name or time in the archive's header.
execute_process(COMMAND gzip -9nc ${debian}/changelog
                OUTPUT_FILE ${package_folder}/changelog.Debian.gz COMMAND_ERROR_IS_FATAL ANY)

set(CPACK_COMPONENTS_ALL)
muster_package(daemon musterd net "watches whether the ranks of training runs agree"
"In data-parallel training an all-reduce averages what the ranks computed, and
with it hides that one of them trains on wrong data or computes wrongly.
musterd takes what each rank says of its own loss and gradient before that,
compares them step by step, raises alerts and exports Prometheus metrics.")
muster_package(cli muster-cli utils "asks the Muster daemon, and judges stored runs again"
"The muster command: status, runs, ranks, steps and alerts of a running musterd,
a live view in the terminal, reports and exports, and what needs no daemon:
judging and comparing stored runs, and simulating new ones.")
muster_package(client libmuster1 libs "Muster's client, linked into each rank"
"Sketches local gradients as they are computed and streams one small report a
step to musterd. Never blocks training on the network.")
muster_package(devel libmuster-dev libdevel "Muster's client: headers and CMake package"
"The C ABI (muster/muster.h) and the C++ interface (muster/client.h).")
muster_package(python python3-muster python "Muster's client for Python and PyTorch"
"A thin package over libmuster.so: the monitor, the DDP communication hook, and
what watches samplers, replicas and local updates.")

install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/musterd.service
        DESTINATION /lib/systemd/system COMPONENT daemon EXCLUDE_FROM_ALL)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/musterd.yaml
        DESTINATION /etc/muster COMPONENT daemon EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR DEB)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
# Absolute destinations, /etc and /lib, go into the package too.
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_CONTACT "Muster maintainers <maintainers@muster.example>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# What the programs load, asked of them.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
# libssl is loaded at run time, behind tls:// addresses.
set(CPACK_DEBIAN_CLIENT_PACKAGE_RECOMMENDS libssl3)
set(CPACK_DEBIAN_DAEMON_PACKAGE_RECOMMENDS muster-cli)
set(same "(= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(CPACK_DEBIAN_DEVEL_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVEL_PACKAGE_DEPENDS "libmuster1 ${same}")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_PYTHON_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_PYTHON_PACKAGE_DEPENDS
  "libmuster1 (>= ${PROJECT_VERSION}), python3 (>= 3.9)")
set(CPACK_DEBIAN_PYTHON_PACKAGE_SUGGESTS python3-torch)
include(CPack)
