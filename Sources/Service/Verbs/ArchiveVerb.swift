// ARCHIVE: archives a session now.

internal import SessionModel
internal import Wire

enum ArchiveVerb {
  static let verb = Verb(
    name: "ARCHIVE", rights: .write, words: [.session],
    options: [.token, .turn, .req],
    summary: "Archives a session now.",
    replies: ["OK", "NONE", "STALE"], writesEvents: true
  ) { (call) throws(RequestError) in try call.move(to: .archived) }
}
