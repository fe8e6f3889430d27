// Answers in fewer bytes.
#ifndef MUSTER_DAEMON_WEB_GZIP_H_
#define MUSTER_DAEMON_WEB_GZIP_H_

#include <string>

namespace muster::web {

// `body` in gzip's format, at the level that takes the least time: a third of
// what the usual one takes for a chart's numbers, for a tenth more bytes. Empty
// if there is no memory for it.
std::string Gzip(const std::string& body);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_GZIP_H_
