// Keys and certificates for tests of TLS.
#ifndef MUSTER_TESTS_TESTING_AUTHORITY_H_
#define MUSTER_TESTS_TESTING_AUTHORITY_H_

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/testing/temporary_folder.h"

namespace muster {

// Keys and certificates of an authority and what it vouches for.
class Authority {
 public:
  // False if there is no openssl command.
  bool Create() {
    return Run(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 "
        "-subj /CN=authority -keyout ca.key -out ca.pem");
  }
  // NAME.pem and NAME.key, good for `alternative`, such as DNS:localhost.
  bool Vouch(const std::string& name, const std::string& alternative) {
    return Run("openssl req -newkey rsa:2048 -nodes -subj /CN=" + name +
               " -keyout " + name + ".key -out " + name + ".csr") &&
           Run("echo subjectAltName=" + alternative + " > " + name + ".ext") &&
           Run("openssl x509 -req -days 1 -in " + name +
               ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile " +
               name + ".ext -out " + name + ".pem");
  }
  std::string File(const std::string& name) const { return folder_.File(name); }
  std::string Text(const std::string& name) const {
    std::ifstream file(File(name));
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

 private:
  bool Run(const std::string& command) const {
    return std::system(("cd " + File("") + " && " + command + " 2>/dev/null")
                           .c_str()) == 0;
  }

  const TemporaryFolder folder_;
};

}  // namespace muster

#endif  // MUSTER_TESTS_TESTING_AUTHORITY_H_
