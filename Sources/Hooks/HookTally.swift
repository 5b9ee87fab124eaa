// Owns: what is still to be added to a hook's figures in Redis. A value without clock or Redis;
// the shell in HookDelivery.swift performs it.

/// What a worker has to note about one hook.
///
/// One note is under way at a time. One without an answer is sent again as it is, under its number,
/// so that it counts once; what is delivered meanwhile adds up for the next one.
struct HookTally {
  /// What a worker has done since its last note, and is doing.
  struct Figures: Equatable {
    var delivered: Int
    var failed: Int
    var underWay: Int
    /// The latest failure, if it is new.
    var fault: String?
  }

  struct Note: Equatable {
    let number: Int64
    /// Counts since the note before.
    let figures: Figures
    /// Whether it is sent for the first time.
    var isNew = true
  }

  private var number: Int64
  /// The totals up to the latest note, and what was under way then.
  private var noted = Figures(delivered: 0, failed: 0, underWay: 0, fault: nil)
  private var notedAtMs: Int64 = 0
  /// The note that Redis has not confirmed.
  private var unconfirmed: Note?
  private var isUnderWay = false

  /// What is under way is noted again so often, or it would count as that of a dead worker.
  private static let againMs: Int64 = 2_000

  /// The numbers begin after this one: those of an earlier hook of the same name are smaller.
  init(after number: Int64) { self.number = number }

  /// The note to send now, of the totals of this worker; nil if there is none.
  mutating func take(_ totals: Figures, nowMs: Int64) -> Note? {
    guard !isUnderWay else { return nil }
    if let note = unconfirmed {
      isUnderWay = true
      return note
    }
    let isAgain = totals.underWay > 0 && nowMs - notedAtMs >= HookTally.againMs
    guard totals != noted || isAgain else { return nil }
    number += 1
    let note = Note(
      number: number,
      figures: Figures(
        delivered: totals.delivered - noted.delivered, failed: totals.failed - noted.failed,
        underWay: totals.underWay, fault: totals.fault))
    noted = totals
    (noted.fault, notedAtMs, isUnderWay) = (nil, nowMs, true)
    unconfirmed = note
    unconfirmed?.isNew = false
    return note
  }

  /// The note that was taken is in Redis, or that is not known.
  mutating func ended(isAnswered: Bool) {
    precondition(isUnderWay, "a note has ended that was not under way")
    isUnderWay = false
    if isAnswered { unconfirmed = nil }
  }
}
