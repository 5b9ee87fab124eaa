// Owns: how much one principal may ask of a worker and have in all, and what it uses now, over all
// loops. Any thread: atomics, touched when a request or a connection of the principal begins and
// ends.

package import Settings
internal import Synchronization

/// The limits of a principal: on one worker, and on what it has in all.
///
/// One that is alone does not meet those by default.
package struct PrincipalLimits: Sendable, Equatable {
  /// What is limited; the raw values are the words of the file, and of metrics.
  package enum Kind: String, CaseIterable, Sendable {
    /// Requests a second; a tenth of them may come at once.
    case rate
    case connections
    /// Requests that wait.
    case waiters
    /// Events a second that requests write; as many may come at once.
    case events
    /// Bytes a second of requests that change something; as many may come at once.
    case written
    /// Locks that are held, in all.
    case locks
    /// Live sessions that it has made, in all.
    case sessions

    package static let range = 1...1_000_000_000

    /// The limit where the file has none.
    package var standard: Int {
      switch self {
      case .rate: 500_000
      case .connections: 18_000
      case .waiters: 50_000
      case .events: 20_000
      case .written: 500_000_000
      case .locks, .sessions: 2_000_000
      }
    }

    fileprivate var place: Int {
      switch self {
      case .rate: 0
      case .connections: 1
      case .waiters: 2
      case .events: 3
      case .written: 4
      case .locks: 5
      case .sessions: 6
      }
    }
  }

  /// About what Redis keeps of a request beside its bytes: an event, keys, entries of indexes.
  package static let bytesBeside = 256

  private var most = Kind.allCases.map(\.standard)

  package init() {}

  /// Those of each user of tokens.
  package init(_ tokens: TokenLimits) {
    for kind in Kind.allCases {
      if let number = tokens.most[kind.rawValue] { self[kind] = number }
    }
  }

  package subscript(kind: Kind) -> Int {
    get { most[kind.place] }
    set { most[kind.place] = newValue }
  }
}

/// Admits so much a second.
private struct Pace: ~Copyable, Sendable {
  /// By when all that was admitted is due at the rate, in monotonic ns.
  private let dueNs = Atomic<Int64>(0)

  /// Admits an amount, unless what was admitted before is due later than so many ns from now.
  func admit(_ amount: Int, nowNs: Int64, perSecond rate: Int, aheadNs: Int64) -> Bool {
    let stepNs = max(1, 1_000_000_000 / Double(rate) * Double(amount))
    while true {
      let due = dueNs.load(ordering: .relaxed)
      let from = max(due, nowNs)
      guard from - nowNs < aheadNs else { return false }
      let (isDone, _) = dueNs.compareExchange(
        expected: due, desired: from + Int64(stepNs), ordering: .relaxed)
      if isDone { return true }
    }
  }
}

/// A number that any thread counts.
private final class RefusalCount: Sendable {
  let count = Atomic(0)
}

