// Text that another program can read.
#ifndef MUSTER_CLIENT_SRC_UTF8_H_
#define MUSTER_CLIENT_SRC_UTF8_H_

#include <string_view>

namespace muster {

// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

}  // namespace muster

#endif  // MUSTER_CLIENT_SRC_UTF8_H_
