// Owns: how a link and its entries are written: `<kind>/<ref>` and `<session>/<device>`. Ids have
// no slash, so neither can be taken for anything else. Values; any thread.

internal import RedisConnection
internal import Scripts
package import SessionModel
internal import Wire

/// The target of a link: a user, a tag, or another kind that callers name.
package struct LinkName: Hashable, Sendable {
  package let kind: String
  package let ref: String

  /// As Redis has it.
  package var text: String { "\(kind)/\(ref)" }
  /// As the record of a session has it.
  package var line: String { "\(kind) \(ref)\n" }
  package var partition: Partition { Partition(of: "\(kind):\(ref)") }

  package static func user(_ id: String) -> LinkName { LinkName(kind: "user", ref: id) }

  /// The kind of the links of threads, which callers cannot name.
  package static let threadKind = "thread"

  /// The link by which a thread is reserved for its session.
  ///
  /// Its ref is the text with all percent-encoded that is no character of an id, and `%`.
  package static func thread(_ text: some Sequence<UInt8>) -> LinkName {
    var ref: [UInt8] = []
    for byte in text {
      if byte != UInt8(ascii: "%"), IDText.isIDByte(byte) {
        ref.append(byte)
      } else {
        ref.append(UInt8(ascii: "%"))
        ref += [byte >> 4, byte & 15].map { $0 + ($0 < 10 ? 48 : 55) }
      }
    }
    return LinkName(kind: threadKind, ref: String(decoding: ref, as: UTF8.self))
  }

  package init(kind: String, ref: String) {
    self.kind = kind
    self.ref = ref
  }

  /// From its text in Redis.
  package init?(text: some StringProtocol) {
    let parts = text.split(separator: "/")
    guard parts.count == 2 else { return nil }
    self.init(kind: String(parts[0]), ref: String(parts[1]))
  }
}

/// One of the sessions of a link, or of a partition.
package struct SessionEntry: Hashable, Sendable {
  package let device: String
  package let session: String

  /// As a link's partition has it: in the order in which sessions were made.
  package var text: String { "\(session)/\(device)" }
  /// The device's partition.
  package var partition: Partition { Partition(of: device) }

  package init(device: String, session: String) {
    self.device = device
    self.session = session
  }

  /// From `<session>/<device>`.
  package init?(text: some StringProtocol) {
    let parts = text.split(separator: "/")
    guard parts.count == 2 else { return nil }
    self.init(device: String(parts[1]), session: String(parts[0]))
  }

  /// From `<device>/<session>`.
  package init?(address: some StringProtocol) {
    let parts = address.split(separator: "/")
    guard parts.count == 2 else { return nil }
    self.init(device: String(parts[0]), session: String(parts[1]))
  }

  /// The texts of entries in a script's reply, where they stand behind its status word.
  package static func texts(in reply: some Collection<UInt8>) -> ArraySlice<Substring> {
    String(decoding: reply, as: UTF8.self).split(separator: " ").dropFirst()
  }
}

/// A session's entry in the index of one of its links; first of all it is a reservation.
package struct LinkEntry: Hashable, Sendable {
  package let link: LinkName
  package let session: SessionEntry

  package init(_ link: LinkName, _ session: SessionEntry) {
    self.link = link
    self.session = session
  }
}

/// The status of a session for one of its links, as its own partition gave it.
package struct LinkStatus: Sendable {
  /// `live`, `kept`, `gone`, or `freed`: gone, as the maker of the reservation knows.
  package var word: String
  /// When it was read, by Redis' clock.
  let readAtUs: Int64

  /// How long the status of an entry is valid before it is checked again.
  static let checkAgainMs: Int64 = 86_400_000
  /// How long a reservation lasts whose session does not confirm it.
  package static let reservedMs: Int64 = 10_000

  /// From the reply of `link_status`, or the end of an outbox entry.
  package init?(words: some Collection<Substring>) {
    guard let word = words.first, let time = words.dropFirst().first.flatMap({ Int64($0) }) else {
      return nil
    }
    self.word = String(word)
    readAtUs = time
  }

  /// When the entry is to be checked next, in ms.
  ///
  /// It grows with the time of reading to the microsecond, which orders two readings.
  var checkAtText: String {
    let us = readAtUs + LinkStatus.checkAgainMs * 1_000
    // Never a whole ms: that marks a reservation that is not confirmed.
    let part = String(max(1, us % 1_000))
    return "\(us / 1_000).\(String(repeating: "0", count: 3 - part.count))\(part)"
  }
}

/// The script calls that keep links; each entry is in a partition of its own.
extension ScriptQuery {
  package static func status(_ entries: [LinkEntry]) -> ScriptQuery {
    ScriptQuery(
      entries.map { entry in
        let call = LinkStatusCall(
          device: ArgumentText(entry.session.device), session: ArgumentText(entry.session.session),
          kind: ArgumentText(entry.link.kind), ref: ArgumentText(entry.link.ref))
        return (entry.session.partition, call)
      })
  }

  package static func settle(_ entries: [(LinkEntry, LinkStatus)]) -> ScriptQuery {
    ScriptQuery(
      entries.map { entry, status in
        let call = LinkSettleCall(
          link: ArgumentText(entry.link.text), entry: ArgumentText(entry.session.text),
          status: ArgumentText(status.word), checkAt: ArgumentText(status.checkAtText))
        return (entry.link.partition, call)
      })
  }
}

/// A request for link_status.lua.
struct LinkStatusCall: ScriptCall {
  static let script = Script.linkStatus
  let device: ArgumentText
  let session: ArgumentText
  let kind: ArgumentText
  let ref: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(device)
    words.word(session)
    words.word(kind)
    words.word(ref)
  }
}

/// A request for link_settle.lua.
struct LinkSettleCall: ScriptCall {
  static let script = Script.linkSettle
  let link: ArgumentText
  let entry: ArgumentText
  let status: ArgumentText
  let checkAt: ArgumentText

  func write(to words: inout CommandBuffer) {
    words.word(link)
    words.word(entry)
    words.word(status)
    words.word(checkAt)
  }
}
