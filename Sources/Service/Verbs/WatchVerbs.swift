// WATCH and UNWATCH: events as they happen, between other replies.

internal import Events
internal import RedisConnection
package import SessionModel
internal import Store
internal import Wire

enum WatchVerb {
  static let verb = Verb(
    name: "WATCH", rights: .read, words: [.deviceOrAll], options: [.types],
    summary: "Sends EVENT lines of a device, or of all with *, as they happen.",
    replies: ["OK", "EVENT"]
  ) { (call) throws(RequestError) in
    let word = call.word(0)
    let isAll = word.elementsEqual([UInt8(ascii: "*")])
    let watch = Watch(
      connection: call.caller.id, scope: isAll ? .all : .device(Array(word)),
      types: try call.types.map { Set($0.map { Array($0.rawValue.utf8) }) },
      ticketSlot: call.ticket.slot)
    try call.store.requireRedis()
    try call.context.events.watch(watch, call.ticket)
  }
}

enum UnwatchVerb {
  static let verb = Verb(
    name: "UNWATCH", rights: .read, summary: "Ends all watches of this connection.",
    replies: ["OK"]
  ) { (call) throws(RequestError) in
    call.context.events.unwatch(call.caller.id)
    call.answer("OK")
  }
}

extension Call {
  /// The types that `types=` names; nil without it.
  package var types: [EventType]? {
    get throws(RequestError) {
      guard let bytes = option(.types) else { return nil }
      var types: [EventType] = []
      for name in String(decoding: bytes, as: UTF8.self)
        .split(separator: ",", omittingEmptySubsequences: false)
      {
        guard let type = EventType(rawValue: String(name)) else {
          let known = EventType.allCases.map(\.rawValue).joined(separator: ", ")
          throw RequestError(.badRequest, "types= has no event's type; there are \(known)")
        }
        guard !types.contains(type) else {
          throw RequestError(.badRequest, "types= has \(name) twice: give it once")
        }
        types.append(type)
      }
      return types
    }
  }
}
