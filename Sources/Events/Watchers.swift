// Owns: the watches of a loop's clients, and which events and changes each is sent. A value,
// without sockets; the shell in EventSubscriptions.swift performs it. Runs on the loop's thread.

package import Access
package import SessionModel
package import Store

/// One WATCH of one connection.
package struct Watch {
  package let connection: ConnectionID
  package let scope: WatchScope
  /// The users of the sessions that it shows, besides what is of no session; nil for all.
  package fileprivate(set) var users: UserScope?
  /// Where it is of one session and its caller limited to users, how it is checked whether it may
  /// go on.
  fileprivate(set) var access: WatchAccess?
  /// Its number among the watches of its loop.
  fileprivate(set) var number: UInt64 = 0
  /// Whether it shows what is of no session, such as locks.
  let showsLocks: Bool
  /// Nil for all types.
  package let types: Set<[UInt8]>?
  /// Whether it is also sent changes, which are in no log.
  package let wantsChanges: Bool
  /// The event after which it begins; nil for the next one that happens.
  package let after: EventID?
  /// Which of the connection's replies the WATCH's own is: events come after it.
  package let ticketSlot: UInt64
  /// Where the logs ended when it began; nil until Redis has said.
  fileprivate var start: TailAnswer?
  /// Whether it is still being sent what the log had when it began.
  fileprivate var isCatchingUp = false
  /// The events that came before Redis had said, or while it catches up.
  fileprivate var early: [FleetEvent] = []
  /// What has gone unread before Redis had said.
  fileprivate var earlyLosses: [TailLoss] = []

  package init(
    connection: ConnectionID, scope: WatchScope, users: UserScope? = nil,
    access: WatchAccess? = nil,
    showsLocks: Bool = true, types: Set<[UInt8]>?,
    wantsChanges: Bool,
    after: EventID?, ticketSlot: UInt64
  ) {
    self.connection = connection
    self.scope = scope
    self.users = users
    self.access = access
    self.showsLocks = showsLocks
    self.types = types
    self.wantsChanges = wantsChanges
    self.after = after
    self.ticketSlot = ticketSlot
  }

  fileprivate func wants(_ event: FleetEvent) -> Bool {
    guard let start else { return false }
    return event.id > start.tail(event.partition) && has(event)
  }

  /// Whether the log had the event when the watch began.
  func isBeforeStart(_ event: FleetEvent) -> Bool {
    start.map { event.id <= $0.tail(event.partition) } ?? false
  }

  /// How many events are kept for it.
  var keptEvents: Int { early.count }

  func has(_ event: FleetEvent) -> Bool {
    types?.contains(event.type) ?? true && scope.has(session: event.session, chat: event.chat)
      && (shows(event.users) || event.isSelected && event.users != nil)
  }

  /// Whether what concerns a session of these users is shown, or what concerns none.
  fileprivate func shows(_ owners: [[UInt8]]?) -> Bool {
    guard let users else { return true }
    return owners.map { users.has(anyOf: $0) } ?? showsLocks
  }

  /// Whether its session is shared with its caller, and not the caller's own.
  var isLent: Bool { access?.isOwn == false }

  /// Whether this principal may go on with it; of `all` it gets the events that it may see.
  func isAllowed(_ principal: Principal?) -> Bool {
    if isLent, let access {
      return principal?.rights.contains(.read) == true && principal?.allows(access.users) == true
    }
    return scope.isAllowed(principal) && principal?.allows(users) == true
  }

  fileprivate func wants(_ change: DeviceChange) -> Bool {
    wantsChanges && start != nil && !(isLent && change.isOfRoles)
      && types?.contains(change.type) ?? true
      && scope.has(session: change.session, chat: change.chat) && shows(change.users)
  }

  /// Whether events that it was to be sent may be among these, whatever their types.
  fileprivate func misses(_ losses: [TailLoss]) -> Bool {
    guard let start else { return false }
    return losses.contains { loss in
      start.concerns(loss.partition) && start.tail(loss.partition) < loss.before
    }
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

  /// A watch of a connection that has begun.
  func begun(of connection: ConnectionID) -> Watch? { oneBegun(of: connection) { _ in true } }

  /// One of a connection's watches that have begun, if there is such a one.
  private func oneBegun(of connection: ConnectionID, _ isIt: (Watch) -> Bool) -> Watch? {
    (byConnection[connection] ?? []).lazy.compactMap { watches[$0] }.first {
      $0.start != nil && isIt($0)
    }
  }

  /// The watches of a connection.
  func watches(of connection: ConnectionID) -> [Watch] {
    (byConnection[connection] ?? []).compactMap { watches[$0] }
  }

  subscript(number: UInt64) -> Watch? { watches[number] }

  /// Adds a watch that is to be begun; returns its number.
  mutating func add(_ watch: Watch) -> UInt64 {
    nextNumber += 1
    var watch = watch
    watch.number = nextNumber
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
  /// Returns the watch, what has come for it since, and whether some of that has gone unread; nil
  /// if it has been ended meanwhile.
  mutating func begun(_ answer: TailAnswer) -> (
    watch: Watch, missed: [FleetEvent], hasLost: Bool
  )? {
    guard var watch = watches[answer.number] else { return nil }
    watch.start = answer
    let missed = watch.early.filter { watch.wants($0) }
    let hasLost = watch.misses(watch.earlyLosses)
    watch.early = []
    watch.earlyLosses = []
    watches[answer.number] = watch
    return (watch, missed, hasLost)
  }

  /// A watch of each connection that may have missed events among these.
  mutating func receivers(of losses: [TailLoss]) -> [Watch] {
    var found: [ConnectionID: Watch] = [:]
    for (number, watch) in watches {
      if watch.start == nil {
        watches[number]?.earlyLosses += losses
      } else if watch.misses(losses) {
        found[watch.connection] = watch
      }
    }
    return Array(found.values)
  }

  /// The same for a watch that is sent first what the logs have; nil if it has been ended.
  mutating func catchesUp(_ answer: TailAnswer) -> Watch? {
    watches[answer.number]?.start = answer
    watches[answer.number]?.isCatchingUp = true
    return watches[answer.number]
  }

  /// A watch has been sent what the logs had; returns what came meanwhile.
  mutating func caughtUp(_ number: UInt64) -> [FleetEvent] {
    guard var watch = watches[number] else { return [] }
    let missed = watch.early.filter { watch.wants($0) }
    (watch.early, watch.isCatchingUp) = ([], false)
    watches[number] = watch
    return missed
  }

  /// The watches to which the event is sent, each connection once.
  mutating func receivers(of event: FleetEvent) -> [Watch] {
    var seen: Set<ConnectionID> = []
    var found: [Watch] = []
    var beginning: [UInt64] = []
    for numbers in [ofAll, byDevice[event.device] ?? []] {
      for number in numbers {
        guard let watch = watches[number] else { continue }
        if watch.start == nil || watch.isCatchingUp {
          beginning.append(number)
        } else if watch.wants(event), seen.insert(watch.connection).inserted {
          found.append(watch)
        }
      }
    }
    // A watch that has yet to begin keeps what its connection is not sent by another one; of
    // several such watches one keeps it.
    for number in beginning {
      guard let watch = watches[number], watch.has(event), !watch.isBeforeStart(event),
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

  /// The watches of a device's sessions that are checked.
  func checked(_ device: [UInt8]) -> [UInt64] {
    (byDevice[device] ?? []).filter { watches[$0]?.access != nil }
  }

  /// The watches whose callers may have lost their right by a change.
  func endable(by change: DeviceChange) -> [UInt64] {
    checked(change.device).filter { number in
      guard let watch = watches[number], watch.scope.session == change.session else { return false }
      return watch.isLent || !watch.shows(change.users)
    }
  }

  /// The session of a watch is not its caller's own any more, but shared with it.
  mutating func lend(_ number: UInt64) {
    watches[number]?.users = nil
    let lent = watches[number]?.access?.lent
    watches[number]?.access = lent
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
