// EVENTS: reads the log of one device, or takes events for a consumer of a group.

internal import Access
internal import Events
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Settings
internal import Store
internal import Wire

enum EventsVerb {
  static let limitDefault: Int64 = 100

  static let verb = Verb(
    name: "EVENTS", rights: .read, words: [.deviceOrAll],
    options: [.after, .group, .limit, .wait, .types, .asUser],
    userAddress: .session(UserLookup.run),
    summary: "Reads a device's events; or with * and group= takes those of the whole fleet.",
    reach: .everyDevice, replies: ["OK", "NONE", "STALE"]
  ) { (call) throws(RequestError) in
    let isAll = call.word(0).elementsEqual([UInt8(ascii: "*")])
    let query = isAll ? try group(call) : try device(call)
    try call.store.requireRedis(for: call.ticket.client)
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
    return .device(
      DeviceQuery(
        device: Array(device), partition: partition, users: call.users, after: after,
        limit: call.number(.limit) ?? limitDefault))
  }

  private static func group(_ call: borrowing Call) throws(RequestError) -> EventQuery {
    guard let name = call.option(.group) else {
      throw RequestError(.badRequest, "EVENTS * needs group=: \(verb.usage)")
    }
    guard call.option(.asUser) == nil else {
      throw RequestError(.badRequest, "as= goes with a device; a group takes all users' events")
    }
    guard call.option(.after) == nil else {
      throw RequestError(.badRequest, "after= goes with a device; a group keeps its own place")
    }
    let group = String(decoding: name, as: UTF8.self)
    let types = try call.types?.map(\.rawValue).joined(separator: ",")
    let settings = call.shared.settings
    return .group(
      GroupQuery(
        name: group, ackTimeoutMs: Int64(settings.ackTimeoutMs),
        limit: call.number(.limit) ?? limitDefault, types: types,
        groupKeepMs: settings.groupKeepMs))
  }
}
