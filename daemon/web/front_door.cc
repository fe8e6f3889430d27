#include "daemon/web/front_door.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace muster::web {

Source ShownTo(const identity::Gate& gate, identity::Caller caller,
               identity::Verb verb, Source source) {
  if (gate.open()) return source;
  const auto shown =
      [&gate, verb,
       caller = std::make_shared<const identity::Caller>(std::move(caller))](
          std::string_view run) { return gate.Allows(*caller, verb, run); };
  source.snapshots = [shown, all = std::move(source.snapshots)] {
    auto runs = all();
    std::erase_if(runs, [&](const auto& run) { return !shown(run->run); });
    return runs;
  };
  source.snapshot = [shown,
                     one = std::move(source.snapshot)](std::string_view run) {
    return shown(run) ? one(run) : nullptr;
  };
  source.is_shown = shown;
  return source;
}

Reply AnswerAtDoor(identity::Gate& gate, const Visitor& visitor,
                   const Source& source, const std::string& path,
                   const Parameters& parameters,
                   const RequestHeaders& headers) {
  if (gate.open() || path == "/healthz" || path == "/readyz") {
    return Answer(source, path, parameters, headers);
  }
  const auto verb =
      path == "/metrics" ? identity::Verb::kMetrics : identity::Verb::kQuery;
  auto caller = gate.Identify(visitor.certificate_names, visitor.authorization);
  if (caller.ok() && gate.AllowsAny(*caller, verb)) {
    return Answer(ShownTo(gate, *std::move(caller), verb, source), path,
                  parameters, headers);
  }
  const bool known = caller.ok() && !caller->identities.empty();
  const std::string who = known ? caller->name()
                          : caller.ok()
                              ? "neither token nor certificate"
                              : std::string(caller.status().message());
  gate.Deny(verb,
            known ? identity::Denial::kNotAllowed
                  : identity::Denial::kUnauthenticated,
            absl::StrCat(who, ", from ", visitor.address, " over HTTP"));
  if (known) return ErrorReply(403, "not allowed");
  Reply reply = ErrorReply(401, "say who you are: a token or a certificate");
  // Browsers ask for user and password: the token's name, and the token.
  reply.headers = {{"WWW-Authenticate", "Basic realm=\"muster\""},
                   {"Cache-Control", "no-store"}};
  return reply;
}

}  // namespace muster::web
