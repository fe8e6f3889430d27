// Who may talk to the daemon, as the configuration says it.
#ifndef MUSTER_DAEMON_IDENTITY_OPTIONS_H_
#define MUSTER_DAEMON_IDENTITY_OPTIONS_H_

#include <string>
#include <vector>

namespace muster::identity {

// What is asked of a caller: to say what its ranks do, to read what is known of
// a run, to scrape /metrics.
enum class Verb { kReport, kQuery, kMetrics };
inline constexpr int kVerbs = 3;
const char* VerbName(Verb verb);

// Files in PEM form, re-read when they change.
struct TlsOptions {
  // The daemon's own chain, its certificate first. Empty: no TLS.
  std::string cert_file;
  std::string key_file;  // of that certificate, without a password
  // Whose certificates callers may show. Empty: none are asked for.
  std::string client_ca_file;
  // Whether ranks without a certificate are turned away at the handshake; else
  // they need a token. HTTP never does, since health is for everybody.
  bool require_client_certificate = true;
  // Whether HTTP speaks TLS too.
  bool http = true;

  bool enabled() const { return !cert_file.empty(); }
};

// What one kind of caller may do; what no rule grants is refused.
struct Rule {
  // "token:NAME", "certificate:NAME" for a subject alternative name, where a *
  // stands for any text, or "anyone".
  std::string identity;
  // Patterns of run ids, divided by commas; a * stands for any text.
  std::string runs = "*";
  // Names of verbs, divided by commas.
  std::string verbs = "report, query, metrics";
};

struct AuthOptions {
  // Lines of NAME: TOKEN, re-read when they change. Empty: no tokens.
  std::string tokens_file;
  // Empty: every caller with a good token or certificate may do all.
  std::vector<Rule> rules;
};

struct Options {
  TlsOptions tls;
  AuthOptions auth;
};

}  // namespace muster::identity

#endif  // MUSTER_DAEMON_IDENTITY_OPTIONS_H_
