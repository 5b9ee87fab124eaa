// Owns: a consumer of a group that counts what it gets: each event once, and in the order of its
// partition. Main thread.

import Loop

/// The only consumer of a group.
struct GroupReader {
  let connection: PatientConnection
  private let name: String
  /// The id of the newest event of each partition: its ms and its number.
  private var newest = [UInt64](repeating: 0, count: 256)
  /// The events that it has had, each counted once.
  private(set) var taken = 0
  /// How often an event came that was not after all before it of its partition.
  private(set) var outOfOrder = 0
  /// How often a reply said that events were lost.
  private(set) var losses = 0

  init(_ connection: PatientConnection, _ name: String) {
    self.connection = connection
    self.name = name
  }

  /// Asks for events, and waits for them; the reply is read later.
  func ask() throws(LoadFailure) { try connection.post(request(wait: " wait=1s")) }

  private func request(wait: String) -> String {
    "EVENTS * group=\(name) limit=100\(wait)\n"
  }

  /// Counts a reply, and acknowledges its events; returns how many it has, and nil if it is that to
  /// an acknowledgement.
  mutating func take(_ line: [UInt8]) throws(LoadFailure) -> Int? {
    if line.starts(with: "OK {\"acked\"".utf8) { return nil }
    guard line.starts(with: "OK {\"events\"".utf8) else {
      throw LoadFailure("EVENTS: \(String(decoding: line.prefix(200), as: UTF8.self))")
    }
    if line.suffix(12).elementsEqual("\"lost\":true}".utf8) { losses += 1 }
    let ids = ReplyFigure.texts("id", in: line)
    for id in ids { count(id) }
    if !ids.isEmpty {
      try connection.post("ACK \(name) \(ids.joined(separator: " "))\n")
    }
    return ids.count
  }

  /// An id is `<partition>-<ms>-<number>`.
  private mutating func count(_ id: String) {
    let parts = id.split(separator: "-")
    guard parts.count == 3, let partition = Int(parts[0], radix: 16),
      newest.indices.contains(partition), let ms = UInt64(parts[1]), let number = UInt64(parts[2])
    else { return outOfOrder += 1 }
    let place = ms << 20 | number
    if place > newest[partition] {
      newest[partition] = place
      taken += 1
    } else {
      outOfOrder += 1
    }
  }

  /// Reads all that there is.
  mutating func drain() throws(LoadFailure) {
    while true {
      try connection.post(request(wait: ""))
      var count: Int?
      while count == nil { count = try take(connection.line()) }
      if count == 0 { return }
    }
  }
}
