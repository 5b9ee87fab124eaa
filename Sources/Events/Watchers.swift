// Owns: the watches of a loop's clients, and which events and changes each is sent. A value,
// without sockets; the shell in EventSubscriptions.swift performs it. Runs on the loop's thread.

internal import SessionModel
package import Store

/// One WATCH of one connection.
package struct Watch {
  package let connection: ConnectionID
  package let scope: WatchScope
  /// Nil for all types.
  package let types: Set<[UInt8]>?
  /// Whether it is also sent changes, which are in no log.
  package let wantsChanges: Bool
  /// Which of the connection's replies the WATCH's own is: events come after it.
  package let ticketSlot: UInt64
  /// Where the logs ended when it began; nil until Redis has said.
  fileprivate var start: TailAnswer?
  /// The events that came before Redis had said.
  fileprivate var early: [FleetEvent] = []

  package init(
    connection: ConnectionID, scope: WatchScope, types: Set<[UInt8]>?, wantsChanges: Bool,
    ticketSlot: UInt64
  ) {
    self.connection = connection
    self.scope = scope
    self.types = types
    self.wantsChanges = wantsChanges
    self.ticketSlot = ticketSlot
  }

  fileprivate func wants(_ event: FleetEvent) -> Bool {
    guard let start else { return false }
    return event.id > start.tail(event.partition) && has(event)
  }

  fileprivate func has(_ event: FleetEvent) -> Bool {
    types?.contains(event.type) ?? true && scope.has(session: event.session, chat: event.chat)
  }

  fileprivate func wants(_ change: DeviceChange) -> Bool {
    wantsChanges && start != nil && types?.contains(change.type) ?? true
      && scope.has(session: change.session, chat: change.chat)
  }
}

/// All watches of a loop.
struct Watchers {
  private var watches: [UInt64: Watch] = [:]
  private var ofAll: Set<UInt64> = []
  private var byDevice: [[UInt8]: Set<UInt64>] = [:]
  private var byConnection: [ConnectionID: Set<UInt64>] = [:]
  private var nextNumber: UInt64 = 0

  var count: Int { watches.count }

  func count(of connection: ConnectionID) -> Int { byConnection[connection]?.count ?? 0 }

  /// A watch that has begun of each connection that has one.
  var onePerConnection: [Watch] { byConnection.keys.compactMap { oneBegun(of: $0) { _ in true } } }

  /// One of a connection's watches that have begun, if there is such a one.
  private func oneBegun(of connection: ConnectionID, _ isIt: (Watch) -> Bool) -> Watch? {
    (byConnection[connection] ?? []).lazy.compactMap { watches[$0] }.first {
      $0.start != nil && isIt($0)
    }
  }

  /// The connections that watch anything.
  var connections: [ConnectionID] { Array(byConnection.keys) }

  /// The scopes that a connection watches.
  func scopes(of connection: ConnectionID) -> [WatchScope] {
    (byConnection[connection] ?? []).compactMap { watches[$0]?.scope }
  }

  subscript(number: UInt64) -> Watch? { watches[number] }

  /// Adds a watch that is to be begun; returns its number.
  mutating func add(_ watch: Watch) -> UInt64 {
    nextNumber += 1
    watches[nextNumber] = watch
    switch watch.scope {
    case .all: ofAll.insert(nextNumber)
    case .part(let scope): byDevice[scope.device, default: []].insert(nextNumber)
    }
    byConnection[watch.connection, default: []].insert(nextNumber)
    return nextNumber
  }

  /// Redis has said where the logs end.
  ///
  /// Returns the watch, and what it has missed since; nil if it has been ended meanwhile.
  mutating func begun(_ answer: TailAnswer) -> (watch: Watch, missed: [FleetEvent])? {
    guard var watch = watches[answer.watch] else { return nil }
    watch.start = answer
    let missed = watch.early.filter { watch.wants($0) }
    watch.early = []
    watches[answer.watch] = watch
    return (watch, missed)
  }

  /// The watches to which the event is sent, each connection once.
  mutating func receivers(of event: FleetEvent) -> [Watch] {
    var seen: Set<ConnectionID> = []
    var found: [Watch] = []
    var beginning: [UInt64] = []
    for numbers in [ofAll, byDevice[event.device] ?? []] {
      for number in numbers {
        guard let watch = watches[number] else { continue }
        if watch.start == nil {
          beginning.append(number)
        } else if watch.wants(event), seen.insert(watch.connection).inserted {
          found.append(watch)
        }
      }
    }
    // A watch that has yet to begin keeps what its connection is not sent by another one; of
    // several such watches one keeps it.
    for number in beginning {
      guard let watch = watches[number], watch.has(event),
        seen.insert(watch.connection).inserted
      else { continue }
      watches[number]?.early.append(event)
    }
    return found
  }

  /// The watches to which a change is sent that has come from this source, each connection once.
  ///
  /// A connection that watches all devices too has it from there.
  func receivers(of change: DeviceChange, from source: ChangeSource) -> [Watch] {
    var seen: Set<ConnectionID> = []
    let numbers = source == .all ? ofAll : byDevice[change.device] ?? []
    return numbers.compactMap { watches[$0] }.filter { watch in
      guard watch.wants(change), seen.insert(watch.connection).inserted else { return false }
      return source == .all || ofAll.isEmpty
        || oneBegun(of: watch.connection) { $0.scope == .all && $0.wants(change) } == nil
    }
  }

  /// One watch of each connection that is sent changes of this source.
  func receivers(from source: ChangeSource) -> [Watch] {
    var seen: Set<ConnectionID> = []
    let numbers: Set<UInt64> =
      switch source {
      case .all: ofAll
      case .device(let device): byDevice[device] ?? []
      }
    return numbers.compactMap { watches[$0] }.filter {
      $0.wantsChanges && $0.start != nil && seen.insert($0.connection).inserted
    }
  }

  /// A watch of this connection that is sent changes.
  func receiver(_ connection: ConnectionID) -> Watch? {
    oneBegun(of: connection) { $0.wantsChanges }
  }

  /// Ends all watches of a connection; returns them.
  mutating func removeAll(of connection: ConnectionID) -> [Watch] {
    (byConnection[connection] ?? []).compactMap { remove($0) }
  }

  /// Ends a watch; returns it.
  mutating func remove(_ number: UInt64) -> Watch? {
    guard let watch = watches.removeValue(forKey: number) else { return nil }
    switch watch.scope {
    case .all: ofAll.remove(number)
    case .part(let scope):
      byDevice[scope.device]?.remove(number)
      if byDevice[scope.device]?.isEmpty == true { byDevice[scope.device] = nil }
    }
    byConnection[watch.connection]?.remove(number)
    if byConnection[watch.connection]?.isEmpty == true { byConnection[watch.connection] = nil }
    return watch
  }
}
