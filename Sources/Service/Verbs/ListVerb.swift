// LIST: sessions of a device, of a link, or all.

internal import Access
internal import RedisConnection
internal import Scripts
internal import SessionModel
internal import Store
internal import Wire

enum ListVerb {
  static let verb = Verb(
    name: "LIST", rights: .read, words: [.listed],
    options: [.state, .order, .since, .before, .fields, .isCounted, .limit, .cursor, .asUser],
    linkOption: "and",
    summary: "The sessions of a device or of a link, newest first; or all of them.",
    reach: .shownToOperators, replies: ["OK"]
  ) { (call) throws(RequestError) in
    guard call.links.count <= 1 else {
      throw RequestError(.badRequest, "and. stands there twice: \(call.verb.usage)")
    }
    let more = call.links.first
    let (source, second) = sources(call.text(0), more)
    let shape = ListShape(
      isByActivity: call.text(.order) == "active", filter: filter(call, second),
      fields: GetVerb.fields(call), since: call.number(.since), before: call.number(.before),
      limit: Int(call.number(.limit) ?? 50))
    let isCounted = call.text(.isCounted) == "yes"
    guard case .device = source, !shape.isByActivity else {
      try SessionList(call, source, shape, isCounted: isCounted)
      return
    }
    if let cursor = call.option(.cursor), !SessionID.isOne(cursor) {
      throw SessionList.forged(call.text(.cursor))
    }
    let list = ListDeviceCall(
      device: call[0].kept, filter: shape.filter, fields: shape.fields, limit: Int64(shape.limit),
      from: call[.cursor]?.kept, soFar: nil)
    if isCounted { try DeviceList.count(call, list) } else { try DeviceList.run(call, list) }
  }

  /// Where the sessions come from, and the link that they must have besides.
  ///
  /// Of two links the one to a user or a thread is gone through: it has few.
  private static func sources(
    _ listed: String, _ more: LinkName?
  ) -> (source: ListSource, second: LinkName?) {
    guard listed != "*" else { return (more.map { .link($0) } ?? .all, nil) }
    guard listed.contains("=") else { return (.device(listed), more) }
    let parts = listed.split(separator: "=", maxSplits: 1).map(String.init)
    let isThread = parts[0] == LinkName.threadKind
    let first = isThread ? LinkName.thread(parts[1].utf8) : LinkName(kind: parts[0], ref: parts[1])
    guard let more, more.kind == "user", !isThread else { return (.link(first), more) }
    return (.link(more), first)
  }

  /// As list_filter.lua reads it; nil if all pass.
  private static func filter(_ call: borrowing Call, _ second: LinkName?) -> ArgumentText? {
    let (since, before) = (call.numberText(.since), call.numberText(.before))
    let words = [call.text(.state), second?.kind ?? "", second?.ref ?? "", since, before]
    let users = call.users?.text
    guard users != nil || words.contains(where: { !$0.isEmpty }) else { return nil }
    let by = call.text(.order) == "active" ? "active" : "created"
    let all = words.map { $0.isEmpty ? "-" : $0 } + [by, users ?? "-"]
    return ArgumentText(all.joined(separator: " "))
  }
}
