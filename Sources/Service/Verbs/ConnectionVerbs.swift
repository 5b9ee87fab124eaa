// PING, AUTH and QUIT: the verbs that concern the connection itself.

internal import Access
internal import Events
internal import Metrics
internal import Wire

enum PingVerb {
  static let verb = Verb(
    name: "PING", rights: .connection, summary: "Shows that the worker answers.", replies: ["OK"]
  ) { (call) throws(RequestError) in call.answer("OK") }
}

package enum AuthVerb {
  package static let verb = Verb(
    name: "AUTH", rights: .connection,
    words: [
      WordRule(name: "secret|jwt|ticket", kind: .text(bytesMax: 1_024)),
      WordRule(name: "token", kind: .text(bytesMax: TokenVerifier.bytesMax), isOptional: true),
    ],
    summary:
      "Authenticates the connection with a secret, or behind jwt or ticket with one of these.",
    replies: ["OK"], onlyReads: false
  ) { (call) throws(RequestError) in
    guard call.arguments.words.count > 1 else {
      return try call.context.authenticate(call.ticket, .secret, call.word(0))
    }
    guard let kind = CredentialKind(rawValue: call.text(0).lowercased()), kind != .secret else {
      throw RequestError(.badRequest, "the word before a token is jwt or ticket")
    }
    try call.context.authenticate(call.ticket, kind, call.word(1))
  }
}

enum QuitVerb {
  static let verb = Verb(
    name: "QUIT", rights: .connection, summary: "Answers OK and closes the connection.",
    replies: ["OK"], onlyReads: false
  ) { (call) throws(RequestError) in
    call.answer("OK")
    call.caller.finish(.quit)
  }
}
