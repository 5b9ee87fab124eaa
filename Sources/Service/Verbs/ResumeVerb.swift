// RESUME: goes on with a paused session.

internal import SessionModel
internal import Wire

enum ResumeVerb {
  static let verb = Verb(
    name: "RESUME", rights: .write, words: [.session],
    options: [.token, .turn, .req],
    summary: "Goes on with a paused session.",
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in try call.move(to: .active) }
}
