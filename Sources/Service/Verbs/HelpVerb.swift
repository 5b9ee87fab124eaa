// HELP: lists the verbs with a sentence each, or shows the usage of one.

internal import Wire

enum HelpVerb {
  /// Made once: callers that ask without end must not cost others their time.
  private static let everything: String = {
    let names = VerbTable.all.map { "\"\($0.name)\"" }.joined(separator: ",")
    let summaries = VerbTable.all.map { "\"\($0.name)\":\"\($0.summary)\"" }
    return "OK {\"verbs\":[\(names)],\"summaries\":{\(summaries.joined(separator: ","))},"
      + "\"usage\":\"HELP verb shows how one is written\"}"
  }()

  static let verb = Verb(
    name: "HELP", rights: .connection,
    words: [WordRule(name: "verb", kind: .text(bytesMax: 32), isOptional: true)],
    summary: "Lists the verbs with a sentence each, or shows the usage of one.", replies: ["OK"]
  ) { (call) throws(RequestError) in
    guard !call.arguments.words.isEmpty else {
      call.answer(everything)
      return
    }
    let name = String(decoding: call.word(0), as: UTF8.self)
    guard let verb = VerbTable.all.first(where: { $0.name == name.uppercased() }) else {
      throw RequestError(.badRequest, "there is no verb of that name; HELP lists them")
    }
    let replies = verb.replies.map { "\"\($0)\"" }.joined(separator: ",")
    call.answer(
      "OK {\"verb\":\"\(verb.name)\",\"usage\":\"\(verb.usage)\",\"summary\":\"\(verb.summary)\","
        + "\"rights\":\"\(verb.rights.rawValue)\",\"replies\":[\(replies),\"ERR\"]}")
  }
}
