// EVENTS: reads the log of one device, or takes events for a consumer of a group.

internal import Events
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

enum EventsVerb {
  /// How many groups a namespace may have: each costs an entry in every partition.
  static let groupsMax = 64
  static let limitDefault: Int64 = 100

  static let verb = Verb(
    name: "EVENTS", rights: .read, words: [.deviceOrAll],
    options: [.after, .group, .limit, .wait, .types],
    summary: "Reads a device's events; or with * and group= takes those of the whole fleet.",
    reach: .everyDevice, replies: ["OK", "STALE"]
  ) { (call) throws(RequestError) in
    let isAll = call.word(0).elementsEqual([UInt8(ascii: "*")])
    let query = isAll ? try group(call) : try device(call)
    try call.store.requireRedis()
    call.context.events.query(query, call.ticket, waitMs: call.number(.wait) ?? 0)
  }

  private static func device(_ call: borrowing Call) throws(RequestError) -> EventQuery {
    guard call.option(.group) == nil, call.option(.types) == nil else {
      throw RequestError(.badRequest, "group= and types= go with EVENTS *, not with a device")
    }
    let device = call.word(0)
    let partition = Partition(of: device)
    var after = StreamID.zero
    if let text = call.option(.after) {
      guard let id = EventID(String(decoding: text, as: UTF8.self)), id.partition == partition
      else { throw RequestError(.badRequest, "after= is no id of an event of this device") }
      after = id.entry
    }
    let events = EventsCall(
      device: .lent(device), after: ArgumentText(after.description),
      limit: call.number(.limit) ?? limitDefault)
    return EventQuery(
      source: .device(Array(device), partition), call: ScriptQuery(events, at: partition))
  }

  private static func group(_ call: borrowing Call) throws(RequestError) -> EventQuery {
    guard let name = call.option(.group) else {
      throw RequestError(.badRequest, "EVENTS * needs group=: \(verb.usage)")
    }
    guard call.option(.after) == nil else {
      throw RequestError(.badRequest, "after= goes with a device; a group keeps its own place")
    }
    let group = String(decoding: name, as: UTF8.self)
    let types = try call.types?.map(\.rawValue).joined(separator: ",")
    let settings = call.shared.settings
    var read = ReadGroupCall(
      group: .lent(name), ackTimeoutMs: Int64(settings.ackTimeoutMs),
      limit: call.number(.limit) ?? limitDefault, types: types.map { ArgumentText($0) },
      first: Int64(call.context.events.firstPartition(of: group)), groupsMax: Int64(groupsMax),
      worker: ArgumentText(call.shared.workerID), leaseMs: Int64(EventWait.leaseMs),
      isNoted: false)
    let plain = ScriptQuery(read, over: Partition.all)
    read.isNoted = true
    return EventQuery(
      source: .group(group), call: plain,
      note: EventQuery.Note(
        call: ScriptQuery(read, over: Partition.all), groupKeepMs: settings.groupKeepMs))
  }
}

/// A request for read_group.lua.
struct ReadGroupCall: ScriptCall {
  static let script = Script.readGroup
  let group: ArgumentText
  let ackTimeoutMs: Int64
  let limit: Int64
  /// With commas between them; nil for all.
  let types: ArgumentText?
  /// The partition to begin at.
  let first: Int64
  let groupsMax: Int64
  let worker: ArgumentText
  /// How long a worker may hold an event.
  let leaseMs: Int64
  /// Whether Redis is to note that the group asks.
  var isNoted: Bool

  func write(to words: inout CommandBuffer) {
    words.word(group)
    words.word(ackTimeoutMs)
    words.word(limit)
    words.word(types)
    words.word(first)
    words.word(groupsMax)
    words.word(worker)
    words.word(leaseMs)
    words.word(isNoted)
  }
}
