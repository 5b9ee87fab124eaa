// PAUSE: puts an active session aside.

internal import SessionModel
internal import Wire

enum PauseVerb {
  static let verb = Verb(
    name: "PAUSE", rights: .write, words: [.session],
    options: [.token, .turn, .req, .reason],
    summary: "Puts an active session aside.",
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in try call.move(to: .paused) }
}
