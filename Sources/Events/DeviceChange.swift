// Owns: a change as scripts publish it, and which reads and watches it concerns. Values; any
// thread.

internal import Records
package import Seal
internal import SessionModel

/// The devices whose changes a worker is sent.
package enum ChangeSource: Hashable, Sendable {
  case all
  case device([UInt8])

  /// The partitions in which scripts are to publish them.
  var partitions: [Partition] {
    switch self {
    case .all: Partition.all
    case .device(let device): [device.withUnsafeBufferPointer { Partition(of: $0) }]
    }
  }

  /// The member by which scripts know it.
  var member: String {
    switch self {
    case .all: "*"
    case .device(let device): String(decoding: device, as: UTF8.self)
    }
  }

  /// The channels of its changes.
  func channels(_ keyspace: Keyspace) -> [String] {
    switch self {
    case .all: partitions.map { keyspace.changes($0) }
    case .device: partitions.map { keyspace.changes($0, of: member) }
    }
  }
}

/// A part of a device that a read or a watch is about.
package struct ChangeScope: Hashable, Sendable {
  package let device: [UInt8]
  /// Nil for the device with all of its sessions, or where the current one is meant.
  package let session: [UInt8]?
  /// Nil for the session with all of its chats, or where the current one is meant.
  package let chat: [UInt8]?

  package init(device: [UInt8], session: [UInt8]?, chat: [UInt8]?) {
    self.device = device
    self.session = session
    self.chat = chat
  }

  /// Whether a change may make a difference to a read of this.
  func concerns(_ change: DeviceChange) -> Bool {
    (session == nil || change.session == nil || session == change.session)
      && (chat == nil || change.chat == nil || chat == change.chat)
  }
}

/// One change of a device, which scripts publish and nothing keeps.
package final class DeviceChange: Sendable {
  package let device: [UInt8]
  package let type: [UInt8]
  package let session: [UInt8]?
  package let chat: [UInt8]?
  /// The users of the session that it concerns; nil if it concerns none.
  let users: [[UInt8]]?
  /// The whole `EVENT` line, its end included; empty if watchers have it from the log, or are not
  /// to have it.
  package let line: [UInt8]

  /// Whether it may change with whom its session is shared.
  let isOfRoles: Bool
  /// Whether it may change who may see its session.
  let isOfRights: Bool

  /// The type of a change that watchers have from the log.
  private static let ofLog = Array("log".utf8)
  /// The type of one that is for workers alone.
  private static let ofRoles = Array("roles".utf8)
  private static let rolesTypes =
    [ofRoles]
    + [ChangeType.shareAdded, .shareRemoved, .ticketsEnded].map { Array($0.rawValue.utf8) }
  private static let linkRemoved = Array(ChangeType.linkRemoved.rawValue.utf8)
  /// A message that says nothing but that messages come.
  static let mark = Array("mark".utf8)

  /// Reads `<type> <device> <session or -> <chat or -> <users or -> <members>`; nil if it is no
  /// change.
  ///
  /// Between users there are commas.
  ///
  /// `seal` opens its sealed values. A client that may publish can publish anything: members that
  /// are corrupt are left out.
  package init?(_ message: UnsafeBufferPointer<UInt8>, _ seal: Seal? = nil) {
    let parts = message.split(
      separator: UInt8(ascii: " "), maxSplits: 5, omittingEmptySubsequences: false)
    guard parts.count == 6, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    type = Array(parts[0])
    device = Array(parts[1])
    session = DeviceChange.part(parts[2])
    chat = DeviceChange.part(parts[3])
    let owners = DeviceChange.part(parts[4])?.split(separator: UInt8(ascii: ",")).map(Array.init)
    users = session.map { _ in owners ?? [] }
    isOfRoles = DeviceChange.rolesTypes.contains(type)
    isOfRights = isOfRoles || type == DeviceChange.linkRemoved
    guard type != DeviceChange.ofLog, type != DeviceChange.ofRoles else {
      line = []
      return
    }
    var line = RecordLine(seal: seal)
    line.put("EVENT ")
    StoredEvent(
      id: nil, type: LentBytes(rebasing: parts[0]), device: LentBytes(rebasing: parts[1]),
      members: LentBytes(rebasing: parts[5])
    ).put(into: &line)
    line.put("\n")
    self.line = line.bytes
  }

  private static func part(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> [UInt8]? {
    text.elementsEqual("-".utf8) ? nil : Array(text)
  }
}

/// A serving loop's requests to the subscription to changes.
package enum ChangeRequest: Sendable {
  /// The changes of this source, and an answer once they come.
  case want(ChangeSource, loop: Int, number: UInt64)
  /// No changes of this source any more.
  case release(ChangeSource, loop: Int)
}

/// What the subscription to changes sends a serving loop.
package enum ChangeNotice: Sendable {
  /// The changes of a source come from now on, or cannot come now.
  case answer(ChangeSource, number: UInt64, comes: Bool)
  /// Changes, each with the source by whose channel it came.
  case changes([(source: ChangeSource, change: DeviceChange)])
  /// Changes of a source may have been lost before this; from now on they come.
  case lost(ChangeSource)
}
