#include "daemon/listen/acceptor.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>
#include <utility>
#include <vector>

#include "daemon/base/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace muster::listen {
namespace {

// Connects, and reads until the other end closes or says something.
File Connect(int port) {
  File file(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  EXPECT_EQ(::connect(file.get(), reinterpret_cast<const sockaddr*>(&address),
                      sizeof(address)),
            0);
  return file;
}

// What the other end has said; empty when it has closed.
std::string Read(const File& file) {
  char text[16];
  const ssize_t size = ::read(file.get(), text, sizeof(text));
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
}

class AcceptorTest : public testing::Test {
 protected:
  // Says to each connection at which address it has come in, and keeps it.
  Acceptor::Take Keeper() {
    return [this](size_t address, int, int descriptor) {
      const char said = static_cast<char>('0' + address);
      EXPECT_EQ(::write(descriptor, &said, 1), 1);
      kept_.emplace_back(descriptor);
    };
  }

  std::vector<File> kept_;  // of the acceptor's thread, until it is stopped
  ConnectionLimit limit_{{.per_peer = 2, .total = 100},
                         ConnectionLimit::InodeOf,
                         [](const std::string&) {}};
};

TEST_F(AcceptorTest, HandsOnWithTheAddressAndClosesWhatIsTooMany) {
  Acceptor acceptor(limit_, Clock::System().monotonic);
  const auto first = acceptor.Listen("127.0.0.1", 0);
  const auto second = acceptor.Listen("localhost", 0);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(*first, *second);
  acceptor.Start(Keeper());
  const File a = Connect(*first);
  EXPECT_EQ(Read(a), "0");
  const File b = Connect(*second);
  EXPECT_EQ(Read(b), "1");
  const File c = Connect(*first);
  EXPECT_EQ(Read(c), "");
  acceptor.Stop();
  EXPECT_EQ(limit_.stats().open, 2);
  EXPECT_EQ(limit_.stats().refused_peer, 1);
}

TEST_F(AcceptorTest, AllInterfacesAreThoseOfBothFamilies) {
  Acceptor acceptor(limit_, Clock::System().monotonic);
  const auto port = acceptor.Listen("0.0.0.0", 0);
  ASSERT_TRUE(port.ok()) << port.status();
  acceptor.Start(Keeper());
  const File a = Connect(*port);
  EXPECT_EQ(Read(a), "0");
}

TEST_F(AcceptorTest, SaysWhyItCannotListen) {
  Acceptor acceptor(limit_, Clock::System().monotonic);
  const auto port = acceptor.Listen("127.0.0.1", 0);
  ASSERT_TRUE(port.ok());
  EXPECT_EQ(acceptor.Listen("127.0.0.1", *port).status().message(),
            "Address already in use");
  EXPECT_EQ(acceptor.Listen("192.0.2.1", 0).status().message(),
            "Cannot assign requested address");
}

TEST_F(AcceptorTest, ClosesWhatItHasNoFileDescriptorFor) {
  Acceptor acceptor(limit_, Clock::System().monotonic);
  const auto port = acceptor.Listen("127.0.0.1", 0);
  ASSERT_TRUE(port.ok());
  const File a = Connect(*port);
  // From here on the process cannot open anything.
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(a.get()) + 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  acceptor.Start(Keeper());
  EXPECT_EQ(Read(a), "");
  ::setrlimit(RLIMIT_NOFILE, &before);
  const File b = Connect(*port);
  EXPECT_EQ(Read(b), "0");
  acceptor.Stop();
  EXPECT_EQ(limit_.stats().refused_files, 1);
}

}  // namespace
}  // namespace muster::listen
