// Owns: how many requests a connection may have under way beside those of others, and how many of
// its lines are taken in a turn, so that who asks for little waits little. Runs on its loop's
// thread.

/// The connections of one principal on one loop, or of all callers where there are no principals.
final class PrincipalShare {
  fileprivate let name: String?
  fileprivate var connections = 0
  /// Those with requests under way that do not wait for an event.
  fileprivate(set) var busy = 0

  fileprivate init(name: String?) { self.name = name }
}

/// The equal shares of a loop's principals, and of the connections of each.
final class CallerShares {
  /// The share of connections that have no principal.
  let ofUnknown = PrincipalShare(name: nil)
  private var named: [String: PrincipalShare] = [:]
  /// Principals with busy connections, these, and their requests under way.
  private var busyPrincipals = 0
  private var busyConnections = 0
  private var underWay = 0
  /// How many requests there may be under way in all, of callers that have several.
  var room = CallerShares.roomMax

  /// Enough to keep Redis and worker busy; with more a turn would take too long.
  static let roomMax = 4_096
  /// With less a Redis that is fast would wait for the worker.
  static let roomMin = 1_024
  /// A caller without pipelining has no more, and need not be looked at.
  static let pipelineMin = 1

  /// A connection belongs to this principal from now on.
  func join(_ name: String) -> PrincipalShare {
    let share = named[name] ?? PrincipalShare(name: name)
    named[name] = share
    share.connections += 1
    return share
  }

  /// A connection belongs to it no more.
  func leave(_ share: PrincipalShare) {
    guard let name = share.name else { return }
    share.connections -= 1
    if share.connections == 0 { named[name] = nil }
  }

  /// The requests of one of the principal's connections that are under way and do not wait for an
  /// event were so many, and are so many now.
  func changed(_ share: PrincipalShare, from before: Int, to now: Int) {
    underWay += now - before
    if before == 0, now > 0 {
      if share.busy == 0 { busyPrincipals += 1 }
      share.busy += 1
      busyConnections += 1
    } else if before > 0, now == 0 {
      share.busy -= 1
      busyConnections -= 1
      if share.busy == 0 { busyPrincipals -= 1 }
    }
  }

  /// How many requests a connection of the principal may have under way.
  func most(_ share: PrincipalShare) -> Int {
    guard underWay < room else { return CallerShares.pipelineMin }
    return max(CallerShares.pipelineMin, room / max(1, busyPrincipals * share.busy))
  }

  /// Whether the principal has less than its part of the busy connections.
  func asksLittle(_ share: PrincipalShare) -> Bool {
    share.busy * busyPrincipals < busyConnections
  }

  // MARK: - Lines of a turn

  /// The lines taken in this turn, and the connections that have had their part of them.
  private var lines = 0
  private var rested = 0
  private var restedBefore = 0

  /// With more the loop would look at replies and other callers too late.
  static let linesMax = 4_096
  /// One line, and the look at what is behind it.
  private static let linesMin = 2

  /// How many lines may be taken of a connection in this turn.
  var linesOfEach: Int {
    guard lines < CallerShares.linesMax else { return CallerShares.linesMin }
    let each = CallerShares.linesMax / max(1, max(rested, restedBefore))
    return min(Connection.linesPerTurn, max(CallerShares.linesMin, each))
  }

  /// So many lines of a connection were taken; whether there were more.
  func took(_ count: Int, hadMore: Bool) {
    lines += count
    if hadMore { rested += 1 }
  }

  func turnEnded() { (lines, rested, restedBefore) = (0, 0, rested) }
}
