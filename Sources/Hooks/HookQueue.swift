// Owns: the events of one hook that this worker holds, from the log to the receiver: their order
// per device, which is sent next, and when a failed one is sent again. A value without clock, Redis
// or network; the shell in HookDelivery.swift performs it.

package import SessionModel

/// An event on its way to a receiver.
package struct HookEvent: Sendable, Equatable {
  /// Where it stands in the log; of the news that events were lost the entry is 0-0.
  package let id: EventID
  package let device: [UInt8]
  package let type: [UInt8]
  /// The JSON object, as EVENTS shows it.
  package let json: [UInt8]

  package init(id: EventID, device: [UInt8], type: [UInt8], json: [UInt8]) {
    (self.id, self.device, self.type, self.json) = (id, device, type, json)
  }

  var isLoss: Bool { id.entry == .zero }
  var bytes: Int { json.count + device.count + 256 }
}

/// The held events of a hook.
///
/// Of each device one event is under way at a time, the oldest. One that failed keeps those behind
/// it back and no other device's. When everything fails the receiver is down: then one event is
/// under way at a time, until one is delivered; that makes all others due.
package struct HookQueue {
  /// What the first event of a device waits for.
  private enum Head: Equatable {
    /// Its turn. Goes to underWay.
    case ready
    /// The receiver's answer. Goes to ready, failed, or ends.
    case underWay
    /// A time, for another attempt. Goes to ready.
    case failed(untilMs: Int64)
  }

  private struct Line {
    var events: [HookEvent]
    var head = Head.ready
    /// How often the first one has failed.
    var attempts = 0
    /// Whether its last failure was since the latest delivery of the hook.
    var isInStreak = false
  }

  /// A hook holds so many events at most, and so many bytes of them, before it reads no more.
  package static let eventsMax = 1_024
  package static let bytesMax = 4 << 20
  /// Of a partition, so that one device that fails keeps no other partition's back.
  package static let partitionEventsMax = 256
  /// After so many failures in a row the receiver is down.
  static let downFrom = 8

  private var lines: [[UInt8]: Line] = [:]
  /// The devices whose first event may be sent, in the order in which it became so.
  private var ready: [[UInt8]] = []
  private var readyStart = 0
  /// All that is held, and what was delivered and is not acknowledged yet.
  private var known: Set<EventID> = []
  private var perPartition = [Int](repeating: 0, count: Partition.count)
  private(set) var bytes = 0
  private(set) var count = 0
  package private(set) var underWay = 0
  /// How many lines wait for a time.
  private var failedLines = 0
  /// The failures since the latest delivery.
  private var streak = 0
  /// The most that are under way at a time; with 0 none is sent.
  package var underWayMax: Int

  package init(underWayMax: Int) { self.underWayMax = underWayMax }

  package var isEmpty: Bool { count == 0 }
  package var isDown: Bool { streak >= HookQueue.downFrom }
  /// How many more may be read now.
  package var room: Int { bytes >= HookQueue.bytesMax ? 0 : max(0, HookQueue.eventsMax - count) }
  package func hasRoom(in partition: Partition) -> Bool {
    perPartition[partition.index] < HookQueue.partitionEventsMax
  }

  /// All ids that it holds: those of a partition that has gone to another worker stay while they
  /// are under way.
  package var heldIDs: [EventID] { lines.values.flatMap { $0.events.map(\.id) } }

  /// The time of the oldest event, in ms since 1970; nil without any.
  package var oldestMs: Int64? {
    lines.values.lazy.compactMap { line in
      line.events.lazy.filter { !$0.isLoss }.map { Int64($0.id.entry.ms) }.min()
    }.min()
  }
}

// MARK: Events in

extension HookQueue {
  /// Takes an event that was read; false if it is known already.
  @discardableResult
  package mutating func take(_ event: HookEvent) -> Bool {
    guard known.insert(event.id).inserted else { return false }
    count += 1
    bytes += event.bytes
    perPartition[event.id.partition.index] += 1
    let key = HookQueue.key(of: event)
    guard lines[key] != nil else {
      lines[key] = Line(events: [event])
      ready.append(key)
      return true
    }
    // What is given again may be older than what waits.
    let isBusy = lines[key]?.head != .ready
    let place = lines[key]?.events.firstIndex { $0.id.entry > event.id.entry } ?? .max
    let last = lines[key]?.events.count ?? 0
    lines[key]?.events.insert(event, at: min(max(place, isBusy ? 1 : 0), last))
    return true
  }

  /// Losses stand in a line of their partition's own.
  private static func key(of event: HookEvent) -> [UInt8] {
    event.isLoss ? Array("/\(event.id.partition.tag)".utf8) : event.device
  }
}

// MARK: Attempts

extension HookQueue {
  /// The event to send now, of a partition of which this is true; nil if none is due, or as many
  /// are under way as may be.
  package mutating func next(where isSure: (Partition) -> Bool = { _ in true }) -> HookEvent? {
    guard underWay < (isDown ? min(1, underWayMax) : underWayMax) else { return nil }
    var unsure: [[UInt8]] = []
    defer { ready += unsure }
    while readyStart < ready.count {
      let key = ready[readyStart]
      readyStart += 1
      if readyStart > 64, readyStart * 2 > ready.count {
        ready.removeFirst(readyStart)
        readyStart = 0
      }
      guard let line = lines[key], line.head == .ready, let event = line.events.first else {
        continue
      }
      guard isSure(event.id.partition) else {
        unsure.append(key)
        continue
      }
      lines[key]?.head = .underWay
      underWay += 1
      return event
    }
    return nil
  }

