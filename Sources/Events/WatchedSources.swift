// Owns: which sources of changes the loops of a worker want, and how far each is: subscribed to,
// and known to the scripts as watched. A value, without Redis or a clock; the shell in
// ChangeSubscription.swift performs its actions. Main thread.

/// The sources of changes that a worker's loops want.
struct WatchedSources {
  /// The event that a source waits for.
  private enum State: Equatable {
    /// A connection that subscribes, or Redis' word that it does. Goes to registering.
    case subscribing
    /// Redis, which is to know that its changes are published. Goes to live.
    case registering
    /// Changes.
    case live
  }

  private struct Entry {
    var state = State.subscribing
    var loops: Set<Int> = []
    /// The requests that are answered when changes come.
    var waiting: [(loop: Int, number: UInt64)] = []
    /// Whether changes may have been lost that loops expect.
    var hasGap = false
    /// When its registration is to be renewed; never while that is under way.
    var renewAtMs: Int64 = 0
    /// Since when no loop wants it.
    var unwantedSinceMs: Int64?
  }

  enum Action: Equatable {
    case subscribe(ChangeSource)
    case unsubscribe(ChangeSource)
    /// Register these with the scripts.
    case register([ChangeSource])
    case answer(ChangeSource, loop: Int, number: UInt64, comes: Bool)
    case lost(ChangeSource, loop: Int)
  }

  /// How long scripts publish for a source after it was registered.
  static let lengthMs: Int64 = 60_000
  /// After so long it is registered again.
  static let renewMs: Int64 = 20_000
  /// A source is kept for so long after no loop wants it: callers that read and wait come again.
  static let keepMs: Int64 = 20_000
  /// Sources that are registered in one call.
  private static let registeredMax = 128

  private var entries: [ChangeSource: Entry] = [:]

  var isEmpty: Bool { entries.isEmpty }
  var sources: [ChangeSource] { Array(entries.keys) }

  /// The loops that are sent a source's changes: none after a gap, until they learn of it.
  ///
  /// What comes meanwhile is a part of the gap.
  func loops(of source: ChangeSource) -> Set<Int> {
    guard let entry = entries[source], !entry.hasGap else { return [] }
    return entry.loops
  }

  // MARK: Events

  /// A loop wants a source.
  mutating func wanted(_ source: ChangeSource, loop: Int, number: UInt64) -> [Action] {
    var entry = entries[source] ?? Entry()
    let isNew = entries[source] == nil
    entry.loops.insert(loop)
    entry.unwantedSinceMs = nil
    entry.waiting.append((loop, number))
    // Changes may come; whether scripts still publish them, Redis says.
    let registers = entry.state == .live && entry.renewAtMs != .max
    if registers { entry.renewAtMs = .max }
    entries[source] = entry
    return isNew ? [.subscribe(source)] : registers ? [.register([source])] : []
  }

  /// A loop does not want a source any more.
  mutating func released(_ source: ChangeSource, loop: Int, nowMs: Int64) {
    guard var entry = entries[source] else { return }
    entry.loops.remove(loop)
    if entry.loops.isEmpty { entry.unwantedSinceMs = nowMs }
    entries[source] = entry
  }

  /// Redis has subscribed the worker to a source.
  mutating func subscribed(_ source: ChangeSource) -> [Action] {
    guard entries[source]?.state == .subscribing else { return [] }
    entries[source]?.state = .registering
    entries[source]?.renewAtMs = .max
    return [.register([source])]
  }

  /// Scripts publish the changes of a source; `isNew` if they did not before this.
  mutating func registered(_ source: ChangeSource, isNew: Bool, nowMs: Int64) -> [Action] {
    guard var entry = entries[source], entry.state != .subscribing else { return [] }
    let isGap = entry.state == .live ? isNew : entry.hasGap
    let lost = isGap ? entry.loops.map { Action.lost(source, loop: $0) } : []
    let answers = entry.waiting.map {
      Action.answer(source, loop: $0.loop, number: $0.number, comes: true)
    }
    entry.waiting = []
    (entry.state, entry.hasGap) = (.live, false)
    entry.renewAtMs = nowMs + WatchedSources.renewMs
    entries[source] = entry
    return lost + answers
  }

  /// Redis does not answer: those who wait are not kept waiting, and learn it when changes come.
  mutating func refused(_ source: ChangeSource, nowMs: Int64) -> [Action] {
    guard var entry = entries[source] else { return [] }
    let answers = entry.waiting.map {
      Action.answer(source, loop: $0.loop, number: $0.number, comes: false)
    }
    entry.waiting = []
    if entry.state != .live { entry.hasGap = true }
    entry.renewAtMs = nowMs
    entries[source] = entry
    return answers
  }

  /// Redis subscribes the worker to none of the sources that wait for it.
  mutating func subscriptionRefused(nowMs: Int64) -> [Action] {
    entries.filter { $0.value.state == .subscribing }.keys.flatMap {
      refused($0, nowMs: nowMs)
    }
  }

  /// The connection that subscribes is gone, and with it all subscriptions.
  mutating func disconnected(nowMs: Int64) -> [Action] {
    var actions: [Action] = []
    for source in entries.keys {
      actions += refused(source, nowMs: nowMs)
      entries[source]?.state = .subscribing
      entries[source]?.hasGap = true
    }
    return actions
  }

  /// Some time has passed: renews registrations, and ends what no loop wants.
  mutating func timePassed(nowMs: Int64) -> [Action] {
    var actions: [Action] = []
    var due: [ChangeSource] = []
    for (source, entry) in entries {
      if let since = entry.unwantedSinceMs, nowMs - since >= WatchedSources.keepMs {
        entries[source] = nil
        actions.append(.unsubscribe(source))
      } else if entry.state != .subscribing, entry.renewAtMs <= nowMs {
        entries[source]?.renewAtMs = .max
        due.append(source)
      }
    }
    for first in stride(from: 0, to: due.count, by: WatchedSources.registeredMax) {
      let last = min(first + WatchedSources.registeredMax, due.count)
      actions.append(.register(Array(due[first..<last])))
    }
    return actions
  }
}