/// What a principal uses of a worker now, and has in all.
///
/// It outlives the principal, which a reload replaces.
package final class PrincipalUse: Sendable {
  package let name: String
  /// Where refusals are counted with those of others: of users of tokens there may be any number.
  private let sum: PrincipalUse?
  private let connections = Atomic(0)
  private let waiters = Atomic(0)
  private let requests = Pace()
  private let events = Pace()
  private let written = Pace()
  /// Its locks and live sessions, as they were counted last.
  private let locks = Atomic(0)
  private let sessions = Atomic(0)
  private let refusals = PrincipalLimits.Kind.allCases.map { _ in RefusalCount() }

  package init(name: String, sum: PrincipalUse? = nil) { (self.name, self.sum) = (name, sum) }

  fileprivate var isUsed: Bool { connections.load(ordering: .relaxed) > 0 }

  /// How often a limit was met.
  package func limited(_ kind: PrincipalLimits.Kind) -> Int {
    refusals[kind.place].count.load(ordering: .relaxed)
  }

  /// Admits a request, unless more have come than the rate and a tenth of a second allow.
  package func admitRequest(nowNs: Int64, _ limits: PrincipalLimits) -> Bool {
    let rate = limits[.rate]
    let aheadNs = max(100_000_000, 1_000_000_000 / Int64(rate))
    return counted(
      .rate, requests.admit(1, nowNs: nowNs, perSecond: rate, aheadNs: aheadNs))
  }

  /// Admits a request that writes so many events, unless more have come than a second may have.
  package func admitEvents(_ count: Int, nowNs: Int64, _ limits: PrincipalLimits) -> Bool {
    counted(
      .events,
      events.admit(count, nowNs: nowNs, perSecond: limits[.events], aheadNs: 1_000_000_000))
  }

  /// Admits bytes that are to be written, unless more have come than a second may have.
  package func admitWritten(_ bytes: Int, nowNs: Int64, _ limits: PrincipalLimits) -> Bool {
    counted(
      .written,
      written.admit(bytes, nowNs: nowNs, perSecond: limits[.written], aheadNs: 1_000_000_000))
  }

  private func counted(_ kind: PrincipalLimits.Kind, _ isAdmitted: Bool) -> Bool {
    if !isAdmitted { countRefusal(kind) }
    return isAdmitted
  }

  /// Counts one more connection, unless there are as many as there may be.
  package func admitConnection(_ limits: PrincipalLimits) -> Bool {
    guard connections.add(1, ordering: .relaxed).newValue > limits[.connections] else {
      return true
    }
    releaseConnection()
    countRefusal(.connections)
    return false
  }

  package func releaseConnection() { connections.subtract(1, ordering: .relaxed) }

  /// Whether a further request may wait; if not, that is counted.
  package func admitsWaiter(_ limits: PrincipalLimits) -> Bool {
    counted(.waiters, waiters.load(ordering: .relaxed) < limits[.waiters])
  }

  /// Counts that a limit was met.
  package func countRefusal(_ kind: PrincipalLimits.Kind) {
    refusals[kind.place].count.add(1, ordering: .relaxed)
    sum?.countRefusal(kind)
  }

  fileprivate var hasSum: Bool { sum != nil }

  package func addWaiter() { waiters.add(1, ordering: .relaxed) }
  package func releaseWaiter() { waiters.subtract(1, ordering: .relaxed) }

  // MARK: - What it has in all

  /// What it has, as it was counted last; 0 for what is not counted.
  package func owned(_ kind: PrincipalLimits.Kind) -> Int {
    switch kind {
    case .locks: locks.load(ordering: .relaxed)
    case .sessions: sessions.load(ordering: .relaxed)
    case .rate, .connections, .waiters, .events, .written: 0
    }
  }

  package func setOwned(locks: Int, sessions: Int) {
    self.locks.store(locks, ordering: .relaxed)
    self.sessions.store(sessions, ordering: .relaxed)
  }
}

/// What all principals use.
package final class PrincipalUses: Sendable {
  private struct Known {
    var byName: [String: PrincipalUse] = [:]
    /// At so many, those without connections are forgotten.
    var most = PrincipalUses.keptMax
    var hasTokens = false
  }

  private let known = Mutex(Known())
  /// All users of tokens; no principal has this name.
  private let ofTokens = PrincipalUse(name: "jwt:*")
  /// Beyond so many, those without connections are forgotten.
  package static let keptMax = 4_096

  package init() {}

  package func of(_ principal: Principal) -> PrincipalUse {
    of(principal.useName, isOfToken: principal.mark.isEmpty)
  }

  func of(_ name: String, isOfToken: Bool = false) -> PrincipalUse {
    known.withLock { known in
      if let use = known.byName[name] { return use }
      if known.byName.count >= known.most {
        known.byName = known.byName.filter { $0.value.isUsed }
        // So that this is not done for each new one while many have connections.
        known.most = max(PrincipalUses.keptMax, 2 * known.byName.count)
      }
      if isOfToken { known.hasTokens = true }
      let use = PrincipalUse(name: name, sum: isOfToken ? ofTokens : nil)
      known.byName[name] = use
      return use
    }
  }

  /// Those of the principals of the file that have connections.
  package var ofFile: [PrincipalUse] {
    known.withLock { $0.byName.values.filter { !$0.hasSum && $0.isUsed } }
  }

  /// Those of the principals of the file, by name, and that of all users of tokens together.
  package var all: [PrincipalUse] {
    known.withLock { known in
      known.byName.values.filter { !$0.hasSum }.sorted { $0.name < $1.name }
        + (known.hasTokens ? [ofTokens] : [])
    }
  }
}
