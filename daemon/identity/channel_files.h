// What a program of ours shows to a daemon, and whom it trusts.
#ifndef MUSTER_DAEMON_IDENTITY_CHANNEL_FILES_H_
#define MUSTER_DAEMON_IDENTITY_CHANNEL_FILES_H_

#include <string>

namespace muster::identity {

// Paths of files, PEM but for the token; empty: none.
struct ChannelFiles {
  std::string ca;           // whom to trust; none: the system's authorities
  std::string certificate;  // our own chain
  std::string key;          // of that certificate
  std::string token;        // the token and nothing else
};

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_CHANNEL_FILES_H_
