// The page for people, as it was built in. Its sources are in web/.
#ifndef MUSTER_DAEMON_PAGE_PAGE_H_
#define MUSTER_DAEMON_PAGE_PAGE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace muster::page {

// One file of HTML with its script and style inside. Points to constants.
struct Page {
  std::string_view gzip;  // the file, compressed
  size_t size = 0;        // of the file, bytes
  // Begins of SHA-256 of the file, hexadecimal: another page, another tag.
  std::string_view tag;
  // Content-Security-Policy: its own script and style, by their hashes, and
  // requests to where it came from; nothing else.
  std::string_view policy;
};

// Null if the program was built without it (-DMUSTER_WEB=OFF).
const Page* Embedded();

// The file itself. Empty if it cannot be decompressed, which is a bug.
std::string Html(const Page& page);

}  // namespace muster::page

#endif  // MUSTER_DAEMON_PAGE_PAGE_H_
