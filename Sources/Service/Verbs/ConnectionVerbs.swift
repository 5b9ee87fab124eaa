// PING, AUTH and QUIT: the verbs that concern the connection itself.

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
    words: [WordRule(name: "secret", kind: .text(bytesMax: 1_024))],
    summary: "Authenticates the connection with a secret.", replies: ["OK"], onlyReads: false
  ) { (call) throws(RequestError) in try call.context.authenticate(call.ticket, call.word(0)) }
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
