// The section `remote_write` of the configuration's table.
#ifndef MUSTER_DAEMON_CONFIG_REMOTE_WRITE_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_REMOTE_WRITE_FIELDS_H_

#include <string>
#include <vector>

#include "daemon/config_fields.h"

namespace muster {

void AppendRemoteWriteFields(std::vector<ConfigField>& fields);

// What is wrong with the section as a whole, empty if nothing is.
std::string ValidateRemoteWrite(const sinks::remote_write::Options& options);

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_REMOTE_WRITE_FIELDS_H_
