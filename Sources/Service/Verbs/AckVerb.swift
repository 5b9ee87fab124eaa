// ACK: a consumer is done with events.

internal import Events
internal import RedisConnection
internal import SessionModel
internal import Store
internal import Wire

enum AckVerb {
  static let verb = Verb(
    name: "ACK", rights: .read,
    words: [
      WordRule(name: "group", kind: .group), WordRule(name: "id", kind: .id, isRepeated: true),
    ],
    summary: "Acknowledges events of a group.", replies: ["OK"], onlyReads: false
  ) { (call) throws(RequestError) in
    var partitions: [Partition] = []
    var ids: [ArgumentText] = []
    for index in 1..<call.arguments.words.count {
      let text = String(decoding: call.word(index), as: UTF8.self)
      guard let id = EventID(text) else {
        throw RequestError(.badRequest, "id '\(text)' is no id of an event")
      }
      partitions.append(id.partition)
      ids.append(ArgumentText(id.entry.description))
    }
    let ack = AckCall(group: .lent(call.word(0)), ids: ids)
    try call.forward(ScriptQuery(ack, over: partitions))
  }
}
