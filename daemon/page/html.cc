#include <zlib.h>

#include "daemon/page/page.h"

namespace muster::page {

std::string Html(const Page& page) {
  // As inflateInit2 wants it: the largest window, and a header of gzip.
  constexpr int kGzip = 15 + 16;
  std::string html(page.size, '\0');
  z_stream stream = {};
  stream.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(page.gzip.data()));
  stream.avail_in = static_cast<uInt>(page.gzip.size());
  stream.next_out = reinterpret_cast<Bytef*>(html.data());
  stream.avail_out = static_cast<uInt>(html.size());
  if (inflateInit2(&stream, kGzip) != Z_OK) return "";
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return result == Z_STREAM_END && stream.avail_out == 0 ? html : "";
}

}  // namespace muster::page
