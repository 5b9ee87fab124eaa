// Owns: the watches of a loop's clients, and which events each is sent. A value, without sockets;
// the shell in EventSubscriptions.swift performs it. Runs on the loop's thread.

internal import SessionModel
package import Store

/// One WATCH of one connection.
package struct Watch {
  package let connection: ConnectionID
  package let scope: WatchScope
  /// Nil for all types.
  package let types: Set<[UInt8]>?
  /// Which of the connection's replies the WATCH's own is: events come after it.
  package let ticketSlot: UInt64
  /// Where the logs ended when it began; nil until Redis has said.
  fileprivate var start: TailAnswer?
  /// The events that came before Redis had said.
  fileprivate var early: [FleetEvent] = []

  package init(
    connection: ConnectionID, scope: WatchScope, types: Set<[UInt8]>?, ticketSlot: UInt64
  ) {
    self.connection = connection
    self.scope = scope
    self.types = types
    self.ticketSlot = ticketSlot
  }

  fileprivate func wants(_ event: FleetEvent) -> Bool {
    guard let start else { return false }
    return event.id > start.tail(event.partition) && (types?.contains(event.type) ?? true)
  }
}

/// All watches of a loop.
struct Watchers {
  private var watches: [UInt64: Watch] = [:]
  private var byScope: [WatchScope: Set<UInt64>] = [:]
  private var byConnection: [ConnectionID: Set<UInt64>] = [:]
  private var nextNumber: UInt64 = 0

  var count: Int { watches.count }

  func count(of connection: ConnectionID) -> Int { byConnection[connection]?.count ?? 0 }

  /// A watch that has begun of each connection that has one.
  var onePerConnection: [Watch] {
    byConnection.values.compactMap { numbers in
      numbers.lazy.compactMap { watches[$0] }.first { $0.start != nil }
    }
  }

  /// The connections that watch anything.
  var connections: [ConnectionID] { Array(byConnection.keys) }

  /// The scopes that a connection watches.
  func scopes(of connection: ConnectionID) -> [WatchScope] {
    (byConnection[connection] ?? []).compactMap { watches[$0]?.scope }
  }

  /// Adds a watch that is to be begun; returns its number.
  mutating func add(_ watch: Watch) -> UInt64 {
    nextNumber += 1
    watches[nextNumber] = watch
    byScope[watch.scope, default: []].insert(nextNumber)
    byConnection[watch.connection, default: []].insert(nextNumber)
    return nextNumber
  }

  /// Redis has said where the logs end.
  ///
  /// Returns the watch, and what it has missed since; nil if it has been ended meanwhile.
  mutating func begun(_ answer: TailAnswer) -> (watch: Watch, missed: [FleetEvent])? {
    guard var watch = watches[answer.watch] else { return nil }
    guard answer.tails != nil else {
      remove(answer.watch)
      return (watch, [])
    }
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
    for scope in [WatchScope.all, .device(event.device)] {
      for number in byScope[scope] ?? [] {
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
      guard let watch = watches[number], watch.types?.contains(event.type) ?? true,
        seen.insert(watch.connection).inserted
      else { continue }
      watches[number]?.early.append(event)
    }
    return found
  }

  /// Ends all watches of a connection.
  mutating func removeAll(of connection: ConnectionID) {
    for number in byConnection[connection] ?? [] { remove(number) }
  }

  private mutating func remove(_ number: UInt64) {
    guard let watch = watches.removeValue(forKey: number) else { return }
    byScope[watch.scope]?.remove(number)
    if byScope[watch.scope]?.isEmpty == true { byScope[watch.scope] = nil }
    byConnection[watch.connection]?.remove(number)
    if byConnection[watch.connection]?.isEmpty == true { byConnection[watch.connection] = nil }
  }
}
