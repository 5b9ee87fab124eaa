// TAKE: documents by their keys.

internal import RedisConnection
internal import Scripts
internal import Settings
internal import Wire

enum TakeVerb {
  /// So many in one request, which bounds how long it occupies Redis.
  static let keysMax = 1_000

  static let verb = Verb(
    name: "TAKE", rights: .read, words: [.session, .documentKeys],
    summary: "Documents of a session by their keys; null for one that is not there.",
    replies: ["OK", "NONE"]
  ) { (call) throws(RequestError) in
    try checkCount(call)
    try DocumentsRead(call)
  }

  /// Refuses too many keys at once.
  static func checkCount(_ call: borrowing Call) throws(RequestError) {
    guard call.arguments.words.count - 1 <= keysMax else {
      throw RequestError(.badRequest, "one request may name \(keysMax) keys")
    }
  }
}

extension Call {
  /// The keys of documents among the words behind the address, as parts.
  func documentKeys() -> Parts {
    var parts = Parts()
    for index in 1..<arguments.words.count { parts.add(DocumentKey.escaped(word(index))) }
    return parts
  }
}
