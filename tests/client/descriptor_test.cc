#include "client/src/descriptor.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace muster {
namespace {

// In a child: no lock, no memory. Standard ones may well be sockets.
bool HasSockets() {
  for (int descriptor = 3; descriptor < 1024; ++descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode)) {
      return true;
    }
  }
  return false;
}

// True if a forked child has no socket.
bool ChildIsFree() {
  const pid_t child = fork();
  if (child == 0) _exit(HasSockets() ? 1 : 0);
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) &&
         WEXITSTATUS(status) == 0;
}

TEST(DescriptorTest, ForkedChildHasNone) {
  Descriptor first;
  Descriptor second;
  Descriptor third;
  ASSERT_TRUE(first.Open(AF_UNIX));
  ASSERT_TRUE(second.Open(AF_INET));
  ASSERT_TRUE(third.Open(AF_UNIX));
  EXPECT_TRUE(ChildIsFree());
  second.Close();
  EXPECT_TRUE(ChildIsFree());
  first.Close();
  ASSERT_TRUE(second.Open(AF_UNIX));
  EXPECT_TRUE(ChildIsFree());
  EXPECT_TRUE(HasSockets());
  second.Close();
  third.Close();
  EXPECT_FALSE(HasSockets());
}

TEST(DescriptorTest, ForkedChildHasNoneWhileAnotherThreadOpensAndCloses) {
  std::atomic<bool> done = false;
  std::thread opening([&] {
    while (!done) {
      Descriptor descriptor;
      EXPECT_TRUE(descriptor.Open(AF_UNIX));
    }
  });
  int free = 0;
  for (int i = 0; i < 300; ++i) free += ChildIsFree() ? 1 : 0;
  done = true;
  opening.join();
  EXPECT_EQ(free, 300);
}

TEST(DescriptorTest, ForkedChildMayOpenItsOwn) {
  Descriptor inherited;
  ASSERT_TRUE(inherited.Open(AF_UNIX));
  const pid_t child = fork();
  if (child == 0) {
    Descriptor own;
    const bool opened = own.Open(AF_UNIX) && HasSockets();
    const bool grandchild_is_free = ChildIsFree();
    own.Close();
    _exit(opened && grandchild_is_free && !HasSockets() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace muster
