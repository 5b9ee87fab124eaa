// Owns: one event between the log and its subscribers, and what can be watched. Values; any thread.

internal import Access
internal import Records
package import RedisConnection
package import Seal
package import SessionModel

/// An event as it was read from a partition's log.
package struct FleetEvent: Sendable {
  package let partition: Partition
  package let id: StreamID
  package let device: [UInt8]
  package let type: [UInt8]
  /// The session and the chat that it names.
  let session: [UInt8]?
  let chat: [UInt8]?
  /// The users of the session that it is of; nil if it is of none.
  let users: [[UInt8]]?
  /// Whether those of other users were left out when it was read.
  let isSelected: Bool
  /// The whole `EVENT` line, its end included.
  package let line: [UInt8]
  /// How many of its values are corrupt.
  package let corruptCount: Int

  /// Reads a stream's entry: its id, and `t`, `d` and `b` with their values; nil if it is no event.
  ///
  /// `seal` opens its sealed values.
  package init?(_ partition: Partition, _ entry: RedisReply, _ seal: Seal?) {
    guard entry.count == 2, let id = StreamID(entry[0].text), FleetEvent.hasFields(entry[1]) else {
      return nil
    }
    let beside = entry[1].count == 8 ? entry[1][7].bytes : nil
    self.init(
      partition, id, entry[1][1].bytes, entry[1][3].bytes, entry[1][5].bytes,
      users: FleetEvent.users(entry[1][1].bytes, entry[1][5].bytes, beside: beside), seal)
  }

  /// The events of a page, as `events.lua` gives it: what is said of the page, and of each event
  /// its id, type, device and other members.
  ///
  /// Those of other users are not in it.
  static func all(inPage page: RedisReply, _ seal: Seal?) -> [FleetEvent] {
    guard page.kind == .array, page.count > 3 else { return [] }
    return stride(from: 3, to: page.count - 3, by: 4).compactMap { at in
      EventID(page[at].text).map {
        FleetEvent(
          $0.partition, $0.entry, page[at + 1].bytes, page[at + 2].bytes, page[at + 3].bytes,
          users: FleetEvent.users(page[at + 1].bytes, page[at + 3].bytes, beside: nil), seal,
          isSelected: true)
      }
    }
  }

  /// The id to go on after, if the page says one: there is more.
  static func end(ofPage page: RedisReply) -> StreamID? {
    page.kind == .array && page.count % 4 == 0 ? StreamID(page[page.count - 1].text) : nil
  }

  private init(
    _ partition: Partition, _ id: StreamID, _ kind: UnsafeBufferPointer<UInt8>,
    _ device: UnsafeBufferPointer<UInt8>, _ members: UnsafeBufferPointer<UInt8>,
    users: [[UInt8]]?, _ seal: Seal?, isSelected: Bool = false
  ) {
    (self.users, self.isSelected) = (users, isSelected)
    self.partition = partition
    self.id = id
    type = Array(kind)
    self.device = Array(device)
    (session, chat) = FleetEvent.place(kind, members)
    var line = RecordLine(seal: seal)
    line.put("EVENT ")
    Array("\(partition.tag)-\(id)".utf8).withUnsafeBufferPointer { name in
      StoredEvent(id: name, type: kind, device: device, members: members).put(into: &line)
    }
    line.put("\n")
    self.line = line.bytes
    corruptCount = line.corruptCount
  }

  /// The session and the chat that the members of a session's or a turn's event name.
  ///
  /// Before these come numbers, an agent and a state at most: no payload that might have the same
  /// text in it.
  private static func place(
    _ type: UnsafeBufferPointer<UInt8>, _ members: UnsafeBufferPointer<UInt8>
  ) -> (session: [UInt8]?, chat: [UInt8]?) {
    guard !type.starts(with: "lock.".utf8),
      let session = value(of: "\"session\":\"", in: members[...], until: UInt8(ascii: "\""))
    else { return (nil, nil) }
    let chat =
      type.starts(with: "turn.".utf8)
      ? value(of: "\"chat\":", in: members[session.endIndex...], until: UInt8(ascii: ",")) : nil
    return (Array(session), chat.map(Array.init))
  }

  /// The users of an event's session: among the links that it shows, or `beside` it, where they are
  /// JSON with commas between; nil for an event of a lock.
  ///
  /// No text in it can be taken for its links: quotes within a text have escapes.
  private static func users(
    _ type: UnsafeBufferPointer<UInt8>, _ members: UnsafeBufferPointer<UInt8>,
    beside: UnsafeBufferPointer<UInt8>?
  ) -> [[UInt8]]? {
    guard !type.starts(with: "lock.".utf8) else { return nil }
    var list = beside.map { $0[...] }
    if list == nil, let links = value(of: "\"links\":{", in: members[...], until: UInt8(ascii: "}"))
    {
      list = value(of: "\"user\":[", in: links, until: UInt8(ascii: "]"))
    }
    return (list ?? members[members.endIndex...]).split(separator: UInt8(ascii: ",")).map {
      Array($0.dropFirst().dropLast())
    }
  }

  private static func value(
    of name: String, in members: Slice<UnsafeBufferPointer<UInt8>>, until end: UInt8
  ) -> Slice<UnsafeBufferPointer<UInt8>>? {
    guard let at = members.firstRange(of: Array(name.utf8)) else { return nil }
    return members[at.upperBound...].prefix { $0 != end }
  }

  /// Whether these are an event's fields, as `event_entries.lua` has it.
  private static func hasFields(_ fields: RedisReply) -> Bool {
    (fields.count == 6 || fields.count == 8 && fields[6].bytes.elementsEqual("u".utf8))
      && fields[0].bytes.elementsEqual("t".utf8)
      && fields[2].bytes.elementsEqual("d".utf8) && fields[4].bytes.elementsEqual("b".utf8)
  }
}

/// The scope of a watch.
package enum WatchScope: Hashable, Sendable {
  case all
  /// A device, a session or a chat.
  case part(ChangeScope)

  /// The session that it is about; nil for all.
  var session: [UInt8]? {
    guard case .part(let scope) = self else { return nil }
    return scope.session
  }

  /// The source of its changes.
  var source: ChangeSource {
    switch self {
    case .all: .all
    case .part(let scope): .device(scope.device)
    }
  }

  /// The logs of its events.
  var logs: WatchedLogs { partition.map { .of($0) } ?? .all }

  /// The partition of its events; nil for all.
  var partition: Partition? {
    guard case .part(let scope) = self else { return nil }
    return scope.device.withUnsafeBufferPointer { Partition(of: $0) }
  }

  /// Whether an event of this session and chat, of its device, belongs to it.
  ///
  /// A session has what names it; a chat has what names its session and no other chat.
  func has(session: [UInt8]?, chat: [UInt8]?) -> Bool {
    guard case .part(let scope) = self, let mine = scope.session else { return true }
    return mine == session && (scope.chat == nil || chat == nil || scope.chat == chat)
  }

  /// Whether this principal may watch it; of `all` it gets the events that it may see.
  func isAllowed(_ principal: Principal?) -> Bool {
    guard let principal, principal.rights.contains(.read) else { return false }
    return switch self {
    case .all: true
    case .part(let scope): principal.sees(scope.device)
    }
  }
}
