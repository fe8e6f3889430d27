// What the HTTP server answers, without HTTP: a path and its parameters in, a
// status and a body out.
#ifndef MUSTER_DAEMON_WEB_ROUTES_H_
#define MUSTER_DAEMON_WEB_ROUTES_H_

#include <string>
#include <utility>
#include <vector>

#include "daemon/web/parameters.h"
#include "daemon/web/source.h"

namespace muster::web {

struct Reply {
  int status = 200;
  std::string content_type;
  std::string body;
  // Beside those that every answer has.
  std::vector<std::pair<std::string, std::string>> headers = {};
};

// What matters of a request's headers; empty if not sent.
struct RequestHeaders {
  std::string accept_encoding;
  std::string if_none_match;
};

// Answers GET of `path`, both already percent-decoded. Unknown parameters and
// bad values are 400, unknown runs, steps and paths 404; the body is then
// {"error": "…"} and names the parameter and what is allowed.
Reply Answer(const Source& source, const std::string& path,
             const Parameters& parameters, const RequestHeaders& headers = {});

// {"error": "…"} with that status.
Reply ErrorReply(int status, const std::string& message);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_ROUTES_H_
