// Owns: a page of a device's events that is composed of what several calls have read. A value; on a
// loop's thread.

package import RedisConnection
package import Seal

/// The reply to EVENTS of a device on its way.
package struct EventPage {
  private var line: RecordLine
  /// How many events it has.
  package private(set) var count = 0
  /// Whether events after the one that it began after may have been dropped.
  package private(set) var hasLost = false
  private var isCorrupt = false

  package init(seal: Seal? = nil) {
    line = RecordLine(seal: seal)
    line.put("OK {\"events\":[")
  }

  /// How many values were corrupt.
  package var corruptCount: Int { line.corruptCount }
  /// About how many bytes its line has.
  package var bytes: Int { line.bytes.count }
  /// Whether it says nothing but perhaps that events were lost.
  package var isEmpty: Bool { count == 0 && !isCorrupt }

  /// Adds what a call of events.lua has read; returns the id to go on after, if there is more.
  package mutating func add(_ reply: RedisReply) -> String? {
    let omitted = Int(reply[1].integer ?? 0)
    guard omitted >= 0 else {
      isCorrupt = true
      return nil
    }
    line.noteOmitted(omitted)
    if reply[2].integer == 1 { hasLost = true }
    let isAll = reply.count % 4 == 3
    let end = isAll ? reply.count : reply.count - 1
    for at in stride(from: 3, to: end, by: 4) {
      if count > 0 { line.put(",") }
      count += 1
      let event = StoredEvent(
        id: reply[at].bytes, type: reply[at + 1].bytes, device: reply[at + 2].bytes,
        members: reply[at + 3].bytes)
      event.put(into: &line)
    }
    return isAll ? nil : reply[end].text
  }

  /// The log was replaced while it was read.
  package mutating func noteLoss() { hasLost = true }

  /// Its line without an end.
  package mutating func finish() -> [UInt8] {
    guard !isCorrupt else {
      line.cut(to: 3)
      line.put("{\"events\":null")
      line.damage(.of("events"))
      line.putDamaged()
      line.put("}")
      return line.bytes
    }
    line.put(hasLost ? "],\"lost\":true}" : "]}")
    return line.bytes
  }
}
