// Sections tls and auth of the configuration.
#ifndef MUSTER_DAEMON_CONFIG_IDENTITY_FIELDS_H_
#define MUSTER_DAEMON_CONFIG_IDENTITY_FIELDS_H_

#include <string>
#include <vector>

#include "daemon/config_fields.h"

namespace muster {

void AppendIdentityFields(std::vector<ConfigField>& fields);

// What contradicts each other in them, in one line; empty if nothing does.
std::string ValidateIdentity(const identity::Options& options);

}  // namespace muster

#endif  // MUSTER_DAEMON_CONFIG_IDENTITY_FIELDS_H_
