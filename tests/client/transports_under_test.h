// The implementations that one test runs against.
#ifndef MUSTER_TESTS_CLIENT_TRANSPORTS_UNDER_TEST_H_
#define MUSTER_TESTS_CLIENT_TRANSPORTS_UNDER_TEST_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "client/src/address.h"
#include "client/src/transport.h"

namespace muster {

struct TransportUnderTest {
  std::string name;
  std::function<std::unique_ptr<Transport>(const Address&, const TlsFiles&)>
      make;
};

// All that this build has: transports_http2.cc or transports_all.cc is linked.
std::vector<TransportUnderTest> TransportsUnderTest();

}  // namespace muster

#endif  // MUSTER_TESTS_CLIENT_TRANSPORTS_UNDER_TEST_H_
