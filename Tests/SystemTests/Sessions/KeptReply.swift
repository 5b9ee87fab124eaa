// The replies that the model of a device keeps under idempotency keys.

import Foundation

/// A reply that is kept under an idempotency key.
struct KeptReply {
  enum Shown {
    /// The reply as it was.
    case line(String)
    /// A session as it is now, with the members that this reply had besides.
    case record(session: String, more: String)
    /// A chat as it is now.
    case chat(session: String, chat: Int)
  }

  let request: [String]
  let shows: Shown

  /// `session` is the one that a request with an address has changed.
  init(_ request: ModelRequest, _ reply: Reply, _ session: String?) {
    self.request = KeptReply.essence(request)
    let how = reply.raw.range(of: ",\"how\":", options: .backwards)
    if let shown = ShownRecord.all(in: reply).first {
      shows = .record(
        session: shown.id, more: how.map { String(reply.raw[$0.lowerBound...].dropLast()) } ?? "")
    } else if request.verb == "CHAT" || request.verb == "SET" && request.chat != nil, let session,
      let chat = try? reply.int("chat")
    {
      shows = .chat(session: session, chat: chat)
    } else {
      shows = .line(reply.raw)
    }
  }

  /// The words by which two requests are the same, in any order of their options.
  static func essence(_ request: ModelRequest) -> [String] {
    var plain = request
    plain.options = []
    return [plain.line("")] + request.options.map { "\($0.name)=\($0.value)" }.sorted()
  }
}

extension Reply {
  /// The cursor of a page, without reading what callers have stored.
  var cursor: String? {
    guard let found = raw.range(of: ",\"cursor\":\"", options: .backwards) else { return nil }
    return String(raw[found.upperBound...].prefix { $0 != "\"" })
  }
}
