#include "client/src/http2_transport.h"
#include "tests/client/transports_under_test.h"

namespace muster {

std::vector<TransportUnderTest> TransportsUnderTest() {
  return {{"Http2", MakeHttp2Transport}};
}

}  // namespace muster
