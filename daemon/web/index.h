// What `/` answers: the page, or a plain list of links without it.
#ifndef MUSTER_DAEMON_WEB_INDEX_H_
#define MUSTER_DAEMON_WEB_INDEX_H_

#include "daemon/page/page.h"
#include "daemon/web/routes.h"

namespace muster::web {

// `page` may be null. With a tag of the client's that is still right, 304.
Reply AnswerIndex(const page::Page* page, const RequestHeaders& headers);

// Whether an Accept-Encoding allows gzip (RFC 9110, 12.5.3); a weight of 0
// forbids it.
bool AcceptsGzip(const std::string& accept_encoding);

}  // namespace muster::web

#endif  // MUSTER_DAEMON_WEB_INDEX_H_