  /// The receiver has taken the event: it is to be acknowledged.
  package mutating func delivered(_ event: HookEvent) {
    finish(event)
    guard streak > 0 else { return }
    let wasDown = isDown
    streak = 0
    for key in Array(lines.keys) where lines[key]?.isInStreak == true {
      lines[key]?.isInStreak = false
      // It failed because the receiver was down, and that is up.
      if wasDown, case .failed? = lines[key]?.head { makeReady(key) }
    }
  }

  /// An attempt has failed; the next one comes after what `delayMs` says of so many attempts.
  package mutating func failed(
    _ event: HookEvent, nowMs: Int64, delayMs: (_ attempts: Int) -> Int64
  ) {
    let key = HookQueue.key(of: event)
    guard lines[key]?.head == .underWay, lines[key]?.events.first?.id == event.id else {
      preconditionFailure("an event that is not under way has failed")
    }
    underWay -= 1
    streak += 1
    lines[key]?.isInStreak = true
    let attempts = (lines[key]?.attempts ?? 0) + 1
    lines[key]?.attempts = attempts
    lines[key]?.head = .failed(untilMs: nowMs + delayMs(attempts))
    failedLines += 1
  }

  /// The worker has an event no more that was under way: it is delivered, or another worker's.
  private mutating func finish(_ event: HookEvent) {
    let key = HookQueue.key(of: event)
    guard lines[key]?.head == .underWay, lines[key]?.events.first?.id == event.id else {
      preconditionFailure("an event that is not under way has ended")
    }
    underWay -= 1
    remove(event)
    lines[key]?.events.removeFirst()
    if lines[key]?.events.isEmpty == true {
      lines[key] = nil
    } else {
      lines[key]?.attempts = 0
      lines[key]?.isInStreak = false
      makeReady(key)
    }
  }

  private mutating func makeReady(_ key: [UInt8]) {
    if case .failed? = lines[key]?.head { failedLines -= 1 }
    lines[key]?.head = .ready
    ready.append(key)
  }

  private mutating func remove(_ event: HookEvent) {
    count -= 1
    bytes -= event.bytes
    perPartition[event.id.partition.index] -= 1
  }

  /// Makes those due whose time has come.
  package mutating func timePassed(nowMs: Int64) {
    guard failedLines > 0 else { return }
    for (key, line) in lines {
      if case .failed(let untilMs) = line.head, untilMs <= nowMs { makeReady(key) }
    }
  }

  /// When the next one is due; nil if none waits for a time.
  package var dueAtMs: Int64? {
    guard failedLines > 0 else { return nil }
    return lines.values.lazy.compactMap { line in
      if case .failed(let untilMs) = line.head { untilMs } else { nil }
    }.min()
  }

  /// Redis knows that these are done: should they come again, they are new ones.
  package mutating func settled(_ ids: [EventID]) { known.subtract(ids) }
}

// MARK: Events back

extension HookQueue {
  /// Gives up what is not under way, in partitions of which this is true; and the failed one of a
  /// line whose partition is given up.
  package mutating func release(_ isGone: (Partition) -> Bool) -> [EventID] {
    var released: [EventID] = []
    for (key, line) in lines where line.events.contains(where: { isGone($0.id.partition) }) {
      // All events of a line are of one partition.
      let kept = line.head == .underWay ? 1 : 0
      for event in line.events.dropFirst(kept) {
        remove(event)
        released.append(event.id)
      }
      lines[key]?.events.removeLast(line.events.count - kept)
      if kept == 0 {
        if case .failed = line.head { failedLines -= 1 }
        lines[key] = nil
      }
    }
    known.subtract(released)
    return released
  }

  /// Gives up what is not under way and of which this is true; it stays known until it is settled.
  package mutating func drop(_ isGone: (HookEvent) -> Bool) -> [EventID] {
    var dropped: [EventID] = []
    for (key, line) in lines where line.events.contains(where: isGone) {
      let isUnderWay = line.head == .underWay
      var kept: [HookEvent] = []
      for (place, event) in line.events.enumerated() {
        if isUnderWay && place == 0 || !isGone(event) {
          kept.append(event)
        } else {
          remove(event)
          dropped.append(event.id)
        }
      }
      let isHeadGone = kept.first != line.events[0]
      lines[key]?.events = kept
      if isHeadGone, kept.isEmpty {
        if case .failed = line.head { failedLines -= 1 }
        lines[key] = nil
      } else if isHeadGone {
        lines[key]?.attempts = 0
        lines[key]?.isInStreak = false
        if case .failed = line.head { makeReady(key) }
      }
    }
    return dropped
  }

  /// An attempt of an event that is another worker's now has failed.
  package mutating func gaveUp(_ event: HookEvent) {
    finish(event)
    known.remove(event.id)
  }
}
