// Owns: the one table of a session's clocks: their names, which settings, options, records and
// scripts have in common, their defaults and limits. Values; any thread. Their effects are in
// Lua/lib/clocks.lua of Scripts: Redis decides.

/// The clocks of a session, in the order in which its record keeps them.
///
/// A clock's name is its option's, its flag's, and its own in the scripts.
package enum SessionClock: String, CaseIterable, Sendable {
  case idle, abandon, archive, life, keep, warn

  /// The properties of a clock.
  package struct Row: Sendable {
    fileprivate let length: Int64
    fileprivate let unit: Unit
    /// Whether 0 turns it off.
    package let canBeOff: Bool
    /// A sentence for the manual.
    package let summary: String

    /// As a caller writes it, such as `30m`.
    package var defaultText: String { length == 0 ? "0" : "\(length)\(unit.rawValue)" }
    package var defaultMs: Int64 { length * unit.ms }

    fileprivate init(
      _ length: Int64, _ unit: Unit, _ summary: String, canBeOff: Bool = true
    ) {
      self.length = length
      self.unit = unit
      self.summary = summary
      self.canBeOff = canBeOff
    }
  }

  fileprivate enum Unit: Character {
    case minutes = "m"
    case hours = "h"
    case days = "d"

    var ms: Int64 {
      switch self {
      case .minutes: 60_000
      case .hours: 3_600_000
      case .days: 86_400_000
      }
    }
  }

  package var row: Row {
    switch self {
    case .idle: Row(30, .minutes, "Without activity for so long an active session is paused.")
    case .abandon: Row(24, .hours, "Without activity for so long a session is abandoned.")
    case .archive: Row(7, .days, "An abandoned session is archived after this.")
    case .life:
      Row(
        0, .hours,
        "A session expires so long after it was opened, or recovered from being abandoned.")
    case .keep:
      Row(
        30, .days, "A closed, expired or archived session is kept for so long.", canBeOff: false)
    case .warn:
      Row(
        2, .minutes, "So long before idle and life end a session.expiring event is written.")
    }
  }

  /// Its name where callers are shown its length.
  package var shownName: String { "\(rawValue)_ms" }

  /// The lengths that are not 0, in ms.
  package static let allowedMs: ClosedRange<Int64> = 10...315_360_000_000

  /// Whether it may have this length, in ms.
  package func allows(_ ms: Int64) -> Bool {
    ms == 0 ? row.canBeOff : SessionClock.allowedMs ~= ms
  }
}

/// How long each clock of a session runs, in ms; 0 turns one off.
package struct SessionClocks: Hashable, Sendable {
  private var lengthsMs = SessionClock.allCases.map(\.row.defaultMs)

  package init() {}

  package subscript(clock: SessionClock) -> Int64 {
    get { lengthsMs[clock.place] }
    set { lengthsMs[clock.place] = newValue }
  }

  /// As a record and the scripts have them: numbers in the order of the table.
  package var text: String { lengthsMs.map { "\($0)" }.joined(separator: " ") }
}

extension SessionClock {
  /// A record or an export has so many lengths at least: those of the last clock that cannot be
  /// off, and all before it.
  ///
  /// A version with fewer clocks wrote a shorter one, in which the others are off; of a longer one
  /// the lengths of clocks that are not known here are ignored.
  package static let leastCount = 1 + (allCases.last { !$0.row.canBeOff }?.place ?? -1)

  /// Its place in the order of all.
  package var place: Int { SessionClock.places[self] ?? 0 }
  private static let places = Dictionary(
    uniqueKeysWithValues: allCases.enumerated().map { ($1, $0) })
}
