// Owns: the decision which of the sentinels' answers counts. A value without clock or socket.
//
// Sentinels can differ: one that was cut off names a master that the others have deposed. Each
// failover raises the epoch of the configuration, so that the newer answer can be distinguished.

package import Loop

/// A sentinel's answer: the master, and how new that is.
package struct MasterAnswer: Equatable, Sendable {
  package var address: Address
  /// The epoch of the configuration: each failover raises it.
  package var epoch: Int64
  /// Whether this sentinel has no contact with the master.
  package var isDown = false

  package init(_ address: Address, epoch: Int64, isDown: Bool = false) {
    self.address = address
    self.epoch = epoch
    self.isDown = isDown
  }
}

/// The current answers of a set of sentinels, and the one that counts.
package struct MasterChoice {
  private let sentinels: Int
  private var answers: [Int: MasterAnswer] = [:]
  /// The answer that counts.
  package private(set) var chosen: MasterAnswer?
  /// When the first answer came, while none counts yet.
  private var firstAtMs: Int64?
  /// How long most sentinels are awaited, from the first answer on.
  package static let settleMs: Int64 = 300

  package init(sentinels: Int) { self.sentinels = sentinels }

  /// How many sentinels answer.
  package var count: Int { answers.count }

  /// A sentinel has answered; returns the new master if there is one.
  package mutating func answered(
    _ sentinel: Int, _ answer: MasterAnswer, nowMs: Int64
  ) -> Address? {
    answers[sentinel] = answer
    firstAtMs = firstAtMs ?? nowMs
    return look(nowMs: nowMs)
  }

  /// A sentinel does not answer, or knows no such master.
  package mutating func lost(_ sentinel: Int) { answers[sentinel] = nil }

  /// Time has passed; returns the new master if there is one.
  package mutating func look(nowMs: Int64) -> Address? {
    let before = chosen?.address
    chosen = choice(nowMs: nowMs)
    return chosen?.address == before ? nil : chosen?.address
  }

  private func choice(nowMs: Int64) -> MasterAnswer? {
    guard let newest = answers.values.map(\.epoch).max() else { return chosen }
    let best = answers.sorted { $0.key < $1.key }.map(\.value).filter { $0.epoch == newest }
    guard let chosen else {
      let isSettled = 2 * count > sentinels || nowMs - (firstAtMs ?? nowMs) >= Self.settleMs
      return isSettled ? best.first : nil
    }
    if let answer = best.first(where: { isOfMost($0.address) }) { return answer }
    // In the middle of a failover its leader can name the new master under the old epoch.
    if let same = best.first(where: { $0.address == chosen.address }) {
      return newest >= chosen.epoch ? same : chosen
    }
    return newest > chosen.epoch ? best[0] : chosen
  }

  /// Whether most of all sentinels name this master: an older epoch counts then too, since they
  /// were set up anew.
  private func isOfMost(_ address: Address) -> Bool {
    2 * answers.values.count { $0.address == address } > sentinels
  }
}
