// Owns: how refused requests for the page are answered, logged and audited: as those of any caller
// are, with the browser's address. Runs on the control loop.

internal import Loop
internal import Service

/// A request for the page that is refused before it is one of a verb.
struct PageRefusal {
  let status: Int32
  let text: String
  /// The principal that was refused; nil if none has shown itself.
  var who: String?
  /// The verb that it would have been; nil if it came from where none may.
  var verb: String?
  /// Whether it is worth a line: a page that has no secret yet asks for one, and is no attempt.
  var isNoted = true
}

/// Answers refused requests.
struct PageRefusals {
  private let shared: SharedState
  private var lines = Audit.Refusals()

  init(_ shared: SharedState) { self.shared = shared }

  mutating func answer(_ refusal: PageRefusal, from peer: PeerAddress?) -> HTTPAnswer {
    if refusal.isNoted { note(refusal, from: peer?.description ?? "-") }
    return PageServer.text(refusal.status, refusal.text)
  }

  private mutating func note(_ refusal: PageRefusal, from: String) {
    shared.log.repeated(
      .warn, "a request for the page was refused", cause: refusal.text,
      ["error": refusal.text, "from": from])
    guard let audit = shared.audit, lines.admits(nowMs: MonotonicTime.nowMs()) else { return }
    let isWritten = audit.write([
      "audit": "refused", "who": refusal.who ?? "-", "issuer": "-", "from": from,
      "wire": CallerWire.page.rawValue, "verb": refusal.verb ?? "-", "device": "-",
      "outcome": refusal.status == 401 ? "auth_required" : "forbidden",
    ])
    guard !isWritten, !audit.isStandardError else { return }
    shared.log.repeated(.error, "a line of the audit could not be written")
  }
}
