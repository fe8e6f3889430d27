// Who may read what over HTTP.
#ifndef MUSTER_DAEMON_WEB_FRONT_DOOR_H_
#define MUSTER_DAEMON_WEB_FRONT_DOOR_H_

#include <string>
#include <string_view>
#include <vector>

#include "daemon/identity/gate.h"
#include "daemon/web/routes.h"
#include "daemon/web/source.h"

namespace muster::web {

// `source` with those runs alone that the caller may see. Borrows `gate`.
Source ShownTo(const identity::Gate& gate, identity::Caller caller,
               identity::Verb verb, Source source);

// What a request shows of its sender; empty where it shows nothing.
struct Visitor {
  std::vector<std::string> certificate_names;
  std::string authorization;  // the header
  std::string address;        // for the log
};

// Answer() to one who may ask it. Health is for everybody; else 401 for those
// who have not said who they are, 403 for those who may not ask this at all,
// and runs that they may not see do not exist.
Reply AnswerAtDoor(identity::Gate& gate, const Visitor& visitor,
                   const Source& source, const std::string& path,
                   const Parameters& parameters, const RequestHeaders& headers);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_FRONT_DOOR_H_
